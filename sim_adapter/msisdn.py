"""Telephone numbers (E.164) as TS 102 204 carries them, and as logs may show them."""

from __future__ import annotations

import re

from sim_adapter.errors import InvalidInput

_E164 = re.compile(r"\+?([1-9][0-9]{7,14})", re.ASCII)
_IN_TEXT = re.compile(r"(?<![0-9A-Za-z_-])\+?[1-9][0-9]{7,14}(?![0-9A-Za-z_-])", re.ASCII)
_SHOWN = 3


def normalise(number: str) -> str:
    """The digits of ``number`` (country code first, no ``+``); ``InvalidInput`` otherwise."""
    found = _E164.fullmatch(number)
    if found is None:
        raise InvalidInput("not a telephone number of E.164")
    return found[1]


def mask(number: str) -> str:
    """``number`` with only its last three digits to be seen."""
    return "*" * (len(number) - _SHOWN) + number[-_SHOWN:]


def mask_in(text: str) -> str:
    """``text`` with each telephone number in it masked."""
    return _IN_TEXT.sub(lambda found: mask(found[0]), text)
