"""Signing in and out."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.cookies import Notice
from consent_app.faults import RsspRefused
from consent_app.visit import Visit

if TYPE_CHECKING:
    from consent_app.rssp import SignedIn

router = APIRouter()

_LONGEST_NAME = 100
_LONGEST_PASSWORD = 256
_UNAUTHORIZED = 401
_OURS = re.compile(
    r"/|/account|/batch|/history|/(?:requests|services|history)/[0-9a-z]{26}"
    r"|/requests/[0-9a-z]{26}/documents/[0-9]{1,3}"
    r"|/passkeys(?:/[0-9a-z]{26}/(?:add|remove))?"
)


@router.get("/sign-in")
async def show(request: Request) -> Response:
    """The form; a visitor who is signed in goes on at once."""
    visit = Visit(request)
    after = next_address(visit.query().get("next"))
    if visit.session is not None:
        return visit.to(after)
    return visit.page("sign_in.html", after=after, username="", is_refused=False)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Ask the rssp for a session and keep it in the cookie, nowhere else."""
    visit = Visit(request)
    form = await visit.form()
    after = next_address(form.get("next"))
    username = forms.one(form, "username", _LONGEST_NAME).strip()
    password = forms.one(form, "password", _LONGEST_PASSWORD)
    if not username or not password:
        return _again(visit, after, username)
    try:
        signed_in = await visit.site.rssp.sign_in(username, password)
    except RsspRefused as refusal:
        if refusal.code != "sign_in_refused":
            raise
        return _again(visit, after, username)
    return _welcome(visit, after, signed_in)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session here and at the rssp."""
    visit = Visit(request)
    await visit.form()
    if visit.session is not None:
        with suppress(RsspRefused):  # it was over already
            await visit.site.rssp.sign_out(visit.session)
    visit.session = None
    response = visit.to("/sign-in", Notice("signed_out"))
    visit.site.cookies.drop(response, "session")
    return response


def next_address(wanted: str | None) -> str:
    """``wanted`` if it is one of our own pages, else the list: never another site."""
    return wanted if wanted is not None and _OURS.fullmatch(wanted) else "/"


def _again(visit: Visit, after: str, username: str) -> Response:
    return visit.page(
        "sign_in.html", status=_UNAUTHORIZED, after=after, username=username, is_refused=True
    )


def _welcome(visit: Visit, after: str, signed_in: SignedIn) -> Response:
    response = visit.to(after)
    visit.site.cookies.write(response, "session", signed_in.session)
    return response
