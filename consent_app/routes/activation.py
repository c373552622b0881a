"""Opening a new account with a one-time code, and what is still to be set after that.

The code comes behind the "#" of the link, which browsers send to nobody; without JavaScript it is
typed. Opening the page uses nothing up.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.faults import RsspRefused
from consent_app.routes.session import required_session
from consent_app.routes.sign_in import welcome
from consent_app.visit import Visit

router = APIRouter()

_LONGEST_CODE = 40
_SHORTEST_PASSWORD, _LONGEST_PASSWORD = 12, 256
_UNAUTHORIZED = 401


@router.get("/activate")
async def show(request: Request) -> Response:
    """Where the code is given and a password is chosen."""
    return _page(Visit(request), "")


@router.post("/activate")
async def activate(request: Request) -> Response:
    """Use the code; then on to the other steps, signed in."""
    visit = Visit(request)
    form = await visit.form()
    code = forms.one(form, "code", _LONGEST_CODE).strip()
    password = forms.one(form, "password", _LONGEST_PASSWORD)
    if len(password) < _SHORTEST_PASSWORD:
        return _page(visit, "short", code)
    if password != forms.one(form, "again", _LONGEST_PASSWORD):
        return _page(visit, "differ", code)
    if not code:
        return _page(visit, "code")
    try:
        signed_in = await visit.site.coming_in.activate(code, password)
    except RsspRefused as refusal:
        if refusal.code != "sign_in_refused":
            raise
        return _page(visit, "code")
    return welcome(visit, "/welcome", signed_in)


@router.get("/welcome")
async def steps(request: Request) -> Response:
    """What is set, and what is still to do. To be left and opened again at any time."""
    visit = Visit(request)
    found = await visit.site.coming_in.holdings(required_session(visit))
    return visit.page("welcome.html", has_script=True, found=found, signer=found.subscriber)


def _page(visit: Visit, fault: str, code: str = "") -> Response:
    return visit.page(
        "activate.html",
        status=_UNAUTHORIZED if fault else 200,
        fault=fault,
        code=code,
        has_script=True,
    )
