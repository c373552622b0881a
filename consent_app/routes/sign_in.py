"""Signing in and out."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.faults import RsspAway, RsspRefused
from consent_app.module import LONGEST_SAID, for_module, json_object
from consent_app.routes.session import signed_out
from consent_app.visit import Visit

if TYPE_CHECKING:
    from consent_app.answers import SignedIn

router = APIRouter()

_LONGEST_NAME = 100
_LONGEST_PASSWORD = 256
_UNAUTHORIZED = 401
_OURS = re.compile(
    r"/|/account|/security|/lost-phone|/settings|/history|/(?:requests|services|history)/[0-9a-z]{26}"
    r"|/batch(?:\?without=[0-9a-z]{26}(?:\.[0-9a-z]{26}){0,49})?"
    r"|/requests/[0-9a-z]{26}/(?:sim|documents/[0-9]{1,3})"
    r"|/passkeys(?:/[0-9a-z]{26}/(?:add|remove))?"
    r"|/welcome|/certificates|/delegation|/help|/activate|/validate"
    r"|/devices(?:/add|/[0-9a-z]{26}/remove)?|/pins/[0-9a-z]{26}/(?:choose|change)"
)


@router.get("/sign-in")
async def show(request: Request) -> Response:
    """The form; a visitor who is signed in goes on at once."""
    visit = Visit(request)
    after = next_address(visit.query().get("next"))
    if visit.session is not None:
        return visit.to(after)
    return sign_in_page(visit, after)


@router.get("/sign-in/passkey")
@router.get("/sign-in/openid")
async def go_back(request: Request) -> Response:
    """A reload or a restored tab of a form's address leads to the form."""
    return Visit(request).to("/sign-in")


@router.post("/sign-in/options")
async def question(request: Request) -> Response:
    """For the module: what whichever passkey the visitor picks is asked."""
    visit = Visit(request)
    await visit.form()
    return await for_module(visit.site.coming_in.question())


@router.post("/sign-in/passkey")
async def by_passkey(request: Request) -> Response:
    """Send the passkey's answer on, for a session."""
    visit = Visit(request)
    form = await visit.form()
    after = next_address(form.get("next"))
    answer = json_object(forms.one(form, "answer", LONGEST_SAID))
    try:
        signed_in = await visit.site.coming_in.sign_in(answer)
    except RsspRefused as refusal:
        if refusal.code != "sign_in_refused":
            raise
        return sign_in_page(visit, after, refused="passkey")
    return welcome(visit, after, signed_in)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Ask the rssp for a session and keep it in the cookie, nowhere else."""
    visit = Visit(request)
    form = await visit.form()
    after = next_address(form.get("next"))
    username = forms.one(form, "username", _LONGEST_NAME).strip()
    password = forms.one(form, "password", _LONGEST_PASSWORD)
    if not username or not password:
        return sign_in_page(visit, after, username, refused="password")
    try:
        signed_in = await visit.site.rssp.sign_in(username, password)
    except RsspRefused as refusal:
        if refusal.code != "sign_in_refused":
            raise
        return sign_in_page(visit, after, username, refused="password")
    return welcome(visit, after, signed_in)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session here and at the rssp; when that is away, here.

    A computer may be shared: who leaves it must be able to. The rssp ends what is not used.
    """
    visit = Visit(request)
    await visit.form()
    if visit.session is not None:
        with suppress(RsspRefused, RsspAway):  # refused: it was over already
            await visit.site.rssp.sign_out(visit.session)
    return signed_out(visit)


def next_address(wanted: str | None) -> str:
    """``wanted`` if it is one of our own pages, else the list: never another site."""
    return wanted if wanted is not None and is_ours(wanted) else "/"


def is_ours(address: str) -> bool:
    """Whether it is one of our own pages where a visitor can go on."""
    return _OURS.fullmatch(address) is not None


def sign_in_address(after: str) -> str:
    """Where the form is that leads to ``after``, one of our own pages."""
    return "/sign-in" if after == "/" else f"/sign-in?{urlencode({'next': after})}"


def sign_in_page(visit: Visit, after: str, username: str = "", refused: str = "") -> Response:
    """The ways in: passkey, password, and the identity provider where there is one."""
    offered = visit.site.config.openid
    return visit.page(
        "sign_in.html",
        status=_UNAUTHORIZED if refused else 200,
        here=sign_in_address(after),
        has_script=True,
        form_origin=None if offered is None else offered.origin,
        openid=offered,
        after=after,
        username=username,
        refused=refused,
    )


def welcome(visit: Visit, after: str, signed_in: SignedIn) -> Response:
    """On to ``after`` with the new session, which takes the place of whatever cookie came."""
    response = visit.to(after)
    visit.site.cookies.write(response, "session", signed_in.session)
    return response
