"""Exchanges that tests have had with the real service, kept for the description.

Each file of ``examples/`` is an object: operation → examples, in the order of the page. An example
has a ``name``, the ``status``, and, as far as it had them, the ``request`` and the ``answer``: JSON
or the members of a form, or ``{"base64": …, "media": …}`` for bytes. Requests are kept where the
answer is no error. Tests have every exchange again and compare (tests/support/examples.py).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_BINARY = {"base64", "media"}


@dataclass(frozen=True, slots=True)
class Example:
    """One exchange. ``asked`` and ``told`` are Example Objects without a summary, or empty.

    ``asked_media``: of bytes, None for JSON and forms.
    """

    name: str
    status: int
    asked: dict[str, Any]
    told: dict[str, Any]
    asked_media: str | None = None

    @property
    def key(self) -> str:
        """The name, as a key of OpenAPI may be written."""
        return re.sub("[^A-Za-z0-9]+", "_", self.name).strip("_")


def of(operation: str) -> list[Example]:
    """The examples of an operation (its ``operationId``), of a shared answer (its name)."""
    return [
        Example(
            name=each["name"],
            status=each["status"],
            asked=_object(each.get("request")),
            told=_object(each.get("answer")),
            asked_media=each["request"]["media"] if _is_bytes(each.get("request")) else None,
        )
        for each in stored().get(operation, [])
    ]


@cache
def stored() -> dict[str, list[dict[str, Any]]]:
    """What all files hold."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(files(__package__).joinpath("examples").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json"):
            found |= json.loads(file.read_text(encoding="utf-8"))
    return found


def _object(value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON, whatever it is
    if value is None:
        return {}
    if _is_bytes(value):
        # Bytes cannot stand in JSON; an address of RFC 2397 has them inside.
        return {"externalValue": f"data:{value['media']};base64,{value['base64']}"}
    return {"value": value}


def _is_bytes(value: Any) -> bool:  # noqa: ANN401 - as above
    return isinstance(value, dict) and value.keys() == _BINARY
