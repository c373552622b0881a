"""A portal's wish to see the signer's list of certificates (OAuth scope ``service``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app.faults import RsspAway, RsspRefused
from consent_app.routes.requests import (
    Name,
    notice_of,
)
from consent_app.routes.session import required_session
from consent_app.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from consent_app.answers import Outcome

router = APIRouter()

_GONE = 410


@router.get("/services/{name}")
async def show(request: Request, name: Name) -> Response:
    """The question while it waits, else how it ended."""
    visit = Visit(request)
    asked = await visit.site.rssp.service_request(required_session(visit), name)
    state = asked.shown_state
    if state == "PENDING":
        return visit.page(
            "service.html", asked=asked, signer=asked.subscriber, form_origin=asked.redirect_origin
        )
    return visit.page(
        "service_outcome.html",
        status=_GONE if state == "EXPIRED" else 200,
        asked=asked,
        state=state,
        signer=asked.subscriber,
    )


@router.get("/services/{name}/{_answer}")
async def go_back(request: Request, name: Name, _answer: str) -> Response:
    """A reload or a bookmark of a form's address leads to the question."""
    return Visit(request).to(f"/services/{name}")


@router.post("/services/{name}/approve")
async def allow(request: Request, name: Name) -> Response:
    """Let the portal see the list, and go back to it."""
    visit = Visit(request)
    rssp = visit.site.rssp
    return await _answer(visit, name, "allow", rssp.allow_service)


@router.post("/services/{name}/refuse")
async def refuse(request: Request, name: Name) -> Response:
    """Refuse it, and go back to the portal."""
    visit = Visit(request)
    rssp = visit.site.rssp
    return await _answer(visit, name, "refuse", rssp.refuse_service)


async def _answer(
    visit: Visit, name: str, verb: str, ask: Callable[[str, str], Awaitable[Outcome]]
) -> Response:
    await visit.form()
    session = required_session(visit)
    here = f"/services/{name}"
    try:
        outcome = await visit.site.repeats.once((verb, session, name), lambda: ask(session, name))
    except (RsspRefused, RsspAway) as fault:
        return visit.to(here, notice_of(fault, name))
    return visit.to(outcome.redirect_to or here)
