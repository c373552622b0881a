"""How a visitor wants the pages to look: theme, size of text, simple mode.

Kept in a cookie of its own (``dark.150.1``), which is no secret and needs no account: it works
before signing in, without a database and without scripts. It becomes attributes of ``<html>``
before a byte is sent, so that no page appears in another look first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consent_app import forms
from consent_app.faults import RequestMalformed

if TYPE_CHECKING:
    from collections.abc import Mapping

THEMES = ("system", "light", "dark")
TEXT_SIZES = (100, 125, 150, 200)
"""Per cent of the size that the browser is set to."""
SMALLEST_WHEN_SIMPLE = 125
_SHORT = 10  # characters; more is in none of these fields


@dataclass(frozen=True, slots=True)
class Appearance:
    """One visitor's choice. Only values of :data:`THEMES` and :data:`TEXT_SIZES` come here."""

    theme: str = "system"
    text_size: int = 100
    is_simple: bool = False

    @property
    def shown_size(self) -> int:
        """The size that counts: simple mode has larger type."""
        return max(self.text_size, SMALLEST_WHEN_SIMPLE) if self.is_simple else self.text_size

    @property
    def cookie(self) -> str:
        """The cookie's value, of the shape that ``cookies`` lets through."""
        return f"{self.theme}.{self.text_size}.{int(self.is_simple)}"


def from_cookie(value: str | None) -> Appearance:
    """The look that a cookie asks for; ``None``, one without the right shape, is the usual one."""
    if value is None:
        return Appearance()
    theme, size, simple = value.split(".")
    return Appearance(theme, int(size), simple == "1")


def from_form(form: Mapping[str, str]) -> Appearance:
    """What was chosen on the page of settings. Errors: ``RequestMalformed``."""
    theme, size = forms.one(form, "theme", _SHORT), forms.one(form, "text_size", _SHORT)
    if theme not in THEMES or size not in map(str, TEXT_SIZES):
        raise RequestMalformed("a look that there is not")
    return Appearance(theme, int(size), "simple" in form)
