"""The parent's end of a node's process.

Each node has a process of its own: a module reads its environment once, when it is initialised, so
two nodes with the same module cannot share one, and a hung node must not hang the ceremony. What
passes between the processes is public or wrapped; the child reads the PIN file itself.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, cast

from remote_signing import strict_json
from remote_signing.errors import HsmFault, type_registry
from remote_signing.sap import MAX_LINE, encode_line

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from remote_signing.sam.cluster import Members
    from remote_signing.sam.config import NodeConfig

SECONDS = 120.0  # for one step; generating a few RSA keys in a slow HSM fits
_SECONDS_TO_END = 5.0


class NodeProcess:
    """``call`` steps of :mod:`.steps` in a process that opens ``config``'s node and no other."""

    def __init__(self, config: NodeConfig, lock_folder: Path) -> None:
        self.config = config
        self.lock_folder = lock_folder
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "remote_signing.sam.ceremony.steps", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._socket = ours
        self._buffer = bytearray()

    @property
    def name(self) -> str:
        """The node's name."""
        return self.config.name

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def open(self, seconds: float = SECONDS) -> Members:
        """Log in. Module and token as they name themselves, mechanisms, labels already there."""
        return self.call(
            "open",
            seconds,
            config=self.config.model_dump(mode="json"),
            lock_folder=str(self.lock_folder),
        )

    def call(self, step: str, seconds: float = SECONDS, **arguments: object) -> Members:
        """What the step answers; raises the error it names, or ``HsmFault``."""
        deadline = time.monotonic() + seconds
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(encode_line({"step": step, "arguments": arguments}))
            answer = strict_json.loads_object(self._line(deadline))
        except TimeoutError:
            self._process.kill()
            raise HsmFault(f"node {self.name} did not answer {step} in {seconds:g} s") from None
        except OSError as error:
            raise HsmFault(f"node {self.name}: {error}") from error
        if "error" in answer:
            kind = type_registry[cast("str", answer["error"])]
            raise kind(f"node {self.name}: {answer['cause']}")
        return cast("Members", answer["ok"])

    def _line(self, deadline: float) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self._socket.recv(65536)
            if not data or len(self._buffer) > MAX_LINE:
                raise ConnectionResetError("its process ended")
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def close(self) -> None:
        """End the process, by force if it has to be."""
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
