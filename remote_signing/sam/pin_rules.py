"""Which signing PINs an official may choose: none of those that are tried first.

Among people's PINs, dates, runs, repetitions and a few shapes on the keypad are most of what is
guessed early (Bonneau et al., "A Birthday Present Every Eleven Wallets?", 2012; Markert et al.,
"This PIN Can Be Easily Guessed", 2020). About one six-digit number in eleven is refused here.
"""

from __future__ import annotations

import itertools
from datetime import date
from typing import Final

from remote_signing.errors import PinRefused

SHORTEST, LONGEST = 6, 12
_LONGEST_RUN: Final = 4
_FEWEST_DIGITS: Final = 3
_YEARS = range(1900, 2100)
# Drawn on the keypad, or typed by those who were asked for six digits and had a habit of four.
_COMMON: Final = frozenset(
    {
        *("147258", "258369", "147369", "159753", "159357", "753951", "357159", "147896"),
        *("741852", "852963", "963852", "789456", "456123", "101010", "102030", "112233"),
        *("123321", "654321", "520131", "131420", "142536", "192837", "321654", "686868"),
        *("14725836", "15935728", "12344321", "11223344", "147258369", "789456123"),
    }
)
# How somebody may have written a date, by its length. Of a year with two digits any century does.
_DATES: Final = {
    6: ("DDMMYY", "YYMMDD", "MMDDYY"),
    8: ("DDMMYYYY", "YYYYMMDD", "MMDDYYYY"),
}
_CENTURY: Final = 2000


def check(pin: str) -> None:
    """Refuse a PIN that is not 6 to 12 digits, or among the first to be guessed.

    Errors: ``PinRefused``, with the rule as its public ``reason``; nothing names the PIN.
    """
    if not (pin.isascii() and pin.isdecimal() and SHORTEST <= len(pin) <= LONGEST):
        raise PinRefused("not 6 to 12 digits", reason="shape")
    for rule, is_broken in _RULES.items():
        if is_broken(pin):
            raise PinRefused("would be guessed", reason=rule)


def _is_run(pin: str) -> bool:
    """More than four digits in a row that go up by one, down by one, or stay; 9 comes before 0."""
    steps = [(int(after) - int(before)) % 10 for before, after in itertools.pairwise(pin)]
    runs = [len(list(run)) + 1 for step, run in itertools.groupby(steps) if step in {0, 1, 9}]
    return max(runs, default=0) > _LONGEST_RUN


def _is_repetition(pin: str) -> bool:
    """Two different digits at most, or the same piece again and again."""
    period = (pin + pin).find(pin, 1)
    return len(set(pin)) < _FEWEST_DIGITS or period < len(pin)


def _is_date(pin: str) -> bool:
    return any(_is_day(pin, form) for form in _DATES.get(len(pin), ()))


def _is_day(pin: str, form: str) -> bool:
    def part(letter: str) -> int:
        return int(
            "".join(digit for digit, place in zip(pin, form, strict=True) if place == letter)
        )

    year = part("Y") if "YYYY" in form else _CENTURY + part("Y")
    try:
        return date(year, part("M"), part("D")).year in _YEARS
    except ValueError:
        return False


_RULES = {
    "run": _is_run,
    "repetition": _is_repetition,
    "date": _is_date,
    "common": _COMMON.__contains__,
}
