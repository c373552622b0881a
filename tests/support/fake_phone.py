"""The part of the small rssp that a phone in a pocket asks: how much waits, who is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.consent_api import FakeRssp

    Route = tuple[str, str, Callable[..., Awaitable[Response]]]

PUBLIC_KEY = (
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
)


@dataclass
class FakePhone:
    """``endpoints`` are told; ``public_key`` None: push is not configured."""

    public_key: str | None = None
    endpoints: list[str] = field(default_factory=list)
    refuses: bool = False
    looks: int = 0
    rssp: FakeRssp = field(init=False)

    def routes(self, rssp: FakeRssp) -> list[Route]:
        """What FastAPI adds; ``rssp`` knows the session."""
        self.rssp = rssp
        return [
            ("GET", "/consent/v1/waiting", self._look),
            ("GET", "/consent/v1/push", self._show),
            ("POST", "/consent/v1/push", self._subscribe),
            ("POST", "/consent/v1/push/end", self._unsubscribe),
            ("DELETE", "/consent/v1/push", self._unsubscribe),
        ]

    def mark(self) -> tuple[int, str]:
        """How much waits, and what changes with it."""
        names = [name for name, item in self.rssp.requests.items() if item["state"] == "PENDING"]
        return len(names), f"{len(names)}.{max(names, default='')}"

    async def _look(self, request: Request) -> Response:
        if (refused := self.rssp.refused(request)) is not None:
            return refused
        self.looks += 1
        waiting, mark = self.mark()
        return JSONResponse({"waiting": waiting, "mark": mark})

    async def _show(self, request: Request) -> Response:
        from tests.support.consent_api import SIGNER  # noqa: PLC0415 - that module imports this one

        if (refused := self.rssp.refused(request)) is not None:
            return refused
        members = {"public_key": self.public_key, "browsers": len(self.endpoints)}
        return JSONResponse({"subscriber": SIGNER} | members)

    async def _subscribe(self, request: Request) -> Response:
        if (refused := self.rssp.refused(request)) is not None:
            return refused
        if self.refuses:
            return JSONResponse({"code": "invalid_request", "status": 400}, 400)
        self.endpoints.append((await request.json())["endpoint"])
        return JSONResponse({}, 201)

    async def _unsubscribe(self, request: Request) -> Response:
        if (refused := self.rssp.refused(request)) is not None:
            return refused
        self.endpoints.clear()
        return JSONResponse({"ended": 1})
