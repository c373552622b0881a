"""An ASGI application behind a real socket, for as long as a ``with`` lasts."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from tests.support.described import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

_SECONDS_TO_START = 20
# For requests that stay on this machine: without it, each reads the system's authorities (25 ms).
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def free_port() -> int:
    """A port of the loopback that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@contextmanager
def served(make: Callable[[str], ASGIApp]) -> Iterator[str]:
    """The address of ``make(address)``, answering in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = make(address)
        options = uvicorn.Config(Judged(app), log_config=None, access_log=False)
        server = uvicorn.Server(options)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        deadline = time.monotonic() + _SECONDS_TO_START
        while not server.started:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.01)
        yield address
        site = getattr(getattr(app, "state", None), "site", None)
        if site is not None:  # the consent page's own server says so too: its streams end
            site.drain.started = True
        server.should_exit = True
        thread.join()
