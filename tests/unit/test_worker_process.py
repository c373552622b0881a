"""The supervisor's view of a worker that is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from remote_signing.sam.worker_process import WorkerProcess


def test_worker_that_was_buried_before_anybody_was_told_has_ended() -> None:
    worker = WorkerProcess(Path("sam.toml"), "node-1")
    assert worker.has_ended(), "not started"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    buried: Any = SimpleNamespace(returncode=None, pid=child.pid)
    worker._process = buried  # noqa: SLF001 - the moment between two steps of asyncio
    assert worker.has_ended()
