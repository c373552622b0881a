"""What the operating system says that each program used: processor time, memory, open files.

Read from ``/proc``: a role's processes are a first one and all that descend from it. Time of a
child that has ended is its parent's (``cutime``, ``cstime``), so nobody's work is lost when a
worker is replaced. Ticks are 10 ms: over a run of seconds that is nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SAM, WORKERS, DATABASE = "sam", "sam_workers", "postgres"
_TICKS = os.sysconf("SC_CLK_TCK")
_TIMES = ((11, 12), (13, 14))  # of proc(5): utime, stime; cutime, cstime
_WORKER = b"remote_signing.sam.worker"
_KILOBYTE = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one role at one moment: seconds since its start, bytes, numbers."""

    cpu: float = 0.0
    rss: int = 0
    pss: int = 0
    files: int = 0
    processes: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.cpu + other.cpu,
            self.rss + other.rss,
            self.pss + other.pss,
            self.files + other.files,
            self.processes + other.processes,
        )


def usage(roots: Mapping[str, int]) -> dict[str, Usage]:
    """Role → what its processes have used. The SAM's workers are a role of their own.

    ``roots`` names a program ``role``, that of a second host ``role@2``: they are one role.
    """
    children = _children()
    found: dict[str, Usage] = {}
    for name, root in roots.items():
        role, waiting = name.partition("@")[0], [root]
        while waiting:
            pid = waiting.pop()
            waiting += children.get(pid, [])
            found = _added(found, role, pid)
    return found


def processors() -> tuple[float, float]:
    """Seconds that the machine's processors worked, and that they were there, since it started.

    By the work of everybody (proc(5), ``/proc/stat``): what a run could have had beside its own.
    """
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    user, nice, system, idle, waiting, *others = (int(each) / _TICKS for each in line.split()[1:9])
    busy = user + nice + system + sum(others)
    return busy, busy + idle + waiting


def _added(found: dict[str, Usage], role: str, pid: int) -> dict[str, Usage]:
    """``found`` with what one process of ``role`` used, and its children that have ended."""
    stat = _stat(pid)
    if stat is None:
        return found
    own, ended = (sum(int(stat[field]) for field in fields) / _TICKS for fields in _TIMES)
    mine = WORKERS if role == SAM and _is_worker(pid) else role
    # Who ends under the SAM's supervisor was a worker.
    theirs = WORKERS if role == SAM else role
    found = found | {mine: found.get(mine, Usage()) + _of_process(mine, pid, own)}
    return found | {theirs: found.get(theirs, Usage()) + Usage(cpu=ended)}


def _children() -> dict[int, list[int]]:
    """Parent → children, of every process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            stat = _stat(int(entry.name))
            if stat is not None:
                children.setdefault(int(stat[1]), []).append(int(entry.name))
    return children


def _stat(pid: int) -> list[str] | None:
    """Fields of ``/proc/PID/stat`` from the third on (proc(5)); the name may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _of_process(role: str, pid: int, cpu: float) -> Usage:
    rss, pss = _memory(pid)
    return Usage(cpu, rss, pss, _files(role, pid), 1)


def _files(role: str, pid: int) -> int:
    """Open files, sockets among them. Of PostgreSQL's only those that are no files on the disk.

    Which tables and indexes it keeps open is a cache of each of its processes, as large as it was
    told (``max_files_per_process``), and fills up for hours.
    """
    folder, opened = f"/proc/{pid}/fd", 0
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path for each would be waste
    except OSError:
        return 0
    if role != DATABASE:
        return len(names)
    for name in names:
        try:
            opened += not os.readlink(f"{folder}/{name}").startswith("/")  # noqa: PTH115 - likewise
        except OSError:
            continue  # closed meanwhile
    return opened


def _memory(pid: int) -> tuple[int, int]:
    """Resident bytes; those of its own and its part of what several programs have mapped.

    Without memory made to be shared: PostgreSQL's buffers, which fill up to the size they were
    given. Of a process that shows its memory to root alone, as the SAM's do, what is its own.
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except PermissionError:
        return _memory_told_to_all(pid)
    except OSError:
        return 0, 0
    lines = dict(line.split(":", 1) for line in text.splitlines()[1:])
    rss, pss, made = (
        int(lines[name].split()[0]) * _KILOBYTE for name in ("Rss", "Pss", "Pss_Shmem")
    )
    return rss, pss - made


def _memory_told_to_all(pid: int) -> tuple[int, int]:
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0, 0
    page = os.sysconf("SC_PAGESIZE")
    return int(resident) * page, (int(resident) - int(shared)) * page


def _is_worker(pid: int) -> bool:
    try:
        return _WORKER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
