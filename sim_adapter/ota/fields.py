"""The fields of an applet message: their tags, and a reader that takes each of them once."""

from __future__ import annotations

import enum

from sim_adapter.ota import text
from sim_adapter.ota.errors import Malformed
from sim_adapter.ota.octets import once, tlv
from sim_adapter.ota.orders import TRANSACTION_ID_OCTETS, KeyAlgorithm, Mode
from sim_adapter.ota.structure import is_code
from sim_adapter.ota.tpdu import unswapped

_VERSION = 1
_TIME_OCTETS = 5
_HEAD = 2
_FILLER = 0xF


class Kind(enum.IntEnum):
    """The second octet of a message."""

    SIGN = 0x01
    ENROL = 0x02
    CANCEL = 0x03
    PROFILE = 0x04
    ACCEPTED = 0x11
    SIGNED = 0x12
    ENROLLED = 0x13
    PROFILED = 0x14
    NOT_DONE = 0x15


class Tag(enum.IntEnum):
    """Fields."""

    TRANSACTION = 0x01
    MODE = 0x02
    NOT_AFTER = 0x03
    SENT = 0x04
    TEXT = 0x05  # coding (one octet), then the coded text
    CODE = 0x06
    DIGEST = 0x07
    STRUCTURE = 0x08
    RELYING_PARTY = 0x09  # as TEXT
    CREDENTIAL = 0x0A
    NONCE = 0x0B
    ALGORITHM = 0x0C
    REPLACE = 0x0D
    SIGNATURE = 0x0E
    PUBLIC_KEY = 0x0F
    ICCID = 0x10
    TRIES = 0x11  # PIN, PUK, 1 if the PIN is the default one
    CAUSE = 0x12


class Fields:
    """The fields of one message, each taken once."""

    def __init__(self, data: bytes) -> None:
        self._found = once(data)

    def take(self, tag: Tag, shortest: int, longest: int | None = None) -> bytes:
        """A field that must be there, of a length within bounds."""
        value = self._found.pop(tag, None)
        if value is None or not shortest <= len(value) <= (longest or shortest):
            raise Malformed(f"field {tag.name} is missing or of the wrong length")
        return value

    def has(self, tag: Tag) -> bool:
        """Whether an optional field is there."""
        return tag in self._found

    def transaction(self) -> bytes:
        """The transaction id."""
        return self.take(Tag.TRANSACTION, TRANSACTION_ID_OCTETS)

    def time(self, tag: Tag) -> int:
        """A time."""
        return int.from_bytes(self.take(tag, _TIME_OCTETS), "big")

    def text(self, tag: Tag) -> str:
        """A coded text, not yet looked at for what it shows."""
        value = self.take(tag, 2, 1 + text.LIMIT_GSM7)
        try:
            return text.decode(text.Encoding(value[0]), value[1:])
        except ValueError:
            raise Malformed("no such coding of a text") from None

    def code(self) -> str:
        """The verification code."""
        code = self.take(Tag.CODE, 4, 8).decode("ascii", "replace")
        if not is_code(code):
            raise Malformed("a verification code of other than digits")
        return code

    def algorithm(self) -> KeyAlgorithm:
        """The kind of key pair."""
        try:
            return KeyAlgorithm(self.take(Tag.ALGORITHM, 1)[0])
        except ValueError:
            raise Malformed("no such algorithm") from None

    def modes(self, most: int) -> tuple[Mode, ...]:
        """One to ``most`` ways of signing, in rising order."""
        octets = self.take(Tag.MODE, 1, most)
        if list(octets) != sorted(set(octets)) or not set(octets) <= set(Mode):
            raise Malformed("no such mode, or not in rising order")
        return tuple(map(Mode, octets))

    def iccid(self) -> str:
        """Nineteen or twenty digits."""
        value = self.take(Tag.ICCID, 10)
        return unswapped(value, 19 if value[-1] >> 4 == _FILLER else 20)

    def done(self) -> None:
        """Nothing may be left."""
        if self._found:
            raise Malformed("fields that do not belong here")


def parse(octets: bytes) -> tuple[int, Fields]:
    """Kind and fields of a message; ``Malformed`` for another version."""
    if len(octets) < _HEAD or octets[0] != _VERSION:
        raise Malformed("another version, or no message at all")
    return octets[1], Fields(octets[_HEAD:])


def message(kind: Kind, *fields: tuple[Tag, bytes]) -> bytes:
    """A message of this kind."""
    return bytes([_VERSION, kind]) + b"".join(tlv(tag, value) for tag, value in fields)


def time_octets(seconds: int) -> bytes:
    """A time as it stands in a field."""
    return seconds.to_bytes(_TIME_OCTETS, "big")


def coded_text(shown: str) -> bytes:
    """Coding and octets of a text; ``TextUnfit`` for one that no phone should show."""
    encoding, octets = text.encode(shown)
    return bytes([encoding]) + octets
