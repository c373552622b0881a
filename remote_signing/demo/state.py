"""The demo's folder: made anew by each run, locked while one lives, readable by its owner only."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remote_signing.demo.telling import DemoFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MARK = "made-by-the-demo"
_LONGEST_SOCKET_PATH = 107  # bytes, in Linux' sockaddr_un


@dataclass(frozen=True, slots=True)
class State:
    """Where things are in the demo's folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """The configuration files, as a real installation has them."""
        return self.folder / "config"

    @property
    def secrets(self) -> Path:
        """Passwords, PIN, otpauth URI, the portal's keys: what people would know or hold."""
        return self.folder / "secrets"

    @property
    def ceremony(self) -> Path:
        """Recovery package, shares, transcript, cluster file."""
        return self.folder / "ceremony"

    @property
    def socket(self) -> Path:
        """Where the SAM listens."""
        return self.folder / "sam.sock"

    @property
    def signed(self) -> Path:
        """The outcome, and what openssl was given."""
        return self.folder / "signed"

    @property
    def log(self) -> Path:
        """What the programs write, as JSON lines."""
        return self.folder / "programs.log"

    def node(self, name: str) -> Path:
        """The folder of one SoftHSM token."""
        return self.folder / "nodes" / name

    def secret(self, name: str, content: str) -> Path:
        """A new file with mode 0600."""
        path = self.secrets / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        return path


@contextmanager
def fresh(folder: Path) -> Iterator[State]:
    """An empty state in ``folder``. What an earlier run left there is removed, nothing else is."""
    folder = folder.absolute()
    state = State(folder)
    if len(os.fsencode(state.socket)) > _LONGEST_SOCKET_PATH:
        raise DemoFailed(f"{folder} is too long a path for a Unix socket: choose another --state")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise DemoFailed(f"{folder} is not empty and not the demo's: choose another --state")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / _MARK).open("w", encoding="ascii") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(f"a demo is running in {folder}: choose another --state") from None
        _empty(folder)
        for part in (state.config, state.secrets, state.signed, folder / "nodes"):
            part.mkdir(mode=0o700)
        yield state


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens; all are found before any is given up again."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == _MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
