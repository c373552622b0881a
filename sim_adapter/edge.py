"""The outermost layer: request id, headers, a log line, an answer to everything unforeseen."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect

from sim_adapter import problem, request_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sim_adapter.deps import Drain

_log = logging.getLogger(__name__)
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_QUIET = ("/healthz", "/readyz")
_NOTIFICATIONS = "/mss/notification/"


class Edge:
    """ASGI middleware. An exception that no table knows is 500 with the request id, no more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = request_id.accept(_header(scope, b"x-request-id"))
        began, status = time.perf_counter(), 0

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[request_id.HEADER] = name
                for header, value in _HEADERS.items():
                    headers.setdefault(header, value)
            await send(message)

        token = request_id.current.set(name)
        try:
            await self._app(scope, receive, dressed)
        except ClientDisconnect:
            _log.info("the client went away")
        except Exception:
            _log.exception("unforeseen", extra={"path": _path(scope)})
            if status:  # half an answer is out: only cutting the connection tells the client
                raise
            await problem.write(problem.SERVER_ERROR)(scope, receive, dressed)
        finally:
            _log_answer(scope, status, time.perf_counter() - began)
            request_id.current.reset(token)


class Farewell:
    """ASGI middleware: once the process is on its way out, an answer ends its connection.

    Else the next request could meet the end of a connection that its sender takes for open.
    """

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def last(message: Message) -> None:
            if message["type"] == "http.response.start" and self._drain.started:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, last if scope["type"] == "http" else send)


def _log_answer(scope: Scope, status: int, seconds: float) -> None:
    if scope["path"].startswith(_QUIET):
        return
    about = {"method": scope["method"], "path": _path(scope), "status": status}
    _log.info("answered", extra={**about, "milliseconds": round(seconds * 1000)})


def _path(scope: Scope) -> str:
    """The path without its query; that of a notification ends in a secret."""
    path: str = scope["path"]
    return _NOTIFICATIONS + "…" if path.startswith(_NOTIFICATIONS) else path[:200]


def _header(scope: Scope, name: bytes) -> bytes | None:
    found: list[bytes] = [value for key, value in scope["headers"] if key == name]
    return found[0] if len(found) == 1 else None
