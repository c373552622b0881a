"""What a process that serves does once about its memory."""

from __future__ import annotations

import ctypes
import json
import resource
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from remote_signing import heap

if TYPE_CHECKING:
    from pathlib import Path

# In a process of its own: what is settled stays so. The C library tells how many blocks the kernel
# has mapped for it (mallinfo(3), hblks).
_PROGRAM = """
import ctypes, gc, json
from remote_signing import heap

class Told(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd",
        "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

ask = ctypes.CDLL(None).mallinfo2
ask.restype = Told

def mapped_for(size):
    before = ask().hblks
    block = bytes(size)
    return ask().hblks - before

asyncios = 256 * 1024
before = mapped_for(asyncios)
heap.settle()
print(json.dumps([before, mapped_for(asyncios), gc.get_threshold()[0]]))
"""

_THREADS = """
import ctypes, sys, threading
from remote_signing import heap
if sys.argv[2] == "shared":
    heap.share()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
together = threading.Barrier(6)
def take():
    together.wait()
    libc.malloc(10_000)
    together.wait()
threads = [threading.Thread(target=take) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
report = libc.fopen(sys.argv[1].encode(), b"w")
libc.malloc_info(0, report)
libc.fclose(report)
"""


def places(folder: Path, how: str) -> int:
    """How many places of memory six threads took from (mallinfo(3))."""
    report = folder / how
    subprocess.run([sys.executable, "-c", _THREADS, report, how], check=True)
    return report.read_text().count("<heap nr=")


def test_threads_take_memory_from_two_places(tmp_path: Path) -> None:
    assert places(tmp_path, "shared") == 2
    assert places(tmp_path, "apart") > 2


def test_a_settled_process_maps_no_block_for_a_read() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, check=True, timeout=60
    )
    assert json.loads(told.stdout) == [1, 0, 10_000]


def test_a_process_that_holds_secrets_writes_no_core_and_shows_nobody_its_memory() -> None:
    program = (
        "import ctypes, resource; from remote_signing import heap; heap.keep_private();"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert told.stdout.decode().strip() == "(0, 0) 0"


def test_where_dumps_cannot_be_forbidden_the_process_does_not_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    refusing = SimpleNamespace(prctl=lambda *_: -1)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: refusing)
    with pytest.raises(OSError, match="prctl"):
        heap.keep_private()
