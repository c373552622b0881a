"""What a phone can show, in which octets, and what it must not show."""

from __future__ import annotations

import unicodedata

import pytest

from sim_adapter.ota import text
from sim_adapter.ota.errors import Malformed, TextUnfit
from sim_adapter.ota.text import Encoding

VIETNAMESE = "Ký Quyết định 12/QĐ-UBND ngày 05/03/2026 của Ủy ban nhân dân tỉnh"


@pytest.mark.parametrize(
    ("shown", "encoding", "octets"),
    [
        ("abc @", Encoding.GSM7, "6162632000"),
        ("{€}", Encoding.GSM7, "1b281b651b29"),
        ("Ω", Encoding.GSM7, "15"),
        ("Ký", Encoding.UCS2, "004b00fd"),
        ("đ", Encoding.UCS2, "0111"),
    ],
)
def test_a_text_has_its_octets(shown: str, encoding: Encoding, octets: str) -> None:
    assert text.encode(shown) == (encoding, bytes.fromhex(octets))
    assert text.decode(encoding, bytes.fromhex(octets)) == shown


def test_the_default_alphabet_is_whole_and_without_doubles() -> None:
    codes = [code for code in range(128) if code != 0x1B]
    assert len({text.decode(Encoding.GSM7, bytes([code])) for code in codes}) == 127


@pytest.mark.parametrize("septets", [b"\x1b", b"\x1b\x41", b"\x80", b"\x1b\x1b"])
def test_septets_outside_the_alphabet_are_malformed(septets: bytes) -> None:
    with pytest.raises(Malformed):
        text.decode(Encoding.GSM7, septets)


@pytest.mark.parametrize("octets", [b"\x00", b"\xd8\x00\xdc\x00"])
def test_ucs2_is_whole_units_without_surrogates(octets: bytes) -> None:
    with pytest.raises(Malformed):
        text.decode(Encoding.UCS2, octets)


@pytest.mark.parametrize(
    ("shown", "units", "fits"),
    [
        ("a" * 239, 239, True),
        ("a" * 240, 240, False),
        ("€" * 119, 238, True),
        ("€" * 120, 240, False),
        ("ế" * 119, 119, True),
        ("ế" * 120, 120, False),
        ("a" * 119 + "ế", 120, False),
        (VIETNAMESE, len(VIETNAMESE), True),
    ],
)
def test_room_is_counted_in_units(shown: str, units: int, *, fits: bool) -> None:
    length = text.measure(shown)
    assert (length.units, length.fits) == (units, fits)
    if not fits:
        with pytest.raises(TextUnfit, match="units"):
            text.encode(shown)


DECEIVING = {
    "empty": "",
    "blank": " ",
    "two spaces": "a  b",
    "at the end": "a ",
    "control": "a\x07b",
    "new line": "a\nb",
    "bidi override": "a\u202eb",
    "isolate": "a\u2066b",
    "zero width": "a\u200bb",
    "joiner": "a\u200db",
    "soft hyphen": "a\u00adb",
    "no-break space": "a\u00a0b",
    "line separator": "a\u2028b",
    "private": "a\ue000b",
    "unassigned": "a\u0378b",
    "combining": "q\u0323",
    "decomposed": unicodedata.normalize("NFD", "Ký"),
    "filler": "a\u3164b",
    "blank Braille": "a\u2800b",
    "variation": "a\ufe0fb",
    "half a pair": "a\ud800b",
}


@pytest.mark.parametrize("kind", DECEIVING)
def test_a_text_that_could_deceive_is_refused(kind: str) -> None:
    with pytest.raises(TextUnfit):
        text.encode(DECEIVING[kind])


def test_what_lies_beyond_sixteen_bits_is_refused() -> None:
    with pytest.raises(TextUnfit, match="16 bits"):
        text.encode("a😀")
    with pytest.raises(TextUnfit):
        text.encode_as(Encoding.UCS2, "😀")
    with pytest.raises(TextUnfit):
        text.encode_as(Encoding.GSM7, "đ")


@pytest.mark.parametrize(
    ("septets", "packed"),
    [(b"hello", "e8329bfd06"), (b"", ""), (b"1234567", "31d98c56b3dd00"), (b"\x00" * 8, "00" * 7)],
)
def test_septets_are_packed(septets: bytes, packed: str) -> None:
    assert text.pack(septets).hex() == packed
    assert text.unpack(bytes.fromhex(packed), len(septets)) == septets


def test_packed_septets_of_another_length_are_malformed() -> None:
    with pytest.raises(Malformed):
        text.unpack(b"\xe8\x32", 5)
