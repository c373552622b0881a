"""A server that lives exactly as long as the test process, even when that is killed with -9.

Run as a program: starts the command given after the folder and, once standard input ends (its
writer is gone), stops the command and removes the folder.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys

_SECONDS_TO_STOP = 20


def keep(folder: str, user: str, command: list[str]) -> None:
    """Run ``command`` as ``user`` (empty: as we are) until standard input ends."""
    process = subprocess.Popen(
        command,
        user=int(user) if user else None,
        group=int(user) if user else None,
        extra_groups=[] if user else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
    )
    sys.stdin.buffer.read()
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    keep(sys.argv[1], sys.argv[2], sys.argv[3:])
