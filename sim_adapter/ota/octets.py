"""Reading octets from outside, one field after the other, with nothing left over."""

from __future__ import annotations

from sim_adapter.ota.errors import Malformed

_SHORT = 0x80
_LONGEST_LENGTH = 2


class Octets:
    """A cursor over ``data``. Every read raises ``Malformed`` when less is there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` octets."""
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise Malformed(f"{count} octets expected, {len(taken)} there")
        self._at += count
        return taken

    def number(self, count: int = 1) -> int:
        """The next ``count`` octets as a big-endian number."""
        return int.from_bytes(self.take(count), "big")

    def text(self, longest: int) -> str:
        """A C-octet string of at most ``longest`` octets with its zero (SMPP 3.4 cl. 3.1)."""
        end = self._data.find(0, self._at, self._at + longest)
        if end < 0:
            raise Malformed("a C-octet string without an end")
        octets = self.take(end - self._at)
        self.take(1)
        if not octets.isascii():
            raise Malformed("a C-octet string that is not ASCII")
        return octets.decode("ascii")

    def length(self) -> int:
        """A BER length of one to three octets, in its shortest form."""
        first = self.number()
        if first < _SHORT:
            return first
        size = first - _SHORT
        if not 1 <= size <= _LONGEST_LENGTH:
            raise Malformed("a length of no use here")
        value = self.number(size)
        if value < _SHORT or value >> (8 * (size - 1)) == 0:
            raise Malformed("a length that could be shorter")
        return value

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self._data) - self._at)

    @property
    def left(self) -> int:
        """How many octets are left."""
        return len(self._data) - self._at

    def done(self) -> None:
        """``Malformed`` when something is left."""
        if self.left:
            raise Malformed(f"{self.left} octets too many")


def tlv(tag: int, value: bytes) -> bytes:
    """Tag (one octet), BER length, value."""
    size = len(value)
    if size < _SHORT:
        return bytes([tag, size]) + value
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _SHORT + len(octets)]) + octets + value


def tlvs(data: bytes) -> list[tuple[int, bytes]]:
    """All of ``data`` as tags and values; ``Malformed`` for anything else."""
    cursor = Octets(data)
    found: list[tuple[int, bytes]] = []
    while cursor.left:
        tag = cursor.number()
        found.append((tag, cursor.take(cursor.length())))
    return found


def once(data: bytes) -> dict[int, bytes]:
    """Like :func:`tlvs`, for data in which no tag comes twice."""
    pairs = tlvs(data)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a tag comes twice")
    return found
