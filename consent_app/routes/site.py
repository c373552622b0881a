"""What belongs to the site as a whole: language, style sheet, health."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from consent_app import forms
from consent_app.faults import PageUnknown
from consent_app.language import LANGUAGES
from consent_app.routes.sign_in import next_address, sign_in_address
from consent_app.site import site_of
from consent_app.visit import Visit

router = APIRouter()

_FOR_EVER = "public, max-age=31536000, immutable"
_A_WHILE = "public, max-age=300"
_UNAVAILABLE = 503


@router.get("/language/{wanted}")
async def choose_language(request: Request, wanted: str) -> Response:
    """Remember the language and go back to where the visitor was."""
    if wanted not in LANGUAGES:
        raise PageUnknown("a language that we don't speak")
    visit = Visit(request)
    response = visit.to(_back(visit.query().get("next", "/")))
    visit.site.cookies.write(response, "language", wanted)
    return response


def _back(here: str) -> str:
    """``here`` if it is one of our own pages, or the form that leads to one; else the list."""
    page, _, query = here.partition("?")
    if page != "/sign-in":
        return next_address(here)
    return sign_in_address(next_address(forms.fields(query.encode()).get("next")))


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """A file of ours. Its address holds its version, so browsers keep it."""
    found = site_of(request).static.get(name)
    if found is None:
        raise PageUnknown("no such file")
    is_packed = _takes_gzip(request.headers.get("accept-encoding", ""))
    is_exact = request.scope["query_string"] == f"v={found.version}".encode()
    headers = {
        "Cache-Control": _FOR_EVER if is_exact else _A_WHILE,
        "Cross-Origin-Resource-Policy": "cross-origin",  # the mark is the service's logo at portals
        "Vary": "Accept-Encoding",
    }
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    content = found.packed if is_packed else found.content
    return Response(content, media_type=found.media_type, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    """Whether a value of ``Accept-Encoding`` (RFC 9110 cl. 12.5.3) names gzip, and not as q=0."""
    for item in accepted.lower().split(","):
        coding, _, weight = item.replace(" ", "").partition(";")
        if coding == "gzip":
            return weight.removeprefix("q=").strip("0.") != "" or not weight
    return False


@router.get("/healthz")
async def is_alive() -> Response:
    """Whether the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def is_ready(request: Request) -> Response:
    """Whether to send visitors here.

    An rssp that is away is told but does not make this process unready: our page, which says that
    nothing was used up, serves people better than a load balancer's.
    """
    site = site_of(request)
    reachable = await site.rssp.is_reachable()
    status = "draining" if site.drain.started else "ready"
    checks = {"rssp": "ok" if reachable else "unreachable"}
    code = _UNAVAILABLE if site.drain.started else 200
    return JSONResponse({"status": status, "checks": checks}, code)
