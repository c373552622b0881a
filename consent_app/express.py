"""The two addresses that each signature passes, answered without the framework's routers.

Exit stacks, routers and their dependencies are a tenth of what this program spends on a signature.
Whoever asks for one of these addresses, exactly so, is answered by the handler that stands here;
everything else about them is the routers', which have them too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from consent_app.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    Handler = Callable[[Request, str], Awaitable[Response]]
    OnFault = Callable[[Request, Exception], Awaitable[Response]]

_SHAPE = re.compile(r"/requests/([0-9a-z]{26})((?:/approve)?)")


@dataclass(frozen=True, slots=True)
class Stop:
    """Who answers a request, and the template that it is counted under."""

    path: str
    answer: Handler


class Express:
    """ASGI middleware around the framework; its place is inside the edge.

    ``stops``: by method and by what follows the id of 26 characters in the address.
    """

    def __init__(
        self, app: ASGIApp, stops: Mapping[tuple[str, str], Stop], on_fault: OnFault
    ) -> None:
        self._app = app
        self._stops = stops
        self._on_fault = on_fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = _SHAPE.fullmatch(scope["path"]) if scope["type"] == "http" else None
        stop = self._stops.get((scope["method"], found[2])) if found else None
        if found is None or stop is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = stop
        request = Request(scope, receive)
        try:
            response = await stop.answer(request, found[1])
        except Fault as fault:
            response = await self._on_fault(request, fault)
        await response(scope, receive, send)
