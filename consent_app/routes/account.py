"""The signer's own pages: history and receipts, sessions, the lost phone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app.cookies import Notice
from consent_app.faults import RsspRefused
from consent_app.routes.requests import Name, chosen
from consent_app.routes.session import required_session, signed_out
from consent_app.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consent_app.passkey_api import Passkeys
    from consent_app.rssp_account import OpenSession
    from consent_app.rssp_sign_in import Happened, Held
    from consent_app.site import Site

router = APIRouter()

_SECURITY = "/security"
_NOT_FOUND = 404
_AMISS = frozenset({"frozen", "locked", "suspended"})
_ENDED = frozenset({"revoked", "expired"})
_RECENT = timedelta(days=30)


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


@router.get("/security")
async def security(request: Request) -> Response:
    """All that an official can check about the account, and where to go for each."""
    visit = Visit(request)
    session, site = required_session(visit), visit.site
    found, held, passkeys = await asyncio.gather(
        site.rssp.account(session), site.coming_in.holdings(session), _passkeys(site, session)
    )
    kinds = [event.kind for event in held.events]
    return visit.page(
        "security.html",
        account=found,
        held=held,
        passkeys=passkeys,
        signer=found.subscriber,
        is_calm=not found.frozen
        and not (passkeys and passkeys.notices)
        and not any(_is_amiss(each, held.credentials) for each in held.credentials),
        wrong=kinds.count("session.refused"),
        last_in=_last_in(held.events, found.sessions),
    )


def _is_amiss(one: Held, everything: list[Held]) -> bool:
    """Whether ``one`` wants a look. What a newer certificate replaced, or ended long ago, does not.

    The account keeps revoked and expired certificates for good: an alarm that never ends is none.
    """
    if one.state not in _ENDED or one.certificate is None:
        return one.state in _AMISS | _ENDED
    began, over = one.certificate.not_before, one.certificate.not_after
    if over < datetime.now(UTC) - _RECENT:
        return False
    return not any(
        each.state == "valid"
        and each.certificate is not None
        # Renewed on the same day, it may begin in the same second.
        and each.certificate.not_before >= began
        for each in everything
    )


@router.get("/lost-phone")
async def lost_phone(request: Request) -> Response:
    """The way to stop everything, alone on its page: a slip of the finger is costly."""
    visit = Visit(request)
    found = await visit.site.rssp.account(required_session(visit))
    return visit.page("lost_phone.html", account=found, signer=found.subscriber)


@router.get("/account")
@router.get("/account/{_answer}")
async def go_back(request: Request, _answer: str = "") -> Response:
    """A reload or a bookmark of a form's address leads to the page of security."""
    return Visit(request).to(_SECURITY)


@router.post("/account/freeze")
async def freeze(request: Request) -> Response:
    """Freeze all keys. Once more is the same as once."""
    visit = Visit(request)
    await visit.form()
    await visit.site.rssp.freeze(required_session(visit))
    return visit.to("/lost-phone", Notice("frozen"))


@router.post("/account/sessions/{name}/end")
async def end_session(request: Request, name: Name) -> Response:
    """End another session. Once more is the same as once."""
    visit = Visit(request)
    await visit.form()
    await visit.site.coming_in.end_session(required_session(visit), name)
    return visit.to(_SECURITY, Notice("session_ended"))


@router.post("/account/sign-out")
async def sign_out_everywhere(request: Request) -> Response:
    """End every session, here and elsewhere."""
    visit = Visit(request)
    await visit.form()
    await visit.site.rssp.sign_out_everywhere(required_session(visit))
    return signed_out(visit)


async def _passkeys(site: Site, session: str) -> Passkeys | None:
    """Those that approve; None from a service that takes no passkeys."""
    try:
        return await site.passkeys.all(session)
    except RsspRefused as refusal:
        if refusal.status != _NOT_FOUND:
            raise
        return None


def _last_in(events: Sequence[Happened], sessions: Sequence[OpenSession]) -> Happened | None:
    """When somebody signed in last, this session apart: before it, or elsewhere since."""
    this = next((each.created_at for each in sessions if each.is_this), None)
    opened = (event for event in events if event.kind == "session.opened")
    return next((event for event in opened if event.at != this), None)
