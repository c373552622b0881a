"""Passkeys: approve with one, see which there are, add one, remove one.

A passkey needs JavaScript; PIN and code do not, and stay where they are. The module asks for what
the browser needs, lets the browser speak with its user, and sends an ordinary form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.cookies import Notice
from consent_app.faults import PageUnknown, RsspAway, RsspRefused, once_sent
from consent_app.module import LONGEST_SAID, REASONS, for_module, json_object
from consent_app.routes.requests import LONGEST_CODE, LONGEST_PIN, Name, code_digits, notice_of
from consent_app.routes.session import required_session
from consent_app.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_app.passkey_api import Json, Passkeys

router = APIRouter()

_HERE = "/passkeys"
LONGEST_NAME = 60
_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409
_KEEPS = ("passkey_code", "incomplete", "unavailable")  # what was made is still good after these
# What a form is told on its own page, with what was made still in it.
_AGAIN = {
    "evidence_invalid": "passkey_code",
    "credential_locked": "locked",
    "conflict": "passkey_changed",
}

Factor = Annotated[str, Path(pattern=r"^[0-9a-z]{26}$")]


@router.post("/requests/{name}/passkey/options")
async def question(request: Request, name: Name) -> Response:
    """For the module: what the browser asks the signer's passkeys."""
    visit = Visit(request)
    await visit.form()
    return await for_module(visit.site.passkeys.question(required_session(visit), name))


@router.post("/requests/{name}/passkey")
async def approve(request: Request, name: Name) -> Response:
    """Send the passkey's answer on; then back to the portal, or to the result."""
    visit = Visit(request)
    form = await visit.form()
    session, here = required_session(visit), f"/requests/{name}"
    said = forms.one(form, "answer", LONGEST_SAID)
    answer, passkeys = json_object(said), visit.site.passkeys
    try:
        outcome = await visit.site.repeats.once(
            ("passkey", session, name, said), lambda: passkeys.approve(session, name, answer)
        )
    except (RsspRefused, RsspAway) as fault:
        return visit.to(here, told_of(fault, name))
    return visit.to(outcome.redirect_to or here)


def told_of(fault: RsspRefused | RsspAway, name: str) -> Notice:
    """What the signer is told after ``fault``; raises it again when it is not about this."""
    kinds = {
        "evidence_invalid": "passkey_wrong",
        "passkey_too_new": "passkey_new",
        "passkey_copied": "passkey_copied",
        "passkey_unknown": "passkey_wrong",
    }
    if isinstance(fault, RsspRefused) and fault.code in kinds:
        return Notice(kinds[fault.code], name)
    return notice_of(fault, name)


@router.get(_HERE)
async def show(request: Request) -> Response:
    """The signer's passkeys, and what happened to them."""
    visit = Visit(request)
    found = await visit.site.passkeys.all(required_session(visit))
    return visit.page("passkeys.html", found=found, signer=found.subscriber)


@router.post("/passkeys/seen")
async def seen(request: Request) -> Response:
    """The signer has seen what happened."""
    visit = Visit(request)
    form = await visit.form()
    await visit.site.passkeys.seen(required_session(visit), forms.one(form, "newest", 26))
    return visit.to(_HERE)


@router.get("/passkeys/{name}/add")
async def show_add(request: Request, name: Factor) -> Response:
    """Where a passkey is made."""
    visit = Visit(request)
    found = await visit.site.passkeys.all(required_session(visit))
    return _add_page(visit, found, name)


@router.post("/passkeys/{name}/options")
async def begin(request: Request, name: Factor) -> Response:
    """For the module: what the browser needs to make a passkey."""
    visit = Visit(request)
    await visit.form()
    return await for_module(visit.site.passkeys.begin(required_session(visit), name))


@router.post("/passkeys/{name}/confirm")
async def confirm(request: Request, name: Factor) -> Response:
    """For the module: what a passkey that is there is asked about the new one."""
    visit = Visit(request)
    made = json_object(forms.one(await visit.form(), "made", LONGEST_SAID))
    return await for_module(visit.site.passkeys.confirm(required_session(visit), name, made))


@router.post("/passkeys/{name}/add")
async def add(request: Request, name: Factor) -> Response:
    """Let the passkey in that was made, with proof of the factors there were."""
    visit = Visit(request)
    form = await visit.form()
    session, passkeys = required_session(visit), visit.site.passkeys
    made = forms.one(form, "made", LONGEST_SAID)
    called = forms.written(form, "name", LONGEST_NAME)
    proof = _proof(form)
    if proof is None or not called:
        notice = Notice("incomplete")
    else:
        try:
            more: Json = {"name": called, "proof": proof}
            await passkeys.bind(session, name, json_object(made), more)
        except (RsspRefused, RsspAway) as fault:
            notice = _told_again(fault)
        else:
            return visit.to(_HERE, Notice("passkey_added"))
    visit.notice = notice
    kept = made if notice.kind in _KEEPS else ""
    with once_sent():
        found = await passkeys.all(session)
    return _add_page(visit, found, name, made=kept, called=called)


@router.get("/passkeys/{name}/remove")
async def show_remove(request: Request, name: Factor) -> Response:
    """Where a passkey is removed."""
    visit = Visit(request)
    session, passkeys = required_session(visit), visit.site.passkeys
    found = await passkeys.all(session)
    named = found.of_passkey(name)
    if named is None:
        raise PageUnknown("no such passkey")
    begun = await passkeys.begin_drop(session, name)
    return visit.page(
        "passkey_remove.html",
        found=found,
        passkey=named[1],
        token=(begun.model_extra or {}).get("token"),
        signer=found.subscriber,
    )


@router.post("/passkeys/{name}/remove")
async def remove(request: Request, name: Factor) -> Response:
    """Remove it, with proof of the factors that stay."""
    visit = Visit(request)
    form = await visit.form()
    session, here = required_session(visit), f"/passkeys/{name}/remove"
    proof, token = _proof(form), forms.one(form, "token", LONGEST_SAID)
    if proof is None:
        return visit.to(here, Notice("incomplete"))
    try:
        await visit.site.passkeys.drop(session, name, token, proof)
    except (RsspRefused, RsspAway) as fault:
        return visit.to(here, _told_again(fault))
    return visit.to(_HERE, Notice("passkey_removed"))


def _add_page(
    visit: Visit, found: Passkeys, name: str, *, made: str = "", called: str = ""
) -> Response:
    holding = found.holding(name)
    if holding is None:
        raise PageUnknown("no such certificate of this signer")
    return visit.page(
        "passkey_add.html",
        found=found,
        holding=holding,
        made=made,
        called=called,
        signer=found.subscriber,
        has_script=True,
        here=f"/passkeys/{name}/add",
    )


def _told_again(fault: RsspRefused | RsspAway) -> Notice:
    if isinstance(fault, RsspRefused) and fault.code in _AGAIN:
        return Notice(_AGAIN[fault.code], attempts_left=fault.attempts_left)
    if isinstance(fault, RsspRefused) and fault.code == "passkey_refused":
        return Notice(REASONS.get(fault.reason or "", "passkey_refused"))
    return notice_of(fault, "")


def _proof(form: Mapping[str, str]) -> Json | None:
    """PIN and code, or the answer of a passkey that is there; None when neither is whole."""
    answer = form.get("answer", "")
    if answer:
        return {"passkey": json_object(answer)}
    pin = forms.one(form, "pin", LONGEST_PIN).strip()
    code = code_digits(forms.one(form, "otp", LONGEST_CODE))
    return {"pin": pin, "otp": code} if pin and code is not None else None
