"""A file system that gives the number of a file that is gone to the next one, as ext4 does.

Others (tmpfs) count upwards, and there a mistaken file shows in no test.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


class ReusedNumbers:
    """In ``folder`` every file has the lowest number that is free, and all have one time.

    A number is free when its file has no name any more and nobody holds it open.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._numbers: dict[int, int] = {}  # by the number that the file really has
        self._open, self._stat, self._fstat = os.open, os.stat, os.fstat
        patch.setattr(os, "open", self._opened)
        patch.setattr(os, "stat", self._looked_at)
        patch.setattr(os, "fstat", lambda held: self._renumbered(self._fstat(held)))

    def _opened(self, *arguments: Any, **named: Any) -> int:
        descriptor = self._open(*arguments, **named)
        self._renumbered(self._fstat(descriptor))
        return descriptor

    def _looked_at(self, *arguments: Any, **named: Any) -> os.stat_result:
        return self._renumbered(self._stat(*arguments, **named))

    def _renumbered(self, status: os.stat_result) -> os.stat_result:
        living = self._living()
        if status.st_ino not in living:
            return status
        self._numbers = {real: own for real, own in self._numbers.items() if real in living}
        taken = set(self._numbers.values())
        free = next(number for number in count(1) if number not in taken)
        own = self._numbers.setdefault(status.st_ino, free)
        return os.stat_result((status[0], own, *status[2:10]), {"st_mtime_ns": 0})

    def _living(self) -> set[int]:
        named = {entry.inode() for entry in os.scandir(self._folder)}
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                held = self._fstat(int(descriptor.name))
                if held.st_ino in self._numbers:
                    named.add(held.st_ino)
        return named
