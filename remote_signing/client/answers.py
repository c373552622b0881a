"""Answers, read into values: members of the right type, or ``AnswerUnusable``."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remote_signing.client.errors import AnswerUnusable, Reason, refusal
from remote_signing.client.exchange import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.client.errors import Refused
    from remote_signing.client.exchange import Incoming

_SUCCESS = range(200, 300)
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Members:
    """A JSON object that ``method`` answered."""

    method: str
    status: int
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A string that must be there."""
        value: str = self._of(str, name)
        return value

    def number(self, name: str) -> int:
        """An integer that must be there."""
        value: int = self._of(int, name)
        if isinstance(value, bool):
            raise self.unusable(name)
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, or None."""
        return None if self.values.get(name) is None else self.text(name)

    def optional_number(self, name: str) -> int | None:
        """An integer, or None."""
        return None if self.values.get(name) is None else self.number(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings; empty when absent."""
        values = self.values.get(name, [])
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise self.unusable(name)
        return tuple(values)

    def octets(self, name: str) -> tuple[bytes, ...]:
        """An array of base64; empty when absent."""
        return tuple(self._decoded(name, text) for text in self.texts(name))

    def binary(self, name: str) -> bytes:
        """Base64 that must be there."""
        return self._decoded(name, self.text(name))

    def within(self, name: str) -> Members:
        """An object that must be there."""
        return Members(self.method, self.status, self._of(dict, name))

    def unusable(self, name: str) -> AnswerUnusable:
        """The member is missing or not what it should be."""
        return AnswerUnusable(f"{self.method}: member {name} of the answer")

    def _of(self, kind: type[Any], name: str) -> Any:  # noqa: ANN401 - of that kind
        value = self.values.get(name)
        if not isinstance(value, kind):
            raise self.unusable(name)
        return value

    def _decoded(self, name: str, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            raise self.unusable(name) from None


def read(method: str, answer: Incoming) -> Members:
    """The members of a success. Errors: ``Refused`` in the right class, ``AnswerUnusable``."""
    if answer.status not in _SUCCESS:
        raise _refused(method, answer)
    values = _object(answer.body) if answer.body else {}
    if values is None:
        raise AnswerUnusable(f"{method}: {answer.status} without a JSON object")
    return Members(method, answer.status, values)


def _refused(method: str, answer: Incoming) -> Refused:
    values = _object(answer.body) or {}
    fallback = answer.body[:_LONGEST_TEXT].decode("utf-8", "replace")
    reason = Reason(
        method=method,
        status=answer.status,
        error=str(values.get("error", "")),
        description=str(values.get("error_description", fallback)),
        request_id=answer.headers.get("x-request-id"),
        after_unknown=answer.after_unknown,
        retry_after=retry_after(answer),
    )
    return refusal(reason)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(body)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
