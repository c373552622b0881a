"""The addresses of a signature, answered without the framework's router.

FastAPI tries one router after another, makes exit stacks and solves dependencies: for a request of
the hot path that is a third of what the rssp spends. Whoever asks for one of these addresses,
exactly so, is answered by the handler that stands here; everything else about them, such as another
method or a slash at the end, is the router's, which has them too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from remote_signing.errors import RemoteSigningError
from remote_signing.rssp.edge import problem
from remote_signing.rssp.edge.measured import MEASURED_AS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Table: TypeAlias = Mapping[tuple[str, str], Handler]
"""Method and path → who answers. ``{name}`` in a path stands for an id of 26 characters."""

_NAME = "{name}"
_LENGTH = 26


class Express:
    """ASGI middleware around the framework; its place is inside the edge."""

    def __init__(self, app: ASGIApp, table: Table) -> None:
        self._app = app
        self._table = table
        self._before = tuple({path.partition(_NAME)[0] for _, path in table if _NAME in path})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        handler = self._handler(scope) if scope["type"] == "http" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await handler(Request(scope, receive))
        except RemoteSigningError as error:
            response = problem.problem_response(error)
        await response(scope, receive, send)

    def _handler(self, scope: Scope) -> Handler | None:
        method, path = scope["method"], scope["path"]
        found = self._table.get((method, path))
        if found is not None:
            scope[MEASURED_AS] = path
        if found is not None or not path.startswith(self._before):
            return found
        start = len(next(before for before in self._before if path.startswith(before)))
        name, rest = path[start : start + _LENGTH], path[start + _LENGTH :]
        if len(name) < _LENGTH or "/" in name:
            return None
        template = f"{path[:start]}{_NAME}{rest}"
        found = self._table.get((method, template))
        if found is not None:
            scope["path_params"] = {"name": name}
            scope[MEASURED_AS] = template
        return found
