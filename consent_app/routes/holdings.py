"""What an account holds: certificates, devices, delegation; and help, for everybody."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from consent_app import forms
from consent_app.cookies import Notice
from consent_app.faults import PageUnknown, RsspRefused
from consent_app.module import LONGEST_SAID, for_module, json_object
from consent_app.routes.passkeys import LONGEST_NAME, Factor
from consent_app.routes.session import required_session
from consent_app.visit import Visit

if TYPE_CHECKING:
    from consent_app.rssp_sign_in import Holdings

router = APIRouter()

_LONGEST_PASSWORD = 256
_DEVICES, _ADD = "/devices", "/devices/add"


async def _found(visit: Visit) -> Holdings:
    return await visit.site.coming_in.holdings(required_session(visit))


@router.get("/certificates")
async def certificates(request: Request) -> Response:
    """The signer's certificates, in whatever state."""
    visit = Visit(request)
    found = await _found(visit)
    return visit.page("certificates.html", found=found, signer=found.subscriber)


@router.get("/certificates/{name}/file")
async def download(request: Request, name: Factor) -> Response:
    """One of them as a file (DER, RFC 2585)."""
    visit = Visit(request)
    found = await visit.site.coming_in.certificate(required_session(visit), name)
    headers = {"Content-Disposition": f'attachment; filename="{name}.cer"'}
    content = base64.b64decode(found.certificate)
    return Response(content, media_type="application/pkix-cert", headers=headers)


@router.get(_DEVICES)
async def devices(request: Request) -> Response:
    """What signs in, and what approves with each certificate."""
    visit = Visit(request)
    found = await _found(visit)
    push = await visit.site.phone.push(required_session(visit))
    return visit.page(
        "devices.html", has_script=True, found=found, signer=found.subscriber, push=push
    )


@router.get(_ADD)
async def show_add(request: Request) -> Response:
    """Where a passkey that signs in is made."""
    visit = Visit(request)
    return await _add_page(visit)


@router.post("/devices/options")
async def begin(request: Request) -> Response:
    """For the module: what the browser needs to make one."""
    visit = Visit(request)
    await visit.form()
    return await for_module(visit.site.coming_in.begin(required_session(visit)))


@router.post(_ADD)
async def add(request: Request) -> Response:
    """Let it in, with the password."""
    visit = Visit(request)
    form = await visit.form()
    session = required_session(visit)
    made = json_object(forms.one(form, "made", LONGEST_SAID))
    name = forms.written(form, "name", LONGEST_NAME)
    password = forms.one(form, "password", _LONGEST_PASSWORD)
    if not name or not password:
        return visit.to(_ADD)
    try:
        await visit.site.coming_in.add(session, made, name, password)
    except RsspRefused as refusal:
        kinds = {"sign_in_refused": "entry_password", "passkey_refused": "passkey_refused"}
        if refusal.code not in kinds:
            raise
        return visit.to(_ADD, Notice(kinds[refusal.code]))
    return visit.to(_DEVICES, Notice("entry_added"))


@router.get("/devices/{name}/remove")
async def show_remove(request: Request, name: Factor) -> Response:
    """Where one is removed."""
    visit = Visit(request)
    found = await _found(visit)
    named = next((each for each in found.sign_in_passkeys if each.id == name), None)
    if named is None:
        raise PageUnknown("no such passkey")
    return visit.page("device_remove.html", passkey=named, signer=found.subscriber)


@router.post("/devices/{name}/remove")
async def remove(request: Request, name: Factor) -> Response:
    """Remove it, with the password."""
    visit = Visit(request)
    form = await visit.form()
    session, here = required_session(visit), f"/devices/{name}/remove"
    password = forms.one(form, "password", _LONGEST_PASSWORD)
    if not password:
        return visit.to(here)
    try:
        await visit.site.coming_in.drop(session, name, password)
    except RsspRefused as refusal:
        if refusal.code != "sign_in_refused":
            raise
        return visit.to(here, Notice("entry_password"))
    return visit.to(_DEVICES, Notice("entry_removed"))


@router.get("/delegation")
async def delegation(request: Request) -> Response:
    """Who may sign for whom: nobody yet, and the page says so."""
    visit = Visit(request)
    found = await _found(visit)
    return visit.page("delegation.html", signer=found.subscriber)


@router.get("/help")
async def help_page(request: Request) -> Response:
    """Questions and answers, also for who cannot sign in."""
    return Visit(request).page("help.html", has_script=True)


async def _add_page(visit: Visit) -> Response:
    found = await _found(visit)
    return visit.page("device_add.html", signer=found.subscriber, has_script=True)
