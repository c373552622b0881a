"""The line between supervisor and worker: its ends, whole lines, and a worker that is gone."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remote_signing.errors import HsmFault
from remote_signing.sam import worker as worker_module
from remote_signing.sam import worker_process
from remote_signing.sam.worker_process import WorkerProcess
from remote_signing.sap import MAX_LINE


def test_worker_that_was_buried_before_anybody_was_told_has_ended() -> None:
    worker = WorkerProcess(Path("sam.toml"), "node-1")
    assert worker.has_ended(), "not started"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    buried: Any = SimpleNamespace(returncode=None, pid=child.pid)
    worker._process = buried  # noqa: SLF001 - the moment between two steps of asyncio
    assert worker.has_ended()


class Immortal:
    """A process that waits inside the kernel, where no signal ends it."""

    returncode = None

    def kill(self) -> None:
        pass

    async def wait(self) -> int:
        await asyncio.Event().wait()
        return 0


def test_nobody_waits_for_a_worker_that_no_signal_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_SECONDS_TO_DIE", 0.01)
    worker = WorkerProcess(Path("sam.toml"), "node-1")
    stuck: Any = Immortal()
    worker._process = stuck  # noqa: SLF001 - no process of a test can be that stubborn
    asyncio.run(asyncio.wait_for(worker.kill(), 10))


def request(number: int, octets: int) -> bytes:
    """A request of a verb that there is not, so many octets long with its end."""
    line = json.dumps({"id": number, "verb": "none", "args": {"of": ""}}).encode()
    return line.replace(b'""', b'"' + b"x" * (octets - len(line) - 1) + b'"') + b"\n"


def test_after_the_longest_line_each_caller_still_gets_his_own_answer() -> None:
    ours, theirs = socket.socketpair()
    serving = threading.Thread(target=worker_module.serve, args=({}, theirs))
    serving.start()
    with ours, ours.makefile("rb") as answers:
        for number, octets in ((1, MAX_LINE + 1), (2, 100)):
            line = request(number, octets)
            assert len(line) == octets
            ours.sendall(line)
            assert json.loads(answers.readline())["id"] == number
        ours.shutdown(socket.SHUT_RDWR)
    serving.join()
    theirs.close()


def test_a_worker_ends_at_half_a_line() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(request(1, 100)[:-1])
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(HsmFault, match="half a line"):
            worker_module.serve({}, theirs)
