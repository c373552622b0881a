"""Receivers of a call-back, on real sockets."""

from __future__ import annotations

import http.server
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.rssp import callback
from remote_signing.rssp.config import AsynchronousConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

INSIDE = AsynchronousConfig(callback_networks=("127.0.0.0/8",))


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name leads to these addresses."""

    def getaddrinfo(_host: str, port: int, *_: object, **__: object) -> list[Any]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@contextmanager
def receiver(status: int, **headers: str) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Its address, and what it got: path with Host header, and body."""
    got: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((f"{self.headers['Host']}{self.path}", body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"x" * 100_000)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", got
        server.shutdown()
        thread.join()


def test_receiver_gets_the_members_at_the_very_address_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiver(200) as (address, got):
        port = address.rpartition(":")[2]
        resolving(monkeypatch, "127.0.0.1")
        assert callback.notify(INSIDE, f"http://portal.example:{port}/a?b=c", {"responseID": "x"})
    assert got == [(f"portal.example:{port}/a?b=c", b'{"responseID":"x"}')]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500, 503])
def test_anything_but_success_is_no_success_and_no_redirect_is_followed(status: int) -> None:
    with receiver(200) as (other, reached), receiver(status, Location=other) as (address, got):
        assert not callback.notify(INSIDE, address, {})
    assert (len(got), reached) == (1, [])


def test_receiver_that_is_away_or_never_answers_is_no_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callback, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert not callback.notify(INSIDE, f"http://127.0.0.1:{port}/", {})
    assert not callback.notify(INSIDE, f"http://127.0.0.1:{port}/", {})


def test_certificate_of_another_name_is_no_success() -> None:
    """A server that speaks no TLS at all stands for one whose certificate does not fit."""
    with receiver(200) as (address, got):
        assert not callback.notify(INSIDE, address.replace("http:", "https:"), {})
    assert got == []
