"""Card application toolkit: proactive commands and terminal responses (ETSI TS 102 223 cl. 6, 8).

Both directions, for the card and for the handset. Tags are read with and without the comprehension
bit. Texts are in the toolkit's codings of :mod:`sim_adapter.ota.text`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from sim_adapter.ota import text
from sim_adapter.ota.errors import Malformed
from sim_adapter.ota.octets import Octets, tlv, tlvs

_PROACTIVE, _ENVELOPE_SMS = 0xD0, 0xD1
_DETAILS, _DEVICES, _RESULT = 0x81, 0x82, 0x83
_ADDRESS, _TPDU, _TEXT, _LENGTH, _TIME = 0x86, 0x8B, 0x8D, 0x91, 0xA6
_COMPREHENSION = 0x80
_CARD, _TERMINAL, _NETWORK, _DISPLAY = 0x81, 0x82, 0x83, 0x02
_FIRST_NUMBER = 1


class Act(enum.IntEnum):
    """Types of proactive command."""

    SEND_SHORT_MESSAGE = 0x13
    DISPLAY_TEXT = 0x21
    GET_INPUT = 0x23
    LOCAL_INFORMATION = 0x26


class Result(enum.IntEnum):
    """General results that matter here; others are read as they are."""

    OK = 0x00
    ENDED_BY_USER = 0x10
    BACKWARD = 0x11
    NO_RESPONSE = 0x12
    TERMINAL_BUSY = 0x20
    NETWORK_BUSY = 0x21
    NOT_ACCEPTED = 0x22
    BEYOND_CAPABILITY = 0x30
    NOT_UNDERSTOOD = 0x32


_WAIT_FOR_USER = 0x80
_HIGH_PRIORITY = 0x01
_HIDE = 0x04
_DATE_TIME = 0x03


@dataclass(frozen=True, slots=True)
class Proactive:
    """One proactive command, as far as its type uses the fields."""

    act: Act
    number: int = _FIRST_NUMBER
    qualifier: int = 0
    text: str = ""
    lengths: tuple[int, int] = (0, 0)  # of an input, shortest and longest
    tpdu: bytes = b""

    @property
    def hides_input(self) -> bool:
        """Whether what is typed must not be seen."""
        return self.act is Act.GET_INPUT and bool(self.qualifier & _HIDE)

    def encode(self) -> bytes:
        """The octets that FETCH gives."""
        other = {Act.DISPLAY_TEXT: _DISPLAY, Act.SEND_SHORT_MESSAGE: _NETWORK}
        parts = [
            tlv(_DETAILS, bytes([self.number, self.act, self.qualifier])),
            tlv(_DEVICES, bytes([_CARD, other.get(self.act, _TERMINAL)])),
        ]
        if self.text:
            parts.append(tlv(_TEXT, _coded(self.text)))
        if self.act is Act.GET_INPUT:
            parts.append(tlv(_LENGTH, bytes(self.lengths)))
        if self.tpdu:
            parts.append(tlv(_TPDU, self.tpdu))
        return tlv(_PROACTIVE, b"".join(parts))

    @classmethod
    def parse(cls, octets: bytes) -> Proactive:
        """The reverse; ``Malformed`` for what a handset could not carry out."""
        fields = _inside(octets, _PROACTIVE)
        number, act, qualifier = _sized(fields, _DETAILS, 3)
        _sized(fields, _DEVICES, 2)
        if act not in set(Act):
            raise Malformed(f"a proactive command of type {act:#04x}")
        shown = _decoded(fields[_TEXT]) if _TEXT in fields else ""
        lengths = tuple(_sized(fields, _LENGTH, 2)) if act == Act.GET_INPUT else (0, 0)
        tpdu = fields.get(_TPDU, b"")
        return cls(Act(act), number, qualifier, shown, (lengths[0], lengths[1]), tpdu)


def display(shown: str) -> Proactive:
    """Show a page until the person presses something."""
    return Proactive(Act.DISPLAY_TEXT, qualifier=_WAIT_FOR_USER | _HIGH_PRIORITY, text=shown)


def ask_hidden(prompt: str, shortest: int, longest: int) -> Proactive:
    """Ask for digits that nobody shall see."""
    return Proactive(Act.GET_INPUT, qualifier=_HIDE, text=prompt, lengths=(shortest, longest))


def ask_time() -> Proactive:
    """Ask the handset for date, time and zone."""
    return Proactive(Act.LOCAL_INFORMATION, qualifier=_DATE_TIME)


def send(tpdu: bytes) -> Proactive:
    """Have the handset send an SMS-SUBMIT as it is."""
    return Proactive(Act.SEND_SHORT_MESSAGE, tpdu=tpdu)


def numbered(command: Proactive, number: int) -> Proactive:
    """``command`` as number ``number`` (1 to 254) of the card."""
    return replace(command, number=number)


@dataclass(frozen=True, slots=True)
class TerminalResponse:
    """What a handset says of the command ``number``."""

    number: int
    act: int
    qualifier: int
    result: int
    text: str = ""
    time: bytes = b""  # seven octets, as in SMS

    def encode(self) -> bytes:
        """The data of TERMINAL RESPONSE."""
        parts = [
            tlv(_DETAILS, bytes([self.number, self.act, self.qualifier])),
            tlv(_DEVICES, bytes([_TERMINAL, _CARD])),
            tlv(_RESULT, bytes([self.result])),
        ]
        if self.text:
            parts.append(tlv(_TEXT, _coded(self.text)))
        if self.time:
            parts.append(tlv(_TIME, self.time))
        return b"".join(parts)

    @classmethod
    def parse(cls, data: bytes) -> TerminalResponse:
        """The reverse; ``Malformed`` otherwise."""
        fields = _unique(data)
        number, act, qualifier = _sized(fields, _DETAILS, 3)
        _sized(fields, _DEVICES, 2)
        result = fields.get(_RESULT, b"")
        if not result:
            raise Malformed("a terminal response without a result")
        shown = _decoded(fields[_TEXT]) if _TEXT in fields else ""
        time = _sized(fields, _TIME, 7) if _TIME in fields else b""
        return cls(number, act, qualifier, result[0], shown, time)


def envelope(tpdu: bytes) -> bytes:
    """The data of ENVELOPE (SMS-PP download) with an SMS-DELIVER (3GPP TS 31.111 cl. 7.1.1.2)."""
    return tlv(_ENVELOPE_SMS, tlv(_DEVICES, bytes([_NETWORK, _CARD])) + tlv(_TPDU, tpdu))


def parse_envelope(data: bytes) -> bytes:
    """The SMS-DELIVER inside; ``Malformed`` for an envelope of another kind."""
    fields = _inside(data, _ENVELOPE_SMS)
    if _sized(fields, _DEVICES, 2) != bytes([_NETWORK, _CARD]) or _TPDU not in fields:
        raise Malformed("not an SMS-PP download")
    return fields[_TPDU]


def _inside(octets: bytes, tag: int) -> dict[int, bytes]:
    cursor = Octets(octets)
    if cursor.number() != tag:
        raise Malformed("another kind of toolkit object")
    content = cursor.take(cursor.length())
    cursor.done()
    return _unique(content)


def _unique(data: bytes) -> dict[int, bytes]:
    pairs = [(tag | _COMPREHENSION, value) for tag, value in tlvs(data)]
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a toolkit object comes twice")
    return found


def _sized(fields: dict[int, bytes], tag: int, size: int) -> bytes:
    value = fields.get(tag, b"")
    if len(value) != size:
        raise Malformed(f"toolkit object {tag:#04x} is missing or of the wrong length")
    return value


def _coded(shown: str) -> bytes:
    encoding = text.measure(shown).encoding
    return bytes([encoding]) + text.encode_as(encoding, shown)


def _decoded(value: bytes) -> str:
    if not value:
        return ""
    try:
        return text.decode(text.Encoding(value[0]), value[1:])
    except ValueError:
        raise Malformed("no such coding of a text") from None
