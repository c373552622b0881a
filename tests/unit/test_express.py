"""The table of addresses that are answered without the framework's router."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.responses import PlainTextResponse, Response

from remote_signing.errors import ActivationUnknown
from remote_signing.rssp import consent
from remote_signing.rssp.csc import dispatch
from remote_signing.rssp.csc.v2 import routes as csc_v2
from remote_signing.rssp.edge.express import Express
from remote_signing.rssp.oauth import routes as oauth
from tests.support.asgi import call

if TYPE_CHECKING:
    from starlette.requests import Request

NAME = "0" * 26


async def _named(request: Request) -> Response:
    return PlainTextResponse(f"express {request.path_params['name']}")


async def _plain(_request: Request) -> Response:
    return PlainTextResponse("express")


async def _refused(_request: Request) -> Response:
    raise ActivationUnknown("none")


TABLE = {
    ("POST", "/a"): _plain,
    ("POST", "/b"): _refused,
    ("GET", "/things/{name}"): _named,
    ("POST", "/things/{name}/do"): _named,
}


@pytest.fixture
def app() -> FastAPI:
    made = FastAPI(openapi_url=None)

    @made.api_route("/{path:path}", methods=["GET", "POST"])
    async def framework(path: str) -> Response:
        return PlainTextResponse(f"framework {path}")

    made.add_middleware(Express, table=TABLE)
    return made


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("POST", "/a", "express"),
        ("GET", f"/things/{NAME}", f"express {NAME}"),
        ("POST", f"/things/{NAME}/do", f"express {NAME}"),
        ("GET", "/a", "framework a"),
        ("POST", "/a/", "framework a/"),
        ("POST", f"/things/{NAME}", f"framework things/{NAME}"),
        ("GET", f"/things/{NAME}/do", f"framework things/{NAME}/do"),
        ("GET", "/things/0", "framework things/0"),
        ("GET", f"/things/0/{NAME}", f"framework things/0/{NAME}"),
        ("GET", "/", "framework "),
    ],
)
def test_exactly_these_addresses_are_answered(
    app: FastAPI, method: str, path: str, answer: str
) -> None:
    assert call(app, method, path).text == answer


def test_a_refusal_has_the_body_of_every_other(app: FastAPI) -> None:
    refused = call(app, "POST", "/b")
    assert (refused.status_code, refused.json()["code"]) == (404, "request_unknown")


def test_every_address_is_the_routers_too() -> None:
    app = FastAPI(openapi_url=None)
    routers = (oauth.router, consent.router, csc_v2.router)
    for router in routers:
        app.include_router(router)
    signing = dispatch.express(csc_v2.VERSION, "signatures/signHash")
    known = {
        (method, each.path_format)
        for each in iter_route_contexts(app.routes)
        for method in getattr(each, "methods", None) or ()
    }
    assert {*oauth.EXPRESS, *consent.EXPRESS} <= known
    assert [*signing] == [("POST", "/csc/v2/signatures/signHash")]
