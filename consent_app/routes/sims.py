"""Consent by the key in the signer's SIM: ask it, wait for it, withdraw the question.

The page works without JavaScript: it reloads itself. With it, a small module asks until something
has changed. Nothing here tries another factor when the SIM gives no consent.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from consent_app import forms
from consent_app.cookies import Notice
from consent_app.faults import RsspAway, RsspRefused
from consent_app.routes.requests import Name, notice_of
from consent_app.routes.session import required_session
from consent_app.visit import Visit

if TYPE_CHECKING:
    from consent_app.answers import SignatureRequest

router = APIRouter()

_LONGEST_ID = 26
_WAIT = 20  # seconds that one question of the module is held open
_RELOAD = 4  # seconds until a page without JavaScript looks again


@router.post("/requests/{name}/sim/ask")
async def ask(request: Request, name: Name) -> Response:
    """Ask the SIM that was chosen; then wait for it."""
    visit = Visit(request)
    form = await visit.form()
    session, here = required_session(visit), f"/requests/{name}"
    factor = forms.one(form, "factor", _LONGEST_ID)
    try:
        await visit.site.rssp.ask_sim(session, name, factor, visit.language)
    except (RsspRefused, RsspAway) as fault:
        return visit.to(here, notice_of(fault, name))
    return visit.to(f"{here}/sim")


@router.get("/requests/{name}/sim")
async def wait(request: Request, name: Name) -> Response:
    """The code and the text that the phone shows, until it has answered."""
    visit = Visit(request)
    session = required_session(visit)
    rssp = visit.site.rssp
    asked = await rssp.signature_request(session, name)
    question = asked.sim
    if question is not None and question.state == "WAITING":
        with suppress(RsspAway):  # the next reload may hear more
            question = await rssp.sim_question(session, name)
    if question is None or question.state == "APPROVED":
        return await _go_on(visit, session, asked, is_approved=question is not None)
    return visit.page(
        "sim.html",
        asked=asked,
        question=question,
        reload=_RELOAD,
        signer=asked.subscriber,
        # Cancelled too late, the question leads on to where its consent does.
        form_origin=asked.redirect_origin,
        has_script=True,
    )


@router.get("/requests/{name}/sim/state")
async def state(request: Request, name: Name, version: Annotated[int, Query(ge=0)] = 0) -> Response:
    """For the module: held open until something has changed."""
    visit = Visit(request)
    question = await visit.site.rssp.sim_question(required_session(visit), name, _WAIT, version)
    members = {
        "state": question.state,
        "version": question.version,
        "isDelivered": question.is_delivered,
    }
    return JSONResponse(members)


@router.post("/requests/{name}/sim/cancel")
async def cancel(request: Request, name: Name) -> Response:
    """Withdraw the question. The phone may have answered first: the page says what counts."""
    visit = Visit(request)
    await visit.form()
    here = f"/requests/{name}"
    try:
        await visit.site.rssp.cancel_sim(required_session(visit), name)
    except (RsspRefused, RsspAway) as fault:
        return visit.to(f"{here}/sim", notice_of(fault, name))
    return visit.to(f"{here}/sim")


async def _go_on(
    visit: Visit, session: str, asked: SignatureRequest, *, is_approved: bool
) -> Response:
    """Back to the portal where one waits for this browser, else to the request."""
    here = f"/requests/{asked.id}"
    if not is_approved or asked.redirect_origin is None:
        return visit.to(here)
    try:
        outcome = await visit.site.rssp.resume(session, asked.id)
    except RsspRefused:
        return visit.to(here)  # the portal has its answer, or the time for it is over
    except RsspAway:
        return visit.to(here, Notice("unavailable", asked.id))
    return visit.to(outcome.redirect_to or here)
