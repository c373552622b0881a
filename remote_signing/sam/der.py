"""DER (X.690), as little of it as a SIM's consent needs: written, and read strictly.

The reader takes one spelling of a value and no other: definite lengths in their shortest form, one
tag byte, no trailing byte. Whatever else arrives is ``DerInvalid``, which stays inside the SAM.
It works on slices of one buffer and goes no deeper than its caller asks, so its cost is bounded by
the length of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

INTEGER, OCTETS, NULL, OID, UTF8, IA5 = 0x02, 0x04, 0x05, 0x06, 0x0C, 0x16
SEQUENCE, SET = 0x30, 0x31
CONTEXT_0, CONTEXT_1 = 0xA0, 0xA1
PRIMITIVE_0 = 0x80

_LONG_FORM = 0x80
_HIGH_TAG = 0x1F
_LONGEST_LENGTH = 4


class DerInvalid(Exception):
    """The bytes are not the DER of what they should be."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its tag byte, its content, and all of its bytes."""

    tag: int
    content: bytes
    encoded: bytes


def write(tag: int, *parts: bytes) -> bytes:
    """The value with that tag and the parts, one after the other, as its content."""
    content = b"".join(parts)
    length = len(content)
    if length < _LONG_FORM:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, _LONG_FORM | len(size)]) + size + content


def integer(number: int) -> bytes:
    """A non-negative INTEGER."""
    return write(INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted spelling."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return write(OID, *(_arc(number) for number in (first * 40 + second, *rest)))


def _arc(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def read(data: bytes, tag: int) -> Value:
    """The one value that ``data`` is."""
    value, end = _next(data, 0)
    if end != len(data):
        raise DerInvalid("bytes after the value")
    return expect(value, tag)


def items(value: Value) -> list[Value]:
    """The values inside ``value``."""
    found, position = [], 0
    while position < len(value.content):
        item, position = _next(value.content, position)
        found.append(item)
    return found


def expect(value: Value, tag: int) -> Value:
    """``value`` when it has that tag."""
    if value.tag != tag:
        raise DerInvalid(f"tag {value.tag:#x} instead of {tag:#x}")
    return value


def set_items(value: Value) -> list[Value]:
    """The values of a SET OF, which DER sorts (X.690 cl. 11.6)."""
    found = items(value)
    if sorted_set(item.encoded for item in found) != value.content:
        raise DerInvalid("a SET OF is not sorted")
    return found


def sorted_set(encoded: Iterable[bytes]) -> bytes:
    """The content of a SET OF these values."""
    return b"".join(sorted(encoded))


def natural(value: Value) -> int:
    """The number of a non-negative INTEGER in its shortest form."""
    content = expect(value, INTEGER).content
    if not content or content[0] & 0x80:
        raise DerInvalid("not a non-negative integer")
    if len(content) > 1 and content[0] == 0 and not content[1] & 0x80:
        raise DerInvalid("an integer with a needless byte")
    return int.from_bytes(content)


def _next(data: bytes, start: int) -> tuple[Value, int]:
    header = data[start : start + 2]
    if len(header) != 2 or header[0] & _HIGH_TAG == _HIGH_TAG:  # noqa: PLR2004 - tag and length
        raise DerInvalid("no value where one should be")
    begin, length = start + 2, header[1]
    if length >= _LONG_FORM:
        size = data[begin : begin + (length & 0x7F)]
        begin, length = begin + len(size), _long_length(length & 0x7F, size)
    end = begin + length
    if end > len(data):
        raise DerInvalid("cut short")
    return Value(header[0], data[begin:end], data[start:end]), end


def _long_length(count: int, size: bytes) -> int:
    if not 0 < count <= _LONGEST_LENGTH or len(size) != count:
        raise DerInvalid("a length without end, or beyond bounds")
    length = int.from_bytes(size)
    if length < _LONG_FORM or size[0] == 0:
        raise DerInvalid("a length in a longer form than needed")
    return length
