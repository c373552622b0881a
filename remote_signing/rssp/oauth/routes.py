"""The addresses of the authorization server."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from remote_signing.errors import InvalidInput
from remote_signing.rssp.deps import ServicesDep
from remote_signing.rssp.deps import services as services_of
from remote_signing.rssp.edge.threads import in_thread
from remote_signing.rssp.oauth import metadata
from remote_signing.rssp.oauth.request import V1_PREFIX, read
from remote_signing.rssp.oauth.server import Server

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.edge.express import Handler, Table

router = APIRouter()

_WELL_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


@router.get("/oauth2/authorize")
@router.get(f"{V1_PREFIX}/oauth2/authorize", include_in_schema=False)
async def authorize(request: Request, services: ServicesDep) -> Response:
    """RFC 6749 cl. 3.1. For browsers: 303 to the consent page."""
    return await _answer("authorize", request, services)


@router.post("/oauth2/pushed_authorize")
async def pushed_authorize(request: Request, services: ServicesDep) -> Response:
    """RFC 9126: 201 with a ``request_uri``."""
    return await _answer("pushed_authorize", request, services)


@router.post("/oauth2/token")
@router.post(f"{V1_PREFIX}/oauth2/token", include_in_schema=False)
async def token(request: Request, services: ServicesDep) -> Response:
    """RFC 6749 cl. 3.2."""
    return await _answer("token", request, services)


@router.post("/oauth2/revoke")
@router.post(f"{V1_PREFIX}/oauth2/revoke", include_in_schema=False)
@router.post("/revoke", include_in_schema=False)  # where a known client library looks for it
async def revoke(request: Request, services: ServicesDep) -> Response:
    """RFC 7009: 204."""
    if services.config.csc.strict and request.url.path == "/revoke":
        raise HTTPException(404)
    return await _answer("revoke", request, services)


@router.get(_WELL_KNOWN[0])
@router.get(_WELL_KNOWN[1])
@router.get(_WELL_KNOWN[0] + "/{path:path}")
@router.get(_WELL_KNOWN[1] + "/{path:path}")
async def well_known(services: ServicesDep, path: str = "") -> Response:
    """RFC 8414. The second name is where some clients look first; we are no OpenID provider."""
    if path and urlsplit(services.config.urls.issuer).path != f"/{path}":
        raise HTTPException(404)
    return JSONResponse(metadata.describe(services.config))


async def _answer(name: str, request: Request, services: Services) -> Response:
    """Read the request here; everything that may wait happens in a thread."""
    server = Server(services)
    try:
        asked = await read(services, request)
    except InvalidInput as error:
        on_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
        return server.refuse(error, on_page=on_page)
    if name == "token":
        return await in_thread(server.token, asked)
    return await in_thread(server.endpoint, name, asked)


def _express(name: str) -> Handler:
    async def handler(request: Request) -> Response:
        return await _answer(name, request, services_of(request))

    return handler


EXPRESS: Table = {
    ("POST", "/oauth2/pushed_authorize"): _express("pushed_authorize"),
    ("GET", "/oauth2/authorize"): _express("authorize"),
    ("POST", "/oauth2/token"): _express("token"),
}
