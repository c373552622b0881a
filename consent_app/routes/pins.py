"""Choosing the signing PIN: the first one with the officer's code, another one with the old PIN.

A form that failed is shown again at once, without what was typed into its PIN fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.cookies import Notice
from consent_app.faults import PageUnknown, RsspAway, RsspRefused, once_sent
from consent_app.routes.passkeys import Factor  # noqa: TC001 - FastAPI reads the annotation
from consent_app.routes.requests import LONGEST_CODE, LONGEST_PIN, code_digits
from consent_app.routes.session import required_session
from consent_app.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Mapping

router = APIRouter()


@dataclass(frozen=True, slots=True)
class _Told:
    """What a form that failed says: why, how many attempts are left, the code that it keeps."""

    fault: str = ""
    left: int | None = None
    code: str = ""


_LONGEST_ACTIVATION = 40
_UNPROCESSABLE = 422
_REASONS = {"shape", "run", "repetition", "date", "common", "same"}
_FAULTS = {
    "evidence_invalid": "wrong",
    "credential_locked": "locked",
    "conflict": "changed",
    "pin_not_offered": "not_offered",
}


@router.get("/pins/{name}/choose")
async def show_first(request: Request, name: Factor) -> Response:
    """Where the first PIN is chosen."""
    return await _page(Visit(request), name, is_first=True)


@router.get("/pins/{name}/change")
async def show_change(request: Request, name: Factor) -> Response:
    """Where the PIN is changed."""
    return await _page(Visit(request), name)


@router.post("/pins/{name}/choose")
async def choose(request: Request, name: Factor) -> Response:
    """Choose it; then on to the other steps of a new account."""
    return await _send(Visit(request), name, is_first=True)


@router.post("/pins/{name}/change")
async def change(request: Request, name: Factor) -> Response:
    """Change it; then back to the devices."""
    return await _send(Visit(request), name)


async def _send(visit: Visit, name: str, *, is_first: bool = False) -> Response:
    form = await visit.form()
    session, pins = required_session(visit), visit.site.pins
    known = "code" if is_first else "pin"
    typed, fault = _typed(form, known, _LONGEST_ACTIVATION if is_first else LONGEST_PIN)
    left: int | None = None
    if not fault:
        try:
            await (pins.choose if is_first else pins.change)(session, name, **typed)
        except RsspRefused as refusal:
            fault, left = _fault_of(refusal), refusal.attempts_left
        except RsspAway as away:
            fault = "away" if away.is_settled else "unknown"
        else:
            return visit.to("/welcome" if is_first else "/devices", Notice("pin_chosen"))
    code = typed["code"] if is_first else ""
    with once_sent():
        return await _page(visit, name, _Told(fault, left, code), is_first=is_first)


def _typed(form: Mapping[str, str], known: str, longest: int) -> tuple[dict[str, str], str]:
    """What is sent on, and what is wrong with it without asking anybody."""
    new_pin = "".join(forms.one(form, "new_pin", LONGEST_PIN).split())
    again = "".join(forms.one(form, "again", LONGEST_PIN).split())
    otp = code_digits(forms.one(form, "otp", LONGEST_CODE))
    typed = {
        "new_pin": new_pin,
        known: forms.one(form, known, longest).strip(),
        "otp": otp or "",
    }
    if not all(typed.values()):
        return typed, "incomplete"
    return typed, "" if new_pin == again else "differ"


def _fault_of(refusal: RsspRefused) -> str:
    if refusal.code == "pin_refused":
        return refusal.reason if refusal.reason in _REASONS else "common"
    if refusal.code not in _FAULTS:
        raise refusal
    return _FAULTS[refusal.code]


async def _page(
    visit: Visit, name: str, told: _Told = _Told(), *, is_first: bool = False
) -> Response:
    found = await visit.site.coming_in.holdings(required_session(visit))
    held = next((each for each in found.credentials if each.id == name), None)
    if held is None or held.certificate is None or not held.has_pin:
        raise PageUnknown("no such certificate of this signer")
    return visit.page(
        "pin.html",
        status=_UNPROCESSABLE if told.fault else 200,
        held=held,
        signer=found.subscriber,
        is_first=is_first,
        fault=told.fault,
        left=told.left,
        code=told.code,
        has_script=True,
        here=f"/pins/{name}/{'choose' if is_first else 'change'}",
    )
