"""Command APDUs (ISO/IEC 7816-4, short form) and the status words that answer them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sim_adapter.ota.errors import Malformed

_HEADER = 4
_LARGEST = 256


class Ins(enum.IntEnum):
    """Instructions that the card knows."""

    TERMINAL_PROFILE = 0x10
    FETCH = 0x12
    TERMINAL_RESPONSE = 0x14
    VERIFY = 0x20
    CHANGE_PIN = 0x24
    UNBLOCK_PIN = 0x2C
    SELECT = 0xA4
    GET_RESPONSE = 0xC0
    ENVELOPE = 0xC2
    STATUS = 0xF2


class Word(enum.IntEnum):
    """Status words."""

    OK = 0x9000
    PROACTIVE = 0x9100  # plus the length of the command that waits
    DATA = 0x6100  # plus the length of the data that wait
    TOOLKIT_BUSY = 0x9300
    TRIES_LEFT = 0x63C0  # plus their number
    WRONG_LENGTH = 0x6700
    BLOCKED = 0x6983
    CONDITIONS = 0x6985
    WRONG_DATA = 0x6A80
    NOT_FOUND = 0x6A82
    WRONG_P1_P2 = 0x6A86
    UNKNOWN_INS = 0x6D00
    UNKNOWN_CLA = 0x6E00


@dataclass(frozen=True, slots=True)
class Command:
    """One command. ``expected`` is Le in octets, 0 when the command has none."""

    cla: int
    ins: int
    p1: int = 0
    p2: int = 0
    data: bytes = b""
    expected: int = 0

    def encode(self) -> bytes:
        """The APDU."""
        head = bytes([self.cla, self.ins, self.p1, self.p2])
        body = bytes([len(self.data)]) + self.data if self.data else b""
        return head + body + (bytes([self.expected % _LARGEST]) if self.expected else b"")

    @classmethod
    def parse(cls, apdu: bytes) -> Command:
        """The reverse; ``Malformed`` when the lengths do not agree."""
        head, body = apdu[:_HEADER], apdu[_HEADER:]
        if len(head) != _HEADER:
            raise Malformed("less than the header of an APDU")
        if len(body) <= 1:
            expected = (body[0] or _LARGEST) if body else 0
            return cls(head[0], head[1], head[2], head[3], expected=expected)
        data, rest = body[1 : 1 + body[0]], body[1 + body[0] :]
        if not body[0] or len(data) != body[0] or len(rest) > 1:
            raise Malformed("Lc is not the length of the data")
        expected = (rest[0] or _LARGEST) if rest else 0
        return cls(head[0], head[1], head[2], head[3], data, expected)


def answer(word: int, data: bytes = b"") -> bytes:
    """A response APDU."""
    return data + word.to_bytes(2, "big")


def split_answer(response: bytes) -> tuple[bytes, int]:
    """Data and status word."""
    return response[:-2], int.from_bytes(response[-2:], "big")
