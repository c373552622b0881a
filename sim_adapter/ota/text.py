"""Texts that a phone shows: the GSM 7-bit default alphabet, UCS-2, and what fits.

3GPP TS 23.038 cl. 6.2.1 (with the extension table) and cl. 6.2.3. Coded texts travel in the form of
a toolkit text string (TS 102 223 cl. 8.15): one septet per octet, or two octets per character.
Vietnamese letters are not in the default alphabet, so a text that has one is UCS-2.
"""

from __future__ import annotations

import enum
import unicodedata
from dataclasses import dataclass

from sim_adapter.ota.errors import Malformed, TextUnfit

LIMIT_GSM7 = 239
LIMIT_UCS2 = 119
_ESCAPE = 0x1B
_LAST_BMP = 0xFFFF
_LARGEST_SEPTET = 0x7F
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_SEPTETS = {character: bytes([code]) for code, character in enumerate(_BASIC) if code != _ESCAPE}
_SEPTETS |= {character: bytes([_ESCAPE, code]) for code, character in _EXTENDED.items()}
_CATEGORIES = ("L", "N", "P", "S")
# Letters and signs by their category, and yet nothing to see: fillers and the blank Braille cell.
_UNSEEN = frozenset("\u115f\u1160\u3164\uffa0\u2800")


class Encoding(enum.IntEnum):
    """Data coding of a toolkit text string."""

    GSM7 = 0x04  # the default alphabet, one septet in each octet
    UCS2 = 0x08  # big-endian, no surrogates


@dataclass(frozen=True, slots=True)
class Measure:
    """How long a text is for a phone. An extension character takes two units of GSM-7."""

    encoding: Encoding
    units: int
    limit: int

    @property
    def fits(self) -> bool:
        """Whether two short messages carry it and every screen takes it."""
        return self.units <= self.limit


def measure(text: str) -> Measure:
    """Encoding, units and limit of ``text``; ``TextUnfit`` beyond the 16 bits of UCS-2."""
    if all(character in _SEPTETS for character in text):
        units = sum(len(_SEPTETS[character]) for character in text)
        return Measure(Encoding.GSM7, units, LIMIT_GSM7)
    if any(ord(character) > _LAST_BMP for character in text):
        raise TextUnfit("a character beyond 16 bits")
    return Measure(Encoding.UCS2, len(text), LIMIT_UCS2)


def encode(text: str) -> tuple[Encoding, bytes]:
    """``text`` in the shorter encoding; ``TextUnfit`` if it is too long or could deceive."""
    check_showable(text)
    length = measure(text)
    if not length.fits:
        raise TextUnfit(f"{length.units} units where {length.limit} fit")
    return length.encoding, encode_as(length.encoding, text)


def encode_as(encoding: Encoding, text: str) -> bytes:
    """``text`` in that encoding, whatever its length; ``TextUnfit`` if it has no such form."""
    try:
        if encoding is Encoding.GSM7:
            return b"".join(_SEPTETS[character] for character in text)
        return b"".join(ord(character).to_bytes(2, "big") for character in text)
    except (KeyError, OverflowError):
        raise TextUnfit("a character outside the alphabet") from None


def decode(encoding: Encoding, octets: bytes) -> str:
    """The text; ``Malformed`` unless :func:`encode_as` gives exactly these octets for it."""
    return _decode_gsm7(octets) if encoding is Encoding.GSM7 else _decode_ucs2(octets)


def _decode_gsm7(octets: bytes) -> str:
    characters: list[str] = []
    rest = iter(octets)
    for code in rest:
        found = _EXTENDED.get(next(rest, -1)) if code == _ESCAPE else _BASIC[code : code + 1]
        if not found:
            raise Malformed("not a character of the default alphabet")
        characters.append(found)
    return "".join(characters)


def _decode_ucs2(octets: bytes) -> str:
    if len(octets) % 2:
        raise Malformed("half a character of UCS-2")
    text = "".join(
        chr(int.from_bytes(octets[at : at + 2], "big")) for at in range(0, len(octets), 2)
    )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Malformed("a surrogate in UCS-2")
    return text


def check_showable(text: str) -> None:
    """``TextUnfit`` unless everybody reads the text as it is.

    Composed letters (NFC), digits, punctuation and symbols with single spaces between them: nothing
    that is invisible, a control, changes the direction of writing, or sits upon another sign.
    """
    if not text or unicodedata.normalize("NFC", text) != text or "" in text.split(" "):
        raise TextUnfit("empty, not composed, or with spaces where none belong")
    for character in text:
        seen = character == " " or unicodedata.category(character)[0] in _CATEGORIES
        if not seen or character in _UNSEEN:
            raise TextUnfit(f"U+{ord(character):04X} cannot be shown safely")


def pack(septets: bytes) -> bytes:
    """Eight septets in seven octets (TS 23.038 cl. 6.1.2.1); ``Malformed`` for larger values."""
    if any(septet > _LARGEST_SEPTET for septet in septets):
        raise Malformed("a septet of eight bits")
    value = sum(septet << (7 * at) for at, septet in enumerate(septets))
    return value.to_bytes((7 * len(septets) + 7) // 8, "little")


def unpack(packed: bytes, count: int) -> bytes:
    """``count`` septets, one per octet; ``Malformed`` unless they are all of ``packed``."""
    if len(packed) != (7 * count + 7) // 8:
        raise Malformed("septets and octets do not agree")
    value = int.from_bytes(packed, "little")
    return bytes(value >> (7 * at) & 0x7F for at in range(count))
