"""The page as an app on the phone: manifest, service worker, live list, notifications."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from consent_app import appearance, forms, installed
from consent_app.cookies import Notice, shaped
from consent_app.faults import PageUnknown, RsspAway, RsspRefused
from consent_app.language import LANGUAGES
from consent_app.routes.session import required_session
from consent_app.site import site_of
from consent_app.visit import Visit, content_policy

if TYPE_CHECKING:
    from consent_app.site import Site

router = APIRouter()

_LONGEST_ENDPOINT = 1000
_MARK = re.compile(r"[0-9]{1,4}\.[0-9a-z]{0,26}")
_NO_CONTENT, _UNAUTHORIZED, _FORBIDDEN, _UNAVAILABLE = 204, 401, 403, 503
_A_WHILE = {"Cache-Control": "public, max-age=300"}
_NO_CACHE = {"Cache-Control": "no-cache"}


@router.get("/app/{language}.webmanifest")
async def manifest(request: Request, language: str) -> Response:
    """What a browser installs."""
    site = _speaking(request, language)
    texts = site.environments[language]
    content = installed.manifest(site.config.brand, language, site.static, texts)
    return JSONResponse(content, media_type="application/manifest+json", headers=_A_WHILE)


@router.get("/service-worker.js")
async def service_worker(request: Request) -> Response:
    """The worker, for the whole site. It may ask us and nobody else."""
    headers = {**_NO_CACHE, "Content-Security-Policy": content_policy(has_script=True)}
    return Response(site_of(request).worker, media_type="text/javascript", headers=headers)


@router.get("/offline/{language}/{kind}")
async def offline(request: Request, language: str, kind: str) -> Response:
    """What the worker shows without a connection. Nobody's page: it has no session in it.

    ``look`` is a choice as its cookie spells it; the worker asks without cookies.
    """
    _speaking(request, language)
    if kind not in installed.OFFLINE:
        raise PageUnknown("no such page")
    visit = Visit(request)
    visit.language = language
    visit.look = appearance.from_cookie(shaped("look", visit.query().get("look")))
    return visit.page("offline.html", here="/", kind=kind, has_script=True)


@router.get("/events")
async def events(request: Request) -> Response:
    """A stream that says when the list has changed. 204: there is nothing to follow."""
    visit = Visit(request)
    if visit.session is None:
        return Response(status_code=_NO_CONTENT)
    if visit.site.live.is_full:
        return Response(status_code=_UNAVAILABLE, headers={"Retry-After": "60"})
    mark = visit.query().get("mark", "")
    known = mark if _MARK.fullmatch(mark) else ""
    told = visit.site.live.events(visit.session, known)
    # nginx would collect what is told, and tell it late.
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


@router.get("/events/count")
async def count(request: Request) -> Response:
    """For the worker: how much waits; 401 when no session lives, 503 when nobody knows."""
    visit = Visit(request)
    if visit.session is None:
        return JSONResponse({}, _UNAUTHORIZED)
    try:
        found = await visit.site.phone.look(visit.session)
    except RsspRefused:
        return JSONResponse({}, _UNAUTHORIZED)
    except RsspAway:
        return JSONResponse({}, _UNAVAILABLE)
    return JSONResponse({"waiting": found.waiting})


@router.post("/devices/push")
async def subscribe(request: Request) -> Response:
    """For the module: tell this browser. 403: its push service is none that is known."""
    visit = Visit(request)
    endpoint = forms.one(await visit.form(), "endpoint", _LONGEST_ENDPOINT)
    session = required_session(visit)
    try:
        await visit.site.phone.subscribe(session, endpoint)
    except RsspRefused as refusal:
        if refusal.status == _UNAUTHORIZED:
            raise
        return JSONResponse({}, _FORBIDDEN)
    return JSONResponse({})


@router.post("/devices/push/end")
async def unsubscribe(request: Request) -> Response:
    """For the module: tell this browser no more."""
    visit = Visit(request)
    endpoint = forms.one(await visit.form(), "endpoint", _LONGEST_ENDPOINT)
    await visit.site.phone.unsubscribe(required_session(visit), endpoint)
    return JSONResponse({})


@router.post("/devices/push/all")
async def unsubscribe_all(request: Request) -> Response:
    """Tell none of the signer's browsers any more."""
    visit = Visit(request)
    await visit.form()
    await visit.site.phone.unsubscribe_all(required_session(visit))
    return visit.to("/devices", Notice("push_ended"))


def _speaking(request: Request, language: str) -> Site:
    if language not in LANGUAGES:
        raise PageUnknown("a language that we don't speak")
    return site_of(request)
