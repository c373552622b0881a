"""The signer's own pages: history and receipts, sessions, the lost phone."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app.cookies import Notice
from consent_app.routes.requests import Name, chosen
from consent_app.routes.session import required_session, signed_out
from consent_app.visit import Visit

router = APIRouter()


@router.get("/history")
async def history(request: Request) -> Response:
    """What was answered or is over, with a receipt for each."""
    visit = Visit(request)
    wanted = chosen(visit, ("q", "after"))
    found = await visit.site.rssp.history(required_session(visit), **wanted)
    return visit.page(
        "history.html",
        has_script=True,
        is_kept=not wanted,
        history=found,
        signer=found.subscriber,
        wanted=wanted,
    )


@router.get("/history/{name}")
async def receipt(request: Request, name: Name) -> Response:
    """What was signed, when, by which factor, for which portal, and where that is on record."""
    visit = Visit(request)
    found = await visit.site.rssp.receipt(required_session(visit), name)
    return visit.page(
        "receipt.html", has_script=True, is_kept=True, receipt=found, signer=found.subscriber
    )


@router.get("/account")
async def account(request: Request) -> Response:
    """Sessions, and the way to stop everything."""
    visit = Visit(request)
    session = required_session(visit)
    found = await visit.site.rssp.account(session)
    held = await visit.site.coming_in.holdings(session)
    return visit.page("account.html", account=found, held=held, signer=found.subscriber)


@router.get("/account/{_answer}")
async def go_back(request: Request, _answer: str) -> Response:
    """A reload or a bookmark of a form's address leads to the account."""
    return Visit(request).to("/account")


@router.post("/account/freeze")
async def freeze(request: Request) -> Response:
    """Freeze all keys. Once more is the same as once."""
    visit = Visit(request)
    await visit.form()
    await visit.site.rssp.freeze(required_session(visit))
    return visit.to("/account", Notice("frozen"))


@router.post("/account/sessions/{name}/end")
async def end_session(request: Request, name: Name) -> Response:
    """End another session. Once more is the same as once."""
    visit = Visit(request)
    await visit.form()
    await visit.site.coming_in.end_session(required_session(visit), name)
    return visit.to("/account", Notice("session_ended"))


@router.post("/account/sign-out")
async def sign_out_everywhere(request: Request) -> Response:
    """End every session, here and elsewhere."""
    visit = Visit(request)
    await visit.form()
    await visit.site.rssp.sign_out_everywhere(required_session(visit))
    return signed_out(visit)
