"""A portal's receiver of webhooks on a real socket, well behaved or not."""

from __future__ import annotations

import http.server
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Receiver:
    """``answers`` are given one after the other, the last for ever; see :func:`receiver`."""

    answers: list[str]
    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def next_answer(self) -> str:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers as its ``place`` says."""

    place: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): text for name, text in self.headers.items()}
        self.place.got.append((headers, body))
        answer = self.place.next_answer()
        if answer == "hang":
            self.place.ended.wait(20)
        elif answer == "cut":
            self.wfile.write(b"HTTP/1.1 2")
        elif answer == "drip":
            self._drip()
        else:
            self.send_response(int(answer))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
        while not self.place.ended.is_set():
            try:
                self.wfile.write(b"x")
            except OSError:
                return
            time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def receiver(*answers: str) -> Iterator[Receiver]:
    """A receiver. An answer is a status, ``hang`` (none), ``cut`` (half a status line), ``drip``.

    ``drip`` sends a byte of a header now and then, for as long as anybody listens.
    """
    place = Receiver(list(answers) or ["200"])
    handler = type("Handler", (Answering,), {"place": place})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        place.url = f"http://127.0.0.1:{server.server_address[1]}/hooks?x=1"
        try:
            yield place
        finally:
            place.ended.set()
            server.shutdown()
            thread.join()
