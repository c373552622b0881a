"""Several requests looked at one after another, then approved together by one evidence.

What is approved is what the page showed: the form names exactly these requests, and each link
"leave out" shows the page again without one. What a passkey is asked covers these and no others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.cookies import Notice
from consent_app.faults import RequestMalformed, RsspAway, RsspRefused
from consent_app.module import LONGEST_SAID, for_module, json_object
from consent_app.routes.passkeys import told_of
from consent_app.routes.requests import LONGEST_CODE, LONGEST_PIN, code_digits, notice_of
from consent_app.routes.session import required_session
from consent_app.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consent_app.rssp_account import Result, Reviewed

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
    usable_from = chosen[0].passkey_from if chosen else None
    has_passkey = usable_from is not None and usable_from <= found.now
    return visit.page(
        "batch.html",
        chosen=chosen,
        others=len(kept) - len(chosen),
        left_out=left_out,
        has_passkey=has_passkey,
        signer=found.subscriber,
        here=_without(left_out),  # another language leaves out the same
        has_script=has_passkey or any(item.attached for item in chosen),
    )


@router.get("/batch/next")
async def next_one(request: Request) -> Response:
    """To the next waiting request whose code is still to be picked; after the last, to all."""
    visit = Visit(request)
    before = visit.query().get("after")
    waiting = (await visit.site.rssp.waiting(required_session(visit))).requests
    names = [item.id for item in waiting]
    at = names.index(before) + 1 if before in names else 0
    found = next((item.id for item in waiting[at:] if item.verification_code is None), None)
    if found is not None:
        return visit.to(f"/requests/{found}?then=next")
    seen = [item for item in waiting if item.details and item.verification_code]
    return visit.to("/batch" if len(seen) > 1 else "/")


@router.post("/batch/passkey/options")
async def question(request: Request) -> Response:
    """For the module: what the browser asks the signer's passkeys about all of them."""
    visit = Visit(request)
    names = _ids(forms.one(await visit.form(), "ids", _LONGEST_IDS))
    asked = visit.site.passkeys.question_all(required_session(visit), names)
    return await for_module(asked)


@router.post("/batch/passkey")
async def approve_by_passkey(request: Request) -> Response:
    """Send the passkey's answer on for all; then the history, which tells each result."""
    visit = Visit(request)
    form = await visit.form()
    session = required_session(visit)
    names, here = _ids(forms.one(form, "ids", _LONGEST_IDS)), _again(form)
    said = forms.one(form, "answer", LONGEST_SAID)
    answer, passkeys = json_object(said), visit.site.passkeys
    try:
        results = await visit.site.repeats.once(
            ("batch-passkey", session, *names, said),
            lambda: passkeys.approve_all(session, names, answer),
        )
    except (RsspRefused, RsspAway) as fault:
        return visit.to(f"{here}#told", told_of(fault, ""))
    return _told(visit, results)


@router.post("/batch")
async def approve(request: Request) -> Response:
    """Send PIN and one-time code on for all; then the history, which tells each result."""
    visit = Visit(request)
    form = await visit.form()
    session = required_session(visit)
    names, here = _ids(forms.one(form, "ids", _LONGEST_IDS)), _again(form)
    pin = forms.one(form, "pin", LONGEST_PIN).strip()
    code = code_digits(forms.one(form, "otp", LONGEST_CODE))
    if not pin or code is None:
        return visit.to(f"{here}#told", Notice("incomplete"))
    rssp = visit.site.rssp
    try:
        results = await visit.site.repeats.once(
            ("batch", session, *names, pin, code),
            lambda: rssp.approve_all(session, names, pin, code),
        )
    except (RsspRefused, RsspAway) as fault:
        return visit.to(f"{here}#told", notice_of(fault, ""))
    return _told(visit, results)


def _told(visit: Visit, results: list[Result]) -> Response:
    approved = sum(item.is_approved for item in results)
    kind = "batch" if approved == len(results) else "batch_partly"
    return visit.to("/history", Notice(kind, attempts_left=approved))


def _again(form: Mapping[str, str]) -> str:
    """The page that the form was on, without what was left out of it."""
    return _without(_ids(form.get("without", "")))


def _without(left_out: Sequence[str]) -> str:
    return f"/batch?without={'.'.join(left_out)}" if left_out else "/batch"


def _ids(text: str) -> list[str]:
    """Ids with a full stop between; none for an empty text."""
    if text and not _IDS.fullmatch(text):
        raise RequestMalformed("not the ids of requests")
    return text.split(".") if text else []


def _of_one_certificate(found: list[Reviewed]) -> list[Reviewed]:
    """Those that are for the same certificate as the first: one PIN and code approve no others."""
    return [item for item in found if item.certificate.serial == found[0].certificate.serial]
