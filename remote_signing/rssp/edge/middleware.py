"""The outermost layer: request id, security headers, one log line, one answer to every fault."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from remote_signing.errors import RemoteSigningError
from remote_signing.rssp.edge import problem, request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

# For an API that serves no page: nothing may be loaded, framed, cached or guessed.
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
_LAST = (b"connection", b"close")
_ID_HEADER = request_id.HEADER.lower().encode("ascii")
_USUAL = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
SERVER_ERROR = (
    "The authorization server encountered an unexpected condition that prevented it from"
    " fulfilling the request."
)


def _stays() -> bool:
    return False


def install(app: Starlette, is_leaving: Callable[[], bool] = _stays) -> None:
    """Put the edge around ``app`` and give its errors a body."""
    app.add_middleware(Edge, is_leaving=is_leaving)
    app.add_exception_handler(RemoteSigningError, problem.on_domain_error)
    app.add_exception_handler(HTTPException, problem.on_http_error)
    app.add_exception_handler(RequestValidationError, problem.on_bad_parameter)


class Edge:
    """ASGI middleware. Nothing a handler raises gets past it, and nothing of it reaches a client.

    An exception that no table knows is 500 ``server_error`` with the request id, whatever was
    asked; the log has the rest under the same id. Each answered request has one line in it, with
    the path only, never the query.

    Once ``is_leaving``, an answer ends its connection: else a client's next request could meet the
    end of a connection that it takes for open.
    """

    def __init__(self, app: ASGIApp, is_leaving: Callable[[], bool]) -> None:
        self._app = app
        self._is_leaving = is_leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _single_slash(scope)
        name = request_id.accept(_header(scope, b"x-request-id"))
        begun, status = time.perf_counter(), 0

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _dressed(message["headers"], name)
                if self._is_leaving():
                    message["headers"].append(_LAST)
            await send(message)

        token = request_id.current.set(name)
        try:
            await self._app(scope, receive, dressed)
        except ClientDisconnect:
            _log.info("the client went away")
        except Exception:
            _log.exception("unforeseen", extra={"path": scope["path"]})
            if status:  # half an answer is out: only cutting the connection tells the client
                raise
            await _server_error(name)(scope, receive, dressed)
        finally:
            took = round((time.perf_counter() - begun) * 1000, 1)
            about = {"method": scope["method"], "path": scope["path"], "ms": took, "status": status}
            _log.info("answered", extra=about)
            request_id.current.reset(token)


def _dressed(headers: Iterable[tuple[bytes, bytes]], name: str) -> list[tuple[bytes, bytes]]:
    """``headers`` with the request's id, and with what every answer has unless it says otherwise.

    Names are in lower case already, as ASGI has them.
    """
    own = [pair for pair in headers if pair[0] != _ID_HEADER]
    said = {header for header, _ in own}
    usual = [pair for pair in _USUAL if pair[0] not in said]
    return [*own, (_ID_HEADER, name.encode("ascii")), *usual]


def _server_error(name: str) -> Response:
    members = {"error": "server_error", "error_description": SERVER_ERROR, "request_id": name}
    return Response(json.dumps(members), 500, media_type="application/json")


def _header(scope: Scope, name: bytes) -> bytes | None:
    found: list[bytes] = [value for key, value in scope["headers"] if key == name]
    return found[0] if len(found) == 1 else None


def _single_slash(scope: Scope) -> None:
    """``//oauth2/token`` is ``/oauth2/token``.

    CSC joins ``oauth2`` of ``info`` and ``oauth2/token`` literally, so that the base ends with a
    slash; known clients put a slash of their own between them (docs/csc-divergences.md).
    """
    path: str = scope["path"]
    if path.startswith(("//oauth2/", "/csc/v1//oauth2/")):
        scope["path"] = path.replace("//", "/", 1)
        scope["raw_path"] = scope["path"].encode("utf-8")
