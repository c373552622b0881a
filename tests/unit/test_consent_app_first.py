"""The addresses that are answered before the routers of all pages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fastapi.routing import iter_route_contexts
from starlette.responses import PlainTextResponse

from consent_app.express import Express
from consent_app.routes import requests

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send

NAME = "0" * 26


def first(method: str, path: str, kind: str = "http") -> str:
    """What was asked for in the framework's stead; empty: the framework is asked."""
    told: list[bytes] = []

    async def framework(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.body", "body": b""})

    async def fault(_request: Request, _fault: Exception) -> Response:
        raise AssertionError

    async def answer(request: Request, name: str) -> Response:
        return PlainTextResponse(f"{request.scope['route'].path} {name}")

    async def send(message: Message) -> None:
        told.append(message.get("body", b""))

    async def receive() -> Message:
        raise AssertionError

    stops = {key: type(stop)(stop.path, answer) for key, stop in requests.EXPRESS.items()}
    scope = {"type": kind, "method": method, "path": path, "headers": []}
    asyncio.run(Express(framework, stops, fault)(scope, receive, send))
    return b"".join(told).decode()


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", f"/requests/{NAME}", "/requests/{name}"),
        ("POST", f"/requests/{NAME}/approve", "/requests/{name}/approve"),
        ("HEAD", f"/requests/{NAME}", None),
        ("POST", f"/requests/{NAME}", None),
        ("GET", f"/requests/{NAME}/approve", None),
        ("GET", f"/requests/{NAME[1:]}", None),
        ("GET", f"/requests/{NAME}0", None),
        ("GET", f"/requests/{NAME}/", None),
        ("GET", f"/requests/{NAME}\n", None),
        ("GET", f"/Requests/{NAME}", None),
    ],
)
def test_exactly_these_are_answered(method: str, path: str, template: str | None) -> None:
    assert first(method, path) == (f"{template} {NAME}" if template else "")


def test_what_is_no_request_of_http_goes_on() -> None:
    assert first("GET", f"/requests/{NAME}", "lifespan") == ""


def test_they_are_the_routers_too() -> None:
    known = {
        (method, each.path_format)
        for each in iter_route_contexts(requests.router.routes)
        for method in getattr(each, "methods", None) or ()
    }
    mine = {(method, stop.path) for (method, _), stop in requests.EXPRESS.items()}
    assert mine <= known
    assert all(
        stop.path == f"/requests/{{name}}{end}" for (_, end), stop in requests.EXPRESS.items()
    )
