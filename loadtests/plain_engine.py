"""Users as threads of the standard library: for tests, and where locust is not installed."""

from __future__ import annotations

import http.client
import select
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loadtests.recorder import NO_ANSWER, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.worker import Desk

_SECONDS = 60.0


class PlainHttp:
    """A connection to each host, kept; opened again when the host has closed it."""

    def __init__(self) -> None:
        self._connections: dict[str, http.client.HTTPConnection] = {}

    def send(
        self, step: str, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """As :class:`loadtests.recorder.Http` has it."""
        del step
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = self._connection_to(parts.netloc)
        try:
            connection.request(method, target, body or None, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return Answer(NO_ANSWER, {}, b"")
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, content)

    def _connection_to(self, host: str) -> http.client.HTTPConnection:
        """The one that is kept, unless the host has closed it while it was idle."""
        kept = self._connections.get(host)
        if kept is None:
            kept = self._connections[host] = http.client.HTTPConnection(host, timeout=_SECONDS)
        elif kept.sock is not None and select.select([kept.sock], [], [], 0)[0]:
            kept.close()  # opens itself anew
        return kept

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()


def run(desk: Desk, users: int) -> None:
    """Until the arrivals end, or it is given up; who is at something then ends with the process."""

    def user() -> None:
        http = PlainHttp()
        while desk.turn(http):
            pass
        http.close()

    threads = [threading.Thread(target=user, daemon=True) for _ in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        left = min(desk.give_up - time.time(), threading.TIMEOUT_MAX)
        thread.join(max(left, 0.0))


def sleep(seconds: float) -> None:
    """Let the other users work."""
    time.sleep(seconds)
