"""The management address: ``/metrics``, ``/healthz``, ``/readyz``, ``/startupz``.

A thread of the process that was started, beside uvicorn or above its workers. It holds no handler
of the service and no secret; health is what the service's own address answers, asked over a new
connection as a load balancer would. Anybody who reaches it may read it: it belongs on loopback or
into a network of operators.
"""

from __future__ import annotations

import http.client
import logging
import os
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from remote_signing.rssp.deps import open_services
from remote_signing.rssp.figures_of_state import FiguresOfState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remote_signing.rssp.config import ListenConfig, RsspConfig
    from remote_signing.rssp.config_management import ManagementConfig

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"  # the library's name

_log = logging.getLogger(__name__)
_PATIENCE = 7.0  # seconds; longer than /readyz takes at its worst
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"
_DOWN = b'{"status": "down"}'
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


@contextmanager
def watched(config: RsspConfig) -> Iterator[None]:
    """Within the block the management address of ``config`` answers, if it names one.

    Must come before anything counts: processes find the folder of their numbers in the environment.
    """
    if config.management is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="rssp-figures-") as folder:
        os.environ[FOLDER_VARIABLE] = folder
        services = open_services(config)
        state = FiguresOfState(services)
        management = Management(config.management, config.listen, lambda: exposition(folder, state))
        management.start()
        try:
            yield
        finally:
            management.stop()
            services.close()


def exposition(folder: str, state: FiguresOfState) -> bytes:
    """The numbers of all processes, those that have ended too, and what is found out now."""
    # The library looks for its folder when it is imported.
    import prometheus_client  # noqa: PLC0415 - see above
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 - see above

    _forget_ended(Path(folder))
    registry = prometheus_client.CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call] # so it comes
    registry.register(state)
    return prometheus_client.generate_latest(registry)


def _forget_ended(folder: Path) -> None:
    """What a process has in use ends with it; what it counted stays."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not Path(f"/proc/{pid}").exists():
            path.unlink(missing_ok=True)


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
