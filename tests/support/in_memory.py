"""Where files are that no test needs after a crash of the machine: in memory, if that has room.

A disk's journal makes each of the three hundred files of a database on PostgreSQL cost ten times
as much, and each commit on SQLite a wait.
"""

from __future__ import annotations

import os
from pathlib import Path

_PLACE = Path("/dev/shm")  # noqa: S108 - whoever uses it makes a private folder in it
_ENOUGH = 2 << 30  # bytes; a worker's databases take a tenth of it


def place_in_memory(place: Path = _PLACE) -> Path | None:
    """A folder of a file system in memory; None where it is missing, small, or runs no program."""
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    runs_programs = not found.f_flag & os.ST_NOEXEC
    is_roomy = found.f_bavail * found.f_frsize >= _ENOUGH
    return place if runs_programs and is_roomy and os.access(place, os.W_OK) else None
