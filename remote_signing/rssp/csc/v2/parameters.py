"""Reading the members of a request by the standard's two texts.

Absent or of another JSON type: ``Missing (or invalid type) {type} parameter {name}``; of a bad
value: ``Invalid parameter {name}``. Members that nobody asks for are ignored, and null is absent
(clients generated from the official schema send null for what they leave out).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from remote_signing.rssp.csc.errors import CscError, invalid, missing
from remote_signing.rssp.csc.wire import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.rssp.csc.errors import Kind
    from remote_signing.strict_json import JsonValue

LONGEST_CLIENT_DATA = 2000


@dataclass(frozen=True, slots=True)
class Spelling:
    """How clients may write a member, where that is not just its own name.

    ``names``: what a reader asks for → the names it may have on the wire, the standard's first.
    ``strict``: base64 in the standard's form only.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    strict: bool = False


EXACT = Spelling(strict=True)
# Members that known clients write as v1 had them, or as libraries do (docs/csc-divergences.md).
V2 = Spelling(
    {
        "hashes": ("hashes", "hash"),
        "hashAlgorithmOID": ("hashAlgorithmOID", "hashAlgo"),
        "requestID": ("requestID", "responseID"),
        "hash": ("hash",),
        "PIN": ("PIN",),
        "OTP": ("OTP",),
        "returnValidationInfo": ("returnValidationInfo", "returnValidationInformation"),
    }
)


class Parameters:
    """The JSON object of one request. Every reader raises :class:`CscError`."""

    __slots__ = ("_members", "_spelling")

    def __init__(self, members: dict[str, JsonValue], spelling: Spelling | None = None) -> None:
        self._members = members
        self._spelling = spelling or Spelling()

    def value(self, name: str) -> JsonValue:
        """The member as it came; None when absent or null.

        Under two names with two values it is invalid: nobody knows which one is meant.
        """
        names = self._spelling.names.get(name, (name,))
        found = [self._members[one] for one in names if self._members.get(one) is not None]
        if any(other != found[0] for other in found[1:]):
            raise invalid(name)
        return found[0] if found else None

    def borrowed(self, name: str) -> JsonValue:
        """A member of another version, where the spelling takes it; None in strict mode."""
        is_known = name in self._spelling.names and not self._spelling.strict
        return self.value(name) if is_known else None

    def text(self, name: str, longest: int = 1024) -> str:
        """A required string of at most ``longest`` characters."""
        value = self.optional_text(name, longest)
        if value is None:
            raise missing("string", name)
        return value

    def optional_text(self, name: str, longest: int = 1024) -> str | None:
        """A string of at most ``longest`` characters, or None."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise missing("string", name)
        if len(value) > longest:
            raise invalid(name)
        return value

    def integer(self, name: str) -> int:
        """A required integer; neither ``true`` nor ``1.0`` is one."""
        value = self.value(name)
        if type(value) is not int:
            raise missing("integer", name)
        return value

    def flag(self, name: str) -> bool:
        """A boolean; false when absent."""
        value = self.value(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise missing("boolean", name)
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of ``choices``, the first when absent; any other value or type is invalid."""
        value = self.value(name)
        if value is None:
            return choices[0]
        if not isinstance(value, str) or value not in choices:
            raise invalid(name)
        return value

    def within(self, members: dict[str, JsonValue]) -> Parameters:
        """An object inside this one, spelled the same way."""
        return Parameters(members, self._spelling)

    def array(self, name: str) -> list[JsonValue] | None:
        """An array, or None."""
        value = self.value(name)
        if value is not None and not isinstance(value, list):
            raise missing("array", name)
        return value

    def object(self, name: str) -> Parameters:
        """The members of a required object."""
        value = self.value(name)
        if not isinstance(value, dict):
            raise missing("object", name)
        return Parameters(value, self._spelling)

    def digests(self, *, required_as: str | None = None) -> tuple[bytes, ...]:
        """``hashes``: raw digests, from base64 in either alphabet, padded or not.

        ``required_as`` is the name that the text for an absent array uses (CSC still says "hash"
        in signHash of v2); None where the array may be absent.
        """
        kind: Kind = "array"
        values = self.value("hashes")
        if values is None and required_as is None:
            return ()
        if not isinstance(values, list):
            raise missing(kind, required_as or "hashes")
        if not values:
            raise CscError("Empty hash array")
        return tuple(self._digest(value) for value in values)

    def binary(self, name: str) -> bytes | None:
        """Base64 of some bytes, or None."""
        text = self.optional_text(name)
        if text is None:
            return None
        value = self.decoded(text)
        if value is None:
            raise invalid(name)
        return value

    def decoded(self, text: str) -> bytes | None:
        """The bytes of base64 as the spelling takes it; None when ``text`` is no such."""
        return decode(text, strict=self._spelling.strict)

    def client_data(self) -> str | None:
        """``clientData``, which every method takes (CSC API v2 cl. 10.2)."""
        value = self.value("clientData")
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > LONGEST_CLIENT_DATA:
            raise invalid("clientData")
        return value

    def _digest(self, value: JsonValue) -> bytes:
        text = value if isinstance(value, str) else "&"
        digest = self.decoded(text)
        if digest is None:
            raise CscError("Invalid Base64 hash string parameter")
        return digest
