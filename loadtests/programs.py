"""The service's programs as processes of their own, started and ended in order."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS_TO_READY = 120.0
_SECONDS_TO_END = 60.0


class ProgramFailed(Exception):
    """A program of the service did not start, did not get ready, or a command failed."""


def begin() -> Callable[[str], None]:
    """Begin a command that starts programs; what it calls with each thing to say.

    SIGTERM ends this process as an error does, so that the programs are stopped, too.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    begun = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - begun:6.1f} s] {text}\n")
        sys.stdout.flush()

    return say


@dataclass(slots=True)
class Program:
    """``python -m NAME``, its log, and where it says that it is ready (None: nowhere)."""

    role: str
    arguments: list[str]
    log: Path
    ready_url: str | None = None
    port: int | None = None  # of one that says in no other way that it is ready
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; :meth:`wait_until_ready` comes next."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - the service's own program
                [sys.executable, "-m", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run_to_end(self) -> None:
        """One that does something and ends. Errors: ``ProgramFailed``."""
        self.start()
        if self.process is not None and self.process.wait():
            raise ProgramFailed(f"{self.role}: {self.told()}")

    @property
    def pid(self) -> int:
        """Of the process; ``ProgramFailed`` before it was started."""
        if self.process is None:
            raise ProgramFailed(f"{self.role} was not started")
        return self.process.pid

    def wait_until_ready(self) -> None:
        """Errors: ``ProgramFailed``, with the end of its log."""
        deadline = time.monotonic() + SECONDS_TO_READY
        while not self._is_ready():
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise ProgramFailed(f"{self.role} did not get ready: {self.told()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        if self.port is not None:
            return _is_open(self.port)
        return self.ready_url is None or is_ready(self.ready_url)

    def told(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def stop(self) -> None:
        """SIGTERM, which lets it finish; SIGKILL when it does not end."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The operator's ``remote-signing`` with a configuration folder."""

    config: Path

    def run(self, *arguments: str, may_fail: bool = False) -> None:
        """Errors: ``ProgramFailed``, with what the command said, unless it ``may_fail``."""
        self._run(arguments, may_fail=may_fail)

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - whatever the command tells in JSON
        """What the command tells with ``--json``."""
        return json.loads(self._run((*arguments, "--json")))

    def json_lines(self, *arguments: str) -> list[dict[str, Any]]:
        """The same where each line is an object."""
        return [json.loads(line) for line in self._run((*arguments, "--json")).splitlines()]

    def _run(self, arguments: tuple[str, ...], *, may_fail: bool = False) -> str:
        done = subprocess.run(  # noqa: S603 - the service's own command line
            [sys.executable, "-m", "remote_signing.cli", "--config", str(self.config), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and not may_fail:
            line = " ".join(arguments[:3])
            raise ProgramFailed(f"remote-signing {line}: {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout


def is_ready(url: str) -> bool:
    """Whether ``url`` answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own loopback URL
            return bool(answer.status == HTTPStatus.OK)
    except (OSError, urllib.error.HTTPError):
        return False


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """TCP ports that are free on loopback at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
