"""The list of waiting requests, one request, and the answer to it."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.cookies import Notice
from consent_app.express import Stop
from consent_app.faults import RsspAway, RsspRefused
from consent_app.routes.session import required_session
from consent_app.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Mapping

router = APIRouter()

Name = Annotated[str, Path(pattern=r"^[0-9a-z]{26}$")]

LONGEST_PIN = 64
LONGEST_CODE = 32
_LONGEST_FILTER = 80  # characters, as the rssp takes them
_LONGEST_TEXT = 300
_CODE = re.compile(r"[0-9]{6}")
_GONE = 410

# The rssp's problem codes that the signer is told of on the request's own page.
_NOTICES = {
    "evidence_invalid": "wrong",
    "credential_locked": "locked",
    "credential_disabled": "disabled",
    "certificate_expired": "certificate_expired",
    "code_unmatched": "unmatched",
    "code_mismatched": "mismatched",
    "conflict": "answered",
    "request_denied": "answered",
    "request_expired": "answered",
    "sim_busy": "sim_busy",
    "sim_asked_often": "sim_asked_often",
    "sim_suspended": "sim_suspended",
    "sim_unknown": "sim_suspended",
}


@router.get("/")
async def show_list(request: Request) -> Response:
    """What waits for this signer, narrowed by portal, urgency and text."""
    visit = Visit(request)
    wanted = chosen(visit, ("portal", "urgency", "q", "after"))
    waiting = await visit.site.rssp.waiting(required_session(visit), **wanted)
    return visit.page(
        "waiting.html",
        has_script=True,
        is_kept=not wanted,
        waiting=waiting,
        signer=waiting.subscriber,
        wanted=wanted,
    )


@router.get("/requests/{name}")
async def show(request: Request, name: Name) -> Response:
    """One request: the question while it waits, else how it ended."""
    visit = Visit(request)
    asked = await visit.site.rssp.signature_request(required_session(visit), name)
    # Step 2a: who asks, for what, until when, and the code that the portal shows too.
    if asked.shown_state == "PENDING":
        return visit.page(
            "request.html",
            asked=asked,
            # One after another: a right code leads straight to the next request.
            is_in_turn=visit.query().get("then") == "next",
            signer=asked.subscriber,
            form_origin=asked.redirect_origin,
            has_script=True,
        )
    return visit.page(
        "outcome.html",
        status=_GONE if asked.shown_state == "EXPIRED" else 200,
        has_script=True,
        asked=asked,
        state=asked.shown_state,
        signer=asked.subscriber,
    )


@router.get("/requests/{name}/{_answer}")
async def go_back(request: Request, name: Name, _answer: str) -> Response:
    """A reload or a bookmark of a form's address leads to the request."""
    return Visit(request).to(f"/requests/{name}")


@router.post("/requests/{name}/approve")
async def approve(request: Request, name: Name) -> Response:
    """Send PIN and one-time code on; then back to the portal, or to the result."""
    visit = Visit(request)
    form = await visit.form()
    session = required_session(visit)
    here = f"/requests/{name}"
    pin = forms.one(form, "pin", LONGEST_PIN).strip()
    code = code_digits(forms.one(form, "otp", LONGEST_CODE))
    if not pin or code is None:
        return visit.to(f"{here}#answer", Notice("incomplete", name))
    rssp, repeats = visit.site.rssp, visit.site.repeats
    try:
        outcome = await repeats.once(
            ("approve", session, name, pin, code), lambda: rssp.approve(session, name, pin, code)
        )
    except (RsspRefused, RsspAway) as fault:
        notice = notice_of(fault, name)
        # What is not about the two fields is told at the top of the page.
        return visit.to(f"{here}#answer" if notice.kind == "wrong" else here, notice)
    return visit.to(outcome.redirect_to or here)


EXPRESS = {
    ("GET", ""): Stop("/requests/{name}", show),
    ("POST", "/approve"): Stop("/requests/{name}/approve", approve),
}
"""What each signature passes, by method and end of the address: see ``consent_app.express``."""


@router.post("/requests/{name}/match")
async def match(request: Request, name: Name) -> Response:
    """Send the code on that was picked; a wrong one has refused the request."""
    visit = Visit(request)
    form = await visit.form()
    code = forms.one(form, "code", LONGEST_CODE)
    here = f"/requests/{name}"
    then = f"/batch/next?after={name}" if form.get("then") == "next" else f"{here}#answer"
    try:
        await visit.site.rssp.match(required_session(visit), name, code)
    except (RsspRefused, RsspAway) as fault:
        return visit.to(here, notice_of(fault, name))
    return visit.to(then)


@router.post("/requests/{name}/refuse")
async def refuse(request: Request, name: Name) -> Response:
    """Refuse or return for good; then back to the portal, or to the result."""
    visit = Visit(request)
    form = await visit.form()
    denial = _denial(form)
    session = required_session(visit)
    here = f"/requests/{name}"
    rssp, repeats = visit.site.rssp, visit.site.repeats
    try:
        outcome = await repeats.once(
            ("refuse", session, name, *(denial or {}).values()),
            lambda: rssp.refuse(session, name, denial),
        )
    except (RsspRefused, RsspAway) as fault:
        if isinstance(fault, RsspAway) and fault.is_settled and denial and "text" in denial:
            raise  # to the page that keeps what was typed and says that nothing was changed
        return visit.to(here, notice_of(fault, name))
    # The page that kept the form lets it lead to ourselves only: it does not know the portal.
    return visit.to(here if "again" in form else outcome.redirect_to or here)


def notice_of(fault: RsspRefused | RsspAway, name: str) -> Notice:
    """What the signer is told after ``fault``; raises it again when it is not about the request."""
    if isinstance(fault, RsspAway):
        return Notice("unavailable" if fault.is_settled else "unknown", name)
    if fault.code not in _NOTICES:
        raise fault
    return Notice(_NOTICES[fault.code], name, fault.attempts_left)


def code_digits(typed: str) -> str | None:
    """``123 456`` or full-width digits as the six digits that were meant; None otherwise."""
    code = "".join(unicodedata.normalize("NFKC", typed).split())
    return code if _CODE.fullmatch(code) else None


def chosen(visit: Visit, names: tuple[str, ...]) -> dict[str, str]:
    """What the visitor narrowed a list by; what is empty or none of ``names`` is left out."""
    found = visit.query()
    return {name: found[name][:_LONGEST_FILTER] for name in names if found.get(name, "").strip()}


def _denial(form: Mapping[str, str]) -> dict[str, str] | None:
    """How and why the signer says no; None when the form asks for neither."""
    kind, reason = form.get("kind", ""), form.get("reason", "")
    text = forms.written(form, "text", _LONGEST_TEXT)
    if kind not in {"refused", "returned"} or (kind == "refused" and not (reason or text)):
        return None
    members = {"kind": kind, "reason": reason or "other"}
    return members | {"text": text} if text else members
