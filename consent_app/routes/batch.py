"""Several requests that were looked at, approved together by one PIN and one code.

What is approved is what the page showed: the form names exactly these requests, and each link
"leave out" shows the page again without one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.cookies import Notice
from consent_app.faults import RequestMalformed, RsspAway, RsspRefused
from consent_app.routes.requests import LONGEST_CODE, LONGEST_PIN, code_digits, notice_of
from consent_app.routes.session import required_session
from consent_app.visit import Visit

if TYPE_CHECKING:
    from consent_app.rssp_account import Reviewed

router = APIRouter()

_MOST = 50
_IDS = re.compile(rf"[0-9a-z]{{26}}(?:\.[0-9a-z]{{26}}){{0,{_MOST - 1}}}")
_LONGEST_IDS = 27 * _MOST


@router.get("/batch")
async def show(request: Request) -> Response:
    """What was looked at and is not answered, those left out that the visitor wants to."""
    visit = Visit(request)
    left_out = _ids(visit.query().get("without", ""))
    found = await visit.site.rssp.batch(required_session(visit))
    kept = [item for item in found.requests if item.id not in left_out]
    chosen = _of_one_certificate(kept)
    return visit.page(
        "batch.html",
        chosen=chosen,
        others=len(kept) - len(chosen),
        left_out=left_out,
        signer=found.subscriber,
    )


@router.post("/batch")
async def approve(request: Request) -> Response:
    """Send PIN and one-time code on for all; then the history, which tells each result."""
    visit = Visit(request)
    form = await visit.form()
    session = required_session(visit)
    names = _ids(forms.one(form, "ids", _LONGEST_IDS))
    pin = forms.one(form, "pin", LONGEST_PIN).strip()
    code = code_digits(forms.one(form, "otp", LONGEST_CODE))
    if not pin or code is None:
        return visit.to("/batch#answer", Notice("incomplete"))
    rssp = visit.site.rssp

    try:
        results = await visit.site.repeats.once(
            ("batch", session, *names, pin, code),
            lambda: rssp.approve_all(session, names, pin, code),
        )
    except (RsspRefused, RsspAway) as fault:
        return visit.to("/batch#answer", notice_of(fault, ""))
    approved = sum(item.is_approved for item in results)
    kind = "batch" if approved == len(results) else "batch_partly"
    return visit.to("/history", Notice(kind, attempts_left=approved))


def _ids(text: str) -> list[str]:
    """Ids with a full stop between; none for an empty text."""
    if text and not _IDS.fullmatch(text):
        raise RequestMalformed("not the ids of requests")
    return text.split(".") if text else []


def _of_one_certificate(found: list[Reviewed]) -> list[Reviewed]:
    """Those that are for the same certificate as the first: one PIN and code approve no others."""
    return [item for item in found if item.certificate.serial == found[0].certificate.serial]
