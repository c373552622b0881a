"""The outermost layer: request id, security headers, one log line, and an end for every error."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from consent_app import request_id
from consent_app.visit import Visit, content_policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from consent_app.site import Drain

    Header = tuple[bytes, bytes]

_log = logging.getLogger(__name__)

_HEADERS = {
    # no-transform: nothing on the way may compress a page, which holds secrets beside what others
    # wrote (docs/decisions/0024).
    "Cache-Control": "no-store, no-transform",
    "Content-Security-Policy": content_policy(),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), "
        "publickey-credentials-create=(self), publickey-credentials-get=(self)"
    ),
    # Not no-referrer: with that, browsers send "Origin: null" with our own forms, and those of
    # them that lack Sec-Fetch-Site could not be told from another site's. Other origins get no
    # referrer either way.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that don't know frame-ancestors
    "X-Robots-Tag": "noindex",
}
_TRANSPORT_SECURITY = "max-age=63072000; includeSubDomains"
_ID_HEADER = request_id.HEADER.lower().encode("ascii")
_LAST = (b"connection", b"close")
_QUIET = ("/healthz", "/readyz", "/static/")


class Edge:
    """ASGI middleware. An exception that no page knows is 500 with the request id, in words.

    Once the process is on its way out, an answer ends its connection: else the next request could
    meet the end of a connection that its sender takes for open.
    """

    def __init__(self, app: ASGIApp, drain: Drain, *, is_secure: bool) -> None:
        self._app = app
        self._drain = drain
        headers = dict(_HEADERS)
        if is_secure:
            headers["Strict-Transport-Security"] = _TRANSPORT_SECURITY
        self._headers = tuple(
            (name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = request_id.accept(_header(scope, _ID_HEADER))
        began = time.perf_counter()
        status = 0

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._dressed(message["headers"], name)
            await send(message)

        token = request_id.current.set(name)
        try:
            await self._app(scope, receive, dressed)
        except ClientDisconnect:
            _log.info("the browser went away")
        except Exception:
            _log.exception("unforeseen", extra={"path": scope["path"]})
            if status:  # half an answer is out: only cutting the connection tells the browser
                raise
            await _server_error(scope)(scope, receive, dressed)
        finally:
            _log_answer(scope, status, time.perf_counter() - began)
            request_id.current.reset(token)

    def _dressed(self, headers: Iterable[Header], name: str) -> list[Header]:
        """``headers``, in lower case as ASGI has them, with what every answer has besides.

        What an answer says by itself stays as it is; the request's id is ours alone.
        """
        own = [pair for pair in headers if pair[0] != _ID_HEADER]
        said = {header for header, _ in own}
        last = [_LAST] if self._drain.started else []
        usual = [pair for pair in self._headers if pair[0] not in said]
        return [*own, (_ID_HEADER, name.encode("ascii")), *last, *usual]


def _server_error(scope: Scope) -> Response:
    try:
        return Visit(Request(scope)).page(
            "error.html", status=500, kind="server_error", kept=None, here="/", again="/"
        )
    except Exception:  # noqa: BLE001 - the last resort when even the templates fail
        _log.exception("the error page failed")
        return PlainTextResponse(f"500 {request_id.current.get()}", 500)


def _log_answer(scope: Scope, status: int, seconds: float) -> None:
    if scope["path"].startswith(_QUIET):
        return
    # The address without its query, and never a body: nothing that anybody typed.
    about = {"method": scope["method"], "path": scope["path"][:200], "status": status}
    _log.info("answered", extra={**about, "milliseconds": round(seconds * 1000)})


def _header(scope: Scope, name: bytes) -> bytes | None:
    found: list[bytes] = [value for key, value in scope["headers"] if key == name]
    return found[0] if len(found) == 1 else None
