"""CBOR (RFC 8949) as authenticators must write it: the CTAP2 canonical form, read strictly.

One spelling of a value and no other: definite lengths and shortest heads, names of a map sorted and
named once, at most four levels (CTAP 2.1 cl. 8). Tags, floats, ``null`` and ``undefined`` have no
place in what is read here. Whatever else arrives is ``CborInvalid``, which goes no further.
Nothing is allocated before its bytes are there, so the cost is bounded by the length of the input.
"""

from __future__ import annotations

from typing import Final, TypeAlias

CborValue: TypeAlias = "int | bytes | str | bool | list[CborValue] | dict[int | str, CborValue]"

_MOST_LEVELS: Final = 4
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7
_SIMPLE_VALUES: Final = {0xF4: False, 0xF5: True}
_FIRST_LONG, _LAST_LONG = 24, 27  # additional information: the argument has 1, 2, 4 or 8 bytes


class CborInvalid(Exception):
    """The bytes are not one canonical value of the kinds that are read here."""


def read(data: bytes) -> CborValue:
    """The one value that ``data`` is; ``CborInvalid`` otherwise."""
    value, end = read_first(data)
    if end != len(data):
        raise CborInvalid("bytes after the value")
    return value


def read_first(data: bytes) -> tuple[CborValue, int]:
    """The value that ``data`` begins with, and where it ends."""
    reader = _Reader(data)
    return reader.value(_MOST_LEVELS), reader.position


def read_map(data: bytes) -> dict[int | str, CborValue]:
    """The one map that ``data`` is."""
    value = read(data)
    if not isinstance(value, dict):
        raise CborInvalid("not a map")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, levels: int) -> CborValue:
        """The next value, which holds others at most ``levels`` deep."""
        major, argument = self._head()
        if major in {_UNSIGNED, _NEGATIVE}:
            return argument if major == _UNSIGNED else -1 - argument
        if major in {_BYTES, _TEXT}:
            octets = self._take(argument)
            return octets if major == _BYTES else _text(octets)
        if major == _SIMPLE:
            return _SIMPLE_VALUES[argument]
        if not levels:
            raise CborInvalid("nested too deeply")
        if major == _ARRAY:
            return [self.value(levels - 1) for _ in range(argument)]
        return self._map(argument, levels)

    def _map(self, count: int, levels: int) -> dict[int | str, CborValue]:
        found: dict[int | str, CborValue] = {}
        before = b""
        for _ in range(count):
            start = self.position
            name = self.value(0)
            if isinstance(name, bool) or not isinstance(name, int | str):
                raise CborInvalid("a name is neither a number nor a text")
            spelled = self._data[start : self.position]
            if not _order(before) < _order(spelled):
                raise CborInvalid("names are not sorted, or one is there twice")
            before = spelled
            found[name] = self.value(levels - 1)
        return found

    def _head(self) -> tuple[int, int]:
        """Major type and argument; of a simple value the byte that it is."""
        first = self._take(1)[0]
        major, argument = first >> 5, first & 0x1F
        if major == _SIMPLE:
            if first not in _SIMPLE_VALUES:
                raise CborInvalid("a float, or a simple value without a use here")
            return major, first
        if argument >= _FIRST_LONG:
            argument = self._long(argument)
        if major > _MAP:
            raise CborInvalid("a tag")
        return major, argument

    def _long(self, information: int) -> int:
        if information > _LAST_LONG:
            raise CborInvalid("a length without end, or a reserved one")
        size = 1 << information - _FIRST_LONG
        number = int.from_bytes(self._take(size))
        # The shortest head: one byte from 24 on, twice as many where half of them do not suffice.
        if number < (_FIRST_LONG if size == 1 else 1 << 4 * size):
            raise CborInvalid("a number in a longer form than needed")
        return number

    def _take(self, count: int) -> bytes:
        taken = self._data[self.position : self.position + count]
        if len(taken) != count:
            raise CborInvalid("cut short")
        self.position += count
        return taken


def _order(spelled: bytes) -> tuple[int, int, bytes]:
    """CTAP 2.1 cl. 8: lower major types first, then shorter names, then byte by byte."""
    return (spelled[0] >> 5 if spelled else -1, len(spelled), spelled)


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise CborInvalid("a text is not UTF-8") from None
