"""The management address: ``/metrics``, ``/healthz``, ``/readyz``, ``/startupz``.

A thread beside uvicorn. Health is what the service's own address answers, asked over a new
connection as a load balancer would. Anybody who reaches it may read it: it belongs on loopback or
into a network of operators.
"""

from __future__ import annotations

import http.client
import logging
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from consent_app.config import ListenConfig, ManagementConfig

_log = logging.getLogger(__name__)
_PATIENCE = 7.0  # seconds
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"
_DOWN = b'{"status": "down"}'
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


@contextmanager
def watched(
    place: ManagementConfig | None, service: ListenConfig, metrics: Callable[[], bytes]
) -> Iterator[None]:
    """Within the block the management address answers, if there is one."""
    if place is None:
        yield
        return
    management = Management(place, service, metrics)
    management.start()
    try:
        yield
    finally:
        management.stop()


class Management:
    """Answers from :meth:`start` on, until the process ends."""

    def __init__(
        self, place: ManagementConfig, service: ListenConfig, metrics: Callable[[], bytes]
    ) -> None:
        self._service = (_ANYWHERE.get(service.host, service.host), service.port)
        self._metrics = metrics
        self._was_up = False
        handler = type("_Bound", (_Handler,), {"management": self})
        self._server = ThreadingHTTPServer((place.host, place.port), handler)
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, name="management", daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, media type and body for ``path``."""
        if path == "/metrics":
            return 200, _TEXT, self._metrics()
        if path in {"/healthz", "/readyz"}:
            return self._ask(path)
        if path == "/startupz":
            return self._started()
        return 404, _JSON, b'{"status": "unknown"}'

    def _started(self) -> tuple[int, str, bytes]:
        """Whether it has come up, once and for all: what is slow later is no matter of starting."""
        self._was_up = self._was_up or self._ask("/healthz")[0] == http.HTTPStatus.OK
        return (200, _JSON, b'{"status": "ok"}') if self._was_up else (503, _JSON, _DOWN)

    def _ask(self, path: str) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(*self._service, timeout=_PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, _JSON, answer.read(65_536)
        except (OSError, http.client.HTTPException):
            return 503, _JSON, _DOWN
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    management: ClassVar[Management]
    timeout = 5.0

    def do_GET(self) -> None:
        try:
            status, media_type, body = self.management.answer(self.path.partition("?")[0])
        except Exception:  # noqa: BLE001 - whoever watches must be told that nothing can be told
            _log.exception("management")
            status, media_type, body = 500, _JSON, _DOWN
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """No line: it is asked every few seconds."""
