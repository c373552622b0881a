"""A push service (RFC 8030) on a real socket with TLS, which judges what it is sent.

Tokens are judged by the public ``py-vapid`` package, the rest here after RFC 8030 and RFC 8292.
"""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from py_vapid import Vapid02

from tests.support.tls import make_tls_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAY = 86_400


@dataclass
class PushService:
    """``answers`` are given one after the other, the last for ever."""

    host: str
    ca: Path
    public_key: str
    answers: list[int]
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def endpoint(self, name: str = "a") -> str:
        return f"https://{self.host}/send/{name}"

    def judged(self, now_ms: int) -> list[str]:
        """The paths of the messages; fails for one that a push service would refuse."""
        for _, headers, body in self.got:
            assert body == b""
            assert headers["content-length"] == "0"
            assert "content-type" not in headers
            assert "content-encoding" not in headers
            assert 0 <= int(headers["ttl"]) <= 28 * _DAY
            assert headers["urgency"] in {"very-low", "low", "normal", "high"}
            assert 0 < len(headers["topic"]) <= 32
            claims = self._claims(headers["authorization"])
            assert claims["aud"] == f"https://{self.host}"
            assert now_ms // 1000 < claims["exp"] <= now_ms // 1000 + _DAY
            assert claims["sub"].startswith("mailto:")
        return [path for path, _, _ in self.got]

    def _claims(self, authorization: str) -> Any:
        assert Vapid02.verify(authorization)
        parts = dict(each.split("=", 1) for each in authorization.removeprefix("vapid ").split(","))
        assert parts["k"] == self.public_key  # the browser subscribed under this one
        header, claims, _ = parts["t"].split(".")
        assert json.loads(_decoded(header)) == {"typ": "JWT", "alg": "ES256"}
        return json.loads(_decoded(claims))


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@contextmanager
def push_service(folder: Path, public_key: str, *answers: int) -> Iterator[PushService]:
    """A push service that answers so, 201 unless told otherwise."""
    files = make_tls_files(folder)
    place = PushService("", files.ca, public_key, list(answers) or [201])

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): text for name, text in self.headers.items()}
            place.got.append((self.path, headers, body))
            answer = place.answers.pop(0) if len(place.answers) > 1 else place.answers[0]
            self.send_response(answer)
            self.send_header("Location", f"https://{place.host}/message/1")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        place.host = f"127.0.0.1:{server.server_address[1]}"
        try:
            yield place
        finally:
            server.shutdown()
            thread.join()
