"""Language, theme, size of text, simple mode: with or without a session, and without the rssp."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import appearance, forms
from consent_app.cookies import Notice
from consent_app.faults import RequestMalformed
from consent_app.language import LANGUAGES
from consent_app.visit import Visit

router = APIRouter()

_PATH = "/settings"


@router.get(_PATH)
async def show(request: Request) -> Response:
    """The form, filled in with what holds."""
    return Visit(request).page(
        "settings.html", themes=appearance.THEMES, text_sizes=appearance.TEXT_SIZES
    )


@router.post(_PATH)
async def keep(request: Request) -> Response:
    """Keep the choice in this browser. Errors: ``RequestMalformed``, ``FormForged``."""
    visit = Visit(request)
    form = await visit.form()
    chosen = appearance.from_form(form)
    language = forms.one(form, "language", 2)
    if language not in LANGUAGES:
        raise RequestMalformed("a language that we don't speak")
    response = visit.to(_PATH, Notice("settings_kept"))
    visit.site.cookies.write(response, "look", chosen.cookie)
    visit.site.cookies.write(response, "language", language)
    return response
