"""The supervisor's end of a worker: its process, the socket to it, and how it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from typing import TYPE_CHECKING

from remote_signing.sap import MAX_LINE

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS_TO_DIE = 2.0


class WorkerUnusable(Exception):
    """The worker died, hung or never came up. What it was asked may be asked of another."""


class WorkerProcess:
    """One worker. After any ``WorkerUnusable`` it must be killed, never used again."""

    def __init__(self, config_file: Path, node: str) -> None:
        self.node = node
        self.operations = 0
        self.ready = False
        self.refusal: str | None = None
        self._config_file = config_file
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int | None:
        """The process id, once started."""
        return self._process.pid if self._process else None

    async def start(self, seconds: float) -> None:
        """Start the process and wait until it has logged in and passed its canary."""
        try:
            await self._spawn()
        except OSError as error:  # no process or no descriptor to be had: perhaps in a moment
            raise WorkerUnusable(f"did not start: {error}") from error
        self._judge(await self._line(seconds, "start"))
        self.ready = True

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            # No secret on the command line: the worker reads the PIN file itself.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "remote_signing.sam.worker",
                str(self._config_file),
                self.node,
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
            )
            self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()

    def _judge(self, answer: bytes) -> None:
        """Take in what the canary was answered."""
        error = json.loads(answer).get("error")
        self.refusal = error and error["name"]

    @property
    def sound(self) -> bool:
        """Whether it would use a key: it refuses while it cannot believe its revocation list."""
        return self.refusal is None

    async def prove(self, canary: bytes, seconds: float) -> None:
        """Let it sign a canary. It stays usable when it refuses: the mend may be a request."""
        self._judge(await self.exchange(canary, seconds))

    def has_ended(self) -> bool:
        """Whether the process is gone, even if nobody has been told yet."""
        if self._process is None or self._process.returncode is not None:
            return True
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self._process.pid, options) is not None
        except ChildProcessError:
            # asyncio has buried it and is about to say so.
            return True

    async def ended(self) -> None:
        """Wait until the process is gone."""
        if self._process is not None:
            await self._process.wait()

    async def exchange(self, line: bytes, seconds: float) -> bytes:
        """Send one request and await its answer."""
        if self._writer is None:
            raise WorkerUnusable("not started")
        self.operations += 1
        self._writer.write(line)
        return await self._line(seconds, "answer")

    async def stop(self) -> None:
        """Let an idle worker end by itself; kill it when it does not."""
        self.ready = False
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 2.0)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL: it also ends a worker that is stopped or stuck inside its module.

        One that waits for a device inside the kernel ends when that answers; nobody waits for it.
        """
        self.ready = False
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_TO_DIE):
                    await self._process.wait()

    async def _line(self, seconds: float, what: str) -> bytes:
        if self._reader is None:
            raise WorkerUnusable("not started")
        try:
            async with asyncio.timeout(seconds):  # wait_for would make a task for each line
                line = await self._reader.readline()
        except TimeoutError:
            raise WorkerUnusable(f"no {what} in {seconds} s") from None
        except (OSError, ValueError) as error:
            raise WorkerUnusable(f"broken {what}: {error}") from error
        if not line.endswith(b"\n"):
            raise WorkerUnusable(f"ended instead of its {what}")
        return line
