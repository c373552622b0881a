"""Signing in by an identity provider: there and back again.

A secret in a cookie binds the sign-in to this browser; what the provider sends back goes to the
rssp together with it, and is judged there. The cookie is used up by the first answer.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app import forms
from consent_app.cookies import Notice
from consent_app.faults import Fault, PageUnknown, ProviderAway, RsspAway, RsspRefused
from consent_app.routes.sign_in import next_address, sign_in_page, welcome
from consent_app.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_app.config import OpenidConfig

router = APIRouter()

_LONGEST = {"state": 100, "code": 2048, "iss": 500, "error": 100}


@router.post("/sign-in/openid")
async def begin(request: Request) -> Response:
    """To the provider's page. When it is away, the other ways in are shown."""
    visit = Visit(request)
    form = await visit.form()
    after, offered = next_address(form.get("next")), _offered(visit)
    binding = secrets.token_urlsafe(32)
    try:
        address = await visit.site.coming_in.begin_openid(binding, after)
    except ProviderAway:
        return sign_in_page(visit, after, refused="openid_away")
    if forms.origin_of(address) != offered.origin:
        raise Fault("the rssp sends browsers to another place than the configured provider")
    response = visit.to(address)
    visit.site.cookies.write(response, "openid", binding)
    return response


@router.get("/sign-in/openid/callback")
async def finish(request: Request) -> Response:
    """Back from the provider: a session, once, in the browser that began."""
    visit = Visit(request)
    _offered(visit)
    binding = visit.site.cookies.read(request, "openid")
    answer = _answer(visit.query())
    if binding is None or answer is None:
        return _refused(visit, "openid")
    try:
        signed_in = await visit.site.coming_in.finish_openid(binding, answer)
    except ProviderAway:
        return _refused(visit, "openid_away")
    except RsspAway:
        return _refused(visit, "unavailable")
    except RsspRefused as refusal:
        if refusal.code != "sign_in_refused":
            raise
        return _refused(visit, "openid")
    response = welcome(visit, next_address(signed_in.target), signed_in)
    visit.site.cookies.drop(response, "openid")
    return response


def _offered(visit: Visit) -> OpenidConfig:
    offered = visit.site.config.openid
    if offered is None:
        raise PageUnknown("nobody comes in by an identity provider here")
    return offered


def _answer(found: Mapping[str, str]) -> dict[str, str | None] | None:
    """What the provider sent, and null for what it did not; None when that is no answer."""
    answer = {name: found.get(name) or None for name in _LONGEST}
    is_bounded = all(len(value or "") <= _LONGEST[name] for name, value in answer.items())
    is_whole = answer["state"] is not None and (answer["code"] or answer["error"]) is not None
    return answer if is_bounded and is_whole else None


def _refused(visit: Visit, why: str) -> Response:
    """On to the sign-in form, so that code and state stay in no address bar and no history."""
    response = visit.to("/sign-in", Notice(why))
    visit.site.cookies.drop(response, "openid")
    return response
