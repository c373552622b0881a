"""A proxy between client and service that breaks connections when it is told to."""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, TypeAlias

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

Fault: TypeAlias = Literal["unheard", "cut", "half", "gateway", "early", "busy"]
"""What becomes of a request.

``unheard``: the connection is cut before the service hears of it. ``cut``: the service answers and
nothing of it arrives. ``half``: half of it arrives. ``gateway``: the proxy answers 502 in its own
words. ``early``: the connection is cut while the service is still at work. ``busy``: 503 in the
service's form, and it has not heard of it.
"""

_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host", "keep-alive"}
_BUSY = {"error": "temporarily_unavailable", "error_description": "overload"}


@dataclass
class Relay:
    """``faults`` are used up one by one, by the last part of the path. ``heard`` has them all."""

    http: httpx.Client
    url: str = ""
    upstream: str = ""
    faults: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    added: dict[str, str] = field(default_factory=dict)
    """Headers that the proxy adds, as one that ends TLS does."""

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults[method].extend(faults)

    def times(self, method: str) -> int:
        """How often the service heard of a method."""
        return sum(path.endswith(f"/{method}") for path, _ in self.heard)

    def forget(self) -> None:
        self.faults.clear()
        self.heard.clear()
        self.added.clear()

    def forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> httpx.Response:
        self.heard.append((handler.path, body))
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in _HOP_BY_HOP}
        address, method = self.upstream + handler.path, handler.command
        return self.http.request(method, address, content=body, headers=headers | self.added)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    relay: Relay

    def do_GET(self) -> None:
        self._send(self.relay.forward(self, b""))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        waiting = self.relay.faults[self.path.rpartition("/")[2]]
        fault = waiting.popleft() if waiting else None
        if fault in {"unheard", "early", "busy"}:
            self._fail_before(fault, body)
            return
        answer = self.relay.forward(self, body)
        if fault == "gateway":
            self._write(502, {}, b"<h1>502</h1>")
        elif fault == "cut":
            self.close_connection = True
        else:
            self._send(answer, half=fault == "half")

    def _fail_before(self, fault: Fault | None, body: bytes) -> None:
        if fault == "busy":
            self._write(503, {"Retry-After": "0"}, json.dumps(_BUSY).encode())
            return
        self.close_connection = True
        if fault == "early":
            threading.Thread(target=self.relay.forward, args=(self, body)).start()

    def _send(self, answer: httpx.Response, *, half: bool = False) -> None:
        kept = {k: v for k, v in answer.headers.items() if k not in _HOP_BY_HOP}
        self._write(answer.status_code, kept, answer.content, half=half)

    def _write(
        self, status: int, headers: dict[str, str], body: bytes, *, half: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != httpx.codes.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.close_connection = half

    def log_message(self, *_arguments: object) -> None:
        """Tests say what went wrong themselves."""


@contextmanager
def relay() -> Iterator[Relay]:
    """A relay; give it an ``upstream`` before anybody calls."""
    with httpx.Client(timeout=60, trust_env=False) as http:
        made = Relay(http)
        handler = type("Handler", (_Handler,), {"relay": made})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            made.url = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield made
            server.shutdown()
            thread.join()
