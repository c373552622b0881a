"""What a process that serves does once about its memory."""

from __future__ import annotations

import json
import subprocess
import sys

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


def test_a_settled_process_maps_no_block_for_a_read() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, check=True, timeout=60
    )
    assert json.loads(told.stdout) == [1, 0, 10_000]
