"""One request to an ASGI application, without a server or a socket.

Where it is the rssp, the exchange is compared with the service's own description and the standard's
schemas (:mod:`.described`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.described import Judged

if TYPE_CHECKING:
    from starlette.types import ASGIApp

BASE = "https://rssp.test"


def call(app: ASGIApp, method: str, path: str, **options: Any) -> httpx.Response:
    """The answer; an exception that the application lets out is raised here."""

    async def exchange() -> httpx.Response:
        transport = httpx.ASGITransport(Judged(app))
        async with httpx.AsyncClient(transport=transport, base_url=BASE, trust_env=False) as client:
            return await client.request(method, path, **options)

    return asyncio.run(exchange())
