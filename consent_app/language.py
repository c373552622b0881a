"""Vietnamese and English: which one to speak, and the texts.

The source texts in the templates are English; ``locales/*/LC_MESSAGES/consent_app.po`` holds the
texts that people see, also for English, so that wording can change without touching a template.
The catalogues are compiled at start, in memory: no built file can be older than its source.
"""

from __future__ import annotations

import io
from functools import cache
from gettext import GNUTranslations
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT = "vi"
LANGUAGES = ("vi", "en")
_LOCALES = Path(__file__).parent / "locales"
_MOST_RANGES = 10


def source(language: str) -> Path:
    """The file with the texts of ``language``, one of :data:`LANGUAGES`."""
    return _LOCALES / language / "LC_MESSAGES" / "consent_app.po"


@cache
def catalogue(language: str) -> GNUTranslations:
    """The texts of ``language``, one of :data:`LANGUAGES`."""
    with source(language).open("rb") as lines:
        messages = read_po(lines, locale=language, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return GNUTranslations(compiled)


def choose(cookie: str | None, accepted: str | None) -> str:
    """The language to answer in: the visitor's choice, else ``Accept-Language``, else Vietnamese.

    ``accepted`` is the header's value (RFC 9110 cl. 12.5.4); what makes no sense in it is ignored.
    """
    if cookie in LANGUAGES:
        return cookie
    for language in _by_weight((accepted or "").split(",")[:_MOST_RANGES]):
        if language in LANGUAGES:
            return language
    return DEFAULT


def _by_weight(ranges: Iterable[str]) -> list[str]:
    weighted: list[tuple[float, str]] = []
    for item in ranges:
        tag, _, parameter = item.strip().lower().partition(";")
        weight = _weight(parameter.strip())
        if weight > 0:
            weighted.append((weight, tag.strip().partition("-")[0]))
    weighted.sort(key=lambda pair: -pair[0])  # stable: equals stay in the header's order
    return [tag for _, tag in weighted]


def _weight(parameter: str) -> float:
    if not parameter:
        return 1.0
    number = parameter.removeprefix("q=")
    is_number = number.replace(".", "", 1).isdecimal() and len(number) <= len("0.000")
    return float(number) if parameter.startswith("q=") and is_number else 0.0
