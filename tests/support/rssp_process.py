"""The rssp as a process of its own, on loopback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from tests.support.sam import toml
from tests.support.served import NO_TLS, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.sam import RunningSam

_SECONDS_TO_START = 120


@dataclass
class RsspProcess:
    """``python -m remote_signing.rssp`` with a configuration in ``folder``."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "rssp.log").read_text("utf-8")

    def start(self) -> RsspProcess:
        """Start it, also again, and wait until it is ready."""
        command = [sys.executable, "-m", "remote_signing.rssp", "--config"]
        with (self.folder / "rssp.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, str(self.folder / "rssp.toml")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _SECONDS_TO_START
        while self.status("/readyz") != httpx.codes.OK:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        return self

    def status(self, path: str) -> int:
        """The status that ``GET path`` answers; 0 when nothing does."""
        try:
            return httpx.get(self.home + path, timeout=10, verify=NO_TLS).status_code
        except httpx.TransportError:
            return 0

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def prepared(
    folder: Path, url: str, sam: RunningSam, /, **tables: Mapping[str, object]
) -> RsspProcess:
    """A process that is not started yet; ``tables`` are added to its configuration."""
    port = free_port()
    members: dict[str, Mapping[str, object]] = {
        "service": {"name": "x", "logo": "https://x/x.png", "region": "VN", "description": "x"},
        "urls": {"issuer": f"http://127.0.0.1:{port}", "consent": "http://127.0.0.1:1"},
        "database": {"url": url},
        "sam": {"socket": sam.address.path},
        "listen": {"port": port, "notice": 0},
    }
    for name, values in tables.items():
        members[name] = {**members.get(name, {}), **values}
    text = "".join(
        f"[{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in values.items())
        for name, values in members.items()
    )
    folder.mkdir(exist_ok=True)
    (folder / "rssp.toml").write_text(text, "utf-8")
    return RsspProcess(folder, port)


@contextmanager
def running(
    folder: Path, url: str, sam: RunningSam, /, **tables: Mapping[str, object]
) -> Iterator[RsspProcess]:
    """Started and ready; killed in the end if it still runs."""
    rssp = prepared(folder, url, sam, **tables).start()
    try:
        yield rssp
    finally:
        if rssp.process is not None and rssp.process.poll() is None:
            rssp.kill()
