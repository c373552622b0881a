"""How values are written for a person: dates, digests, names and foreign text."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

# Viet Nam has had one zone without summer time since 1975, so no zone database is needed.
VIETNAM = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")

_GROUP = 4
_MEGABYTES = 10  # from so many on kilobytes say too much
_SHOWN_DIGEST = 8  # hexadecimal digits at each end: 64 bits together
_SHOWN_SERIAL = 8
_MOST_MARKS = 3  # Vietnamese needs two above or below one letter, and NFC composes even these
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_EMPTY_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def date_time(moment: datetime) -> str:
    """``dd/MM/yyyy HH:mm`` in Viet Nam."""
    return moment.astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M")


def day(moment: datetime) -> str:
    """``dd/MM/yyyy`` in Viet Nam."""
    return moment.astimezone(VIETNAM).strftime("%d/%m/%Y")


def clock_time(moment: datetime) -> str:
    """``HH:mm:ss`` in Viet Nam."""
    return moment.astimezone(VIETNAM).strftime("%H:%M:%S")


def machine_time(moment: datetime) -> str:
    """RFC 3339, UTC, for the ``datetime`` attribute."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minutes_and_seconds(left: timedelta) -> tuple[int, int]:
    """Whole minutes and the seconds beyond them; nothing below zero."""
    return divmod(max(0, int(left.total_seconds())), 60)


def file_size(size: int) -> str:
    """``size`` in bytes as people say it: 120 kB, 12 MB; without fractions, which differ."""
    if size < _MEGABYTES * 1_000_000:
        return f"{max(1, round(size / 1000))} kB"
    return f"{round(size / 1_000_000)} MB"


def short_digest(digest: str) -> str:
    """Both ends of a hexadecimal digest in groups of four: ``9f86 d081 … 15b0 f00a``."""
    if len(digest) <= 2 * _SHOWN_DIGEST:
        return grouped(digest)
    return f"{grouped(digest[:_SHOWN_DIGEST])} … {grouped(digest[-_SHOWN_DIGEST:])}"


def short_serial(serial: str) -> str:
    """Both ends of a hexadecimal serial number, upper case, in groups of four."""
    return short_digest(serial.upper())


def grouped(text: str) -> str:
    """``text`` in groups of four characters."""
    return " ".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def algorithm_name(name: str | None) -> str:
    """``sha256``, ``sha512-256``, ``sha3-256`` as SHA-256, SHA-512/256, SHA3-256."""
    shown = (name or "").upper()
    if shown.startswith("SHA3-"):
        return shown
    return re.sub(
        r"^SHA-?(\d+)-?(\d+)?$", lambda m: f"SHA-{'/'.join(filter(None, m.groups()))}", shown
    )


def spoken(code: str) -> str:
    """``code`` with a space after each character, so that a screen reader reads each of them."""
    return " ".join(code)


def plain(text: str | None) -> str:
    """Text from outside, with nothing in it that could disguise it or the page around it.

    Characters that are invisible or change the direction of writing become a visible
    replacement, piled-up accents are cut, empty lines are closed up. Markup needs no care here:
    the templates escape it.
    """
    composed = unicodedata.normalize("NFC", (text or "").replace("\r\n", "\n")).strip()
    return _EMPTY_LINES.sub("\n", "".join(_visible(composed)))


def _visible(text: str) -> list[str]:
    characters: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if marks > _MOST_MARKS:
            continue
        hidden = category in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} and character not in "\n\t"
        characters.append(_REPLACEMENT if hidden else character)
    return characters
