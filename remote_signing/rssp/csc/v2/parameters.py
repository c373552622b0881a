"""Reading the members of a request by the standard's two texts.

Absent or of another JSON type: ``Missing (or invalid type) {type} parameter {name}``; of a bad
value: ``Invalid parameter {name}``. Members that nobody asks for are ignored, and null is absent
(clients generated from the official schema send null for what they leave out).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.csc.errors import CscError, invalid, missing
from remote_signing.rssp.csc.wire import decode

if TYPE_CHECKING:
    from remote_signing.rssp.csc.errors import Kind
    from remote_signing.strict_json import JsonValue

_LONGEST_CLIENT_DATA = 2000


class Parameters:
    """The JSON object of one request. Every reader raises :class:`CscError`."""

    __slots__ = ("_members",)

    def __init__(self, members: dict[str, JsonValue]) -> None:
        self._members = members

    def value(self, name: str) -> JsonValue:
        """The member as it came; None when absent or null."""
        return self._members.get(name)

    def text(self, name: str, longest: int = 1024) -> str:
        """A required string of at most ``longest`` characters."""
        value = self.optional_text(name, longest)
        if value is None:
            raise missing("string", name)
        return value

    def optional_text(self, name: str, longest: int = 1024) -> str | None:
        """A string of at most ``longest`` characters, or None."""
        value = self._members.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise missing("string", name)
        if len(value) > longest:
            raise invalid(name)
        return value

    def integer(self, name: str) -> int:
        """A required integer; neither ``true`` nor ``1.0`` is one."""
        value = self._members.get(name)
        if type(value) is not int:
            raise missing("integer", name)
        return value

    def flag(self, name: str) -> bool:
        """A boolean; false when absent."""
        value = self._members.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise missing("boolean", name)
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of ``choices``, the first when absent; any other value or type is invalid."""
        value = self._members.get(name)
        if value is None:
            return choices[0]
        if not isinstance(value, str) or value not in choices:
            raise invalid(name)
        return value

    def array(self, name: str) -> list[JsonValue] | None:
        """An array, or None."""
        value = self._members.get(name)
        if value is not None and not isinstance(value, list):
            raise missing("array", name)
        return value

    def digests(self, *, required_as: str | None = None) -> tuple[bytes, ...]:
        """``hashes``: raw digests, from base64 in either alphabet, padded or not.

        ``required_as`` is the name that the text for an absent array uses (CSC still says "hash"
        in signHash of v2); None where the array may be absent.
        """
        kind: Kind = "array"
        values = self._members.get("hashes")
        if values is None and required_as is None:
            return ()
        if not isinstance(values, list):
            raise missing(kind, required_as or "hashes")
        if not values:
            raise CscError("Empty hash array")
        return tuple(_digest(value) for value in values)

    def binary(self, name: str) -> bytes | None:
        """Base64 of some bytes, or None."""
        text = self.optional_text(name)
        if text is None:
            return None
        value = decode(text)
        if value is None:
            raise invalid(name)
        return value

    def client_data(self) -> str | None:
        """``clientData``, which every method takes (CSC API v2 cl. 10.2)."""
        value = self._members.get("clientData")
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > _LONGEST_CLIENT_DATA:
            raise invalid("clientData")
        return value


def _digest(value: JsonValue) -> bytes:
    digest = decode(value) if isinstance(value, str) else None
    if digest is None:
        raise CscError("Invalid Base64 hash string parameter")
    return digest
