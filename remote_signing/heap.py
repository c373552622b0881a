"""The memory of a process that serves: the garbage collector, and the C library's blocks."""

from __future__ import annotations

import ctypes
import gc
import resource
from typing import Final

NEW_OBJECTS: Final = 10_000
"""After so many the youngest are looked through; Python's own 700 is what one request makes."""

LARGEST_READ: Final = 1024 * 1024
"""Bytes; asyncio makes room for a quarter of it at each read."""

_M_ARENA_MAX = -8  # mallopt(3)
_PR_SET_DUMPABLE = 4  # prctl(2)


def keep_private() -> None:
    """First of all, in a process that holds secrets: a crash writes none of them to a file.

    No core dump, not even to a program that the kernel hands it to (core(5)), and no look at the
    memory by other processes of the same user. Errors: ``OSError``.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def share() -> None:
    """Before there are threads: they take memory from two places, not each from its own.

    The C library gives up to eight places for each processor, and what was once needed in each of
    them stays there. Threads of which one runs at a time gain nothing by that.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is not None:  # other C libraries have one place for all anyway
        change(_M_ARENA_MAX, 2)


def settle() -> None:
    """Once everything is loaded: what is there now stays, and is never looked at again.

    The C library has the kernel map each block of 128 KiB and more, and unmap it afterwards, until
    one has been freed as large as it was made: blocks up to that size are its own from then on
    (mallopt(3), M_MMAP_THRESHOLD). What asyncio reads into is cut to size before it is freed, so
    without this it would be mapped for ever: 15 µs a read.
    """
    bytes(LARGEST_READ)
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 20)
