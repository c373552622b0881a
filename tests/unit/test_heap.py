"""What a process that serves does about its memory."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
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
    subprocess.run([sys.executable, "-c", PROGRAM, report, how], check=True)
    return report.read_text().count("<heap nr=")


def test_threads_take_memory_from_two_places(tmp_path: Path) -> None:
    assert places(tmp_path, "shared") == 2
    assert places(tmp_path, "apart") > 2
