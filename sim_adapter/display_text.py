"""What an operator's SIMs can show: characters that are refused, and room as the SIM counts it.

A text of GSM 03.38 alone has room for 239 septets, any other (Vietnamese with diacritics) is sent
as UCS-2 with room for 119 units, unless an operator's row says otherwise. Nothing is shortened or
replaced here: what the phone shows is part of what the person signs.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim_adapter.errors import TextRefused
from sim_adapter.ota import text as phone_text
from sim_adapter.ota.errors import TextUnfit
from sim_adapter.ota.text import Encoding


@dataclass(frozen=True, slots=True)
class TextLimits:
    """Room on an operator's SIMs, and the prefix that its contract asks for (else code 107)."""

    gsm7: int = phone_text.LIMIT_GSM7  # septets
    ucs2: int = phone_text.LIMIT_UCS2  # units of 16 bits
    prefix: str = ""

    @property
    def room(self) -> int:
        """Characters beside the prefix that fit whatever they are: one unit or two septets each."""
        return min(self.ucs2, self.gsm7 // 2) - len(self.prefix)


def check(text: str, limits: TextLimits) -> None:
    """``TextRefused`` unless ``text`` can be shown exactly as it is."""
    try:
        phone_text.check_showable(text)
        length = phone_text.measure(text)
    except TextUnfit as error:
        raise TextRefused("text_character", str(error)) from error
    if not text.startswith(limits.prefix):
        raise TextRefused("text_prefix_missing", "without the operator's prefix")
    room = limits.gsm7 if length.encoding is Encoding.GSM7 else limits.ucs2
    if length.units > room:
        raise TextRefused("text_too_long", f"{length.units} units, room for {room}")
