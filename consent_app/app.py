"""The application: pages, and one page for each way in which it can go wrong."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from consent_app.cookies import Notice
from consent_app.edge import Edge
from consent_app.express import Express
from consent_app.faults import (
    Fault,
    MethodUnknown,
    PageUnknown,
    RequestMalformed,
    RsspAway,
    RsspRefused,
    WordsRefused,
)
from consent_app.figures import Measured
from consent_app.kept import TYPED, kept
from consent_app.routes import (
    account,
    activation,
    batch,
    documents,
    holdings,
    logos,
    openid,
    passkeys,
    phone,
    pins,
    requests,
    services,
    settings,
    sign_in,
    sims,
    site,
    validation,
)
from consent_app.routes.session import SESSION_INVALID
from consent_app.site import open_site
from consent_app.visit import Visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from starlette.requests import Request
    from starlette.responses import Response

    from consent_app.config import ConsentConfig
    from consent_app.figures import Figures

_log = logging.getLogger(__name__)

_NOT_FOUND = 404
_LISTS = ("/", "/history")
_SENT_AGAIN = (RsspAway.kind, WordsRefused.kind)
_METHOD_NOT_ALLOWED = 405
_FORM_ENDINGS = (
    *("/approve", "/refuse", "/match", "/sign-out", "/sim/ask", "/cancel"),
    *("/passkey/options", "/passkey", "/options", "/confirm", "/seen", "/openid"),
    *("/push/end", "/push/all", "/push"),
)
_ROUTERS = (
    *(sign_in.router, openid.router, activation.router, account.router, batch.router),
    *(holdings.router, passkeys.router, pins.router, sims.router, documents.router),
    *(logos.router, validation.router, requests.router, services.router, phone.router),
    *(settings.router, site.router),
)


def create_app(
    config: ConsentConfig,
    transport: httpx.AsyncBaseTransport | None = None,
    figures: Figures | None = None,
) -> FastAPI:
    """The consent page for ``config``; ``transport`` is for tests that bring their own rssp."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        # Nothing about requests goes where an environment variable says; nor is it asked each time.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.site = open_site(config, transport)
    for router in _ROUTERS:
        app.include_router(router)
    app.add_exception_handler(Fault, _on_fault)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_bad_address)
    app.add_middleware(Express, stops=requests.EXPRESS, on_fault=_on_fault)
    app.add_middleware(Edge, drain=app.state.site.drain, is_secure=config.public.is_secure)
    if figures is not None:
        app.add_middleware(Measured, figures=figures)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.site.rssp.close()


async def _on_fault(request: Request, error: Exception) -> Response:
    fault = cast("Fault", error)
    _log.info("refused", extra={"fault": type(fault).__name__, "cause": str(fault)})
    if isinstance(fault, RsspRefused):
        if fault.code == SESSION_INVALID:
            return _to_sign_in(request)
        fault = _as_page(fault)
    kind = _kind(request, fault)
    sent = getattr(request.state, "sent", {}) if kind in _SENT_AGAIN else {}
    return Visit(request).page(
        "error.html",
        status=fault.status,
        kind=kind,
        kept=kept(request.url.path, sent),
        here=_page_of(request),
        again=_again(request),
    )


def _kind(request: Request, fault: Fault) -> str:
    """What the visitor reads: that nothing was done only where that is known, and asked for."""
    is_open = isinstance(fault, RsspAway) and not fault.is_settled and request.method == "POST"
    return "unsettled" if is_open else fault.kind


def _as_page(refusal: RsspRefused) -> Fault:
    """A refusal that no route foresaw: something unknown, or something that we sent wrongly."""
    cause = str(refusal)
    if refusal.parameter in TYPED:
        return WordsRefused(cause)
    return PageUnknown(cause) if refusal.status == _NOT_FOUND else Fault(cause)


def _to_sign_in(request: Request) -> Response:
    """To the sign-in page and back here afterwards; a session that is over leaves its cookie."""
    visit = Visit(request)
    was_signed_in = visit.session is not None
    visit.session = None
    address = f"{request.url.path}?{request.url.query}"
    page = address if sign_in.is_ours(address) else _page_of(request)
    response = visit.to(
        sign_in.sign_in_address(page), Notice("session_over") if was_signed_in else None
    )
    if was_signed_in:
        visit.site.cookies.drop(response, "session")
    return response


def _page_of(request: Request) -> str:
    """The address of the page whose form was sent, or the address itself."""
    path = request.url.path
    if path.startswith("/account/"):  # their forms stand on two pages of other names
        return "/lost-phone" if path == "/account/freeze" else "/security"
    for ending in _FORM_ENDINGS:
        path = path.removesuffix(ending)
    return sign_in.next_address(path)


def _again(request: Request) -> str:
    """The same, with what a list was narrowed by: a fault must not lose what was typed."""
    page, query = _page_of(request), request.url.query
    return f"{page}?{query}" if page in _LISTS and page == request.url.path and query else page


async def _on_http_error(request: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    kinds = {_NOT_FOUND: PageUnknown, _METHOD_NOT_ALLOWED: MethodUnknown}
    return await _on_fault(request, kinds.get(status, RequestMalformed)("refused by the router"))


async def _on_bad_address(request: Request, _error: Exception) -> Response:
    """A path parameter without the shape of an id: such a page does not exist."""
    return await _on_fault(request, PageUnknown("not the shape of an id"))
