"""Replay counters: five octets, strictly rising, never wrapping, on disk before anything happens.

The sender reserves a value before it sends, so a crash leaves a gap and never a repeat. The
receiver stores a value before it acts, so a crash may lose an action and never does it twice.
"""

from __future__ import annotations

import enum
import errno
import fcntl
import os
from typing import TYPE_CHECKING

from sim_adapter.ota.errors import CounterBlocked, CounterHigh, CounterLow

if TYPE_CHECKING:
    from pathlib import Path

LAST = 2**40 - 1
_RESERVED_AT_ONCE = 64
_COMPACT_ABOVE = 4 * 1024 * 1024


class CounterRule(enum.IntEnum):
    """Bits 5 and 4 of the first SPI octet (TS 102 225 cl. 5.1.1)."""

    NONE = 0
    UNCHECKED = 1
    HIGHER = 2
    NEXT = 3


def check(rule: CounterRule, stored: int, value: int) -> None:
    """``CounterLow``, ``CounterHigh`` or ``CounterBlocked`` unless ``value`` may follow."""
    if rule in {CounterRule.NONE, CounterRule.UNCHECKED}:
        return
    if stored >= LAST:
        raise CounterBlocked("the counter has reached its end")
    if value <= stored:
        raise CounterLow(f"{value} after {stored}")
    if rule is CounterRule.NEXT and value != stored + 1:
        raise CounterHigh(f"{value} after {stored}")


class CounterFile:
    """Named counters in an append-only file, one line ``<name> <value>`` per change.

    One process owns the file: a second one fails with ``BlockingIOError``. Names hold no space.
    """

    def __init__(self, path: Path, compact_above: int = _COMPACT_ABOVE) -> None:
        self._path = path
        self._compact_above = compact_above
        self._stored: dict[str, int] = {}
        self._handed_out: dict[str, int] = {}
        self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            for line in path.read_text(encoding="ascii").split("\n"):
                self._take_in(line)
        self._file = self._open()

    def reserve(self, name: str) -> int:
        """A value that was never given out before; ``CounterBlocked`` when none is left."""
        ceiling = self._stored.get(name, 0)
        value = self._handed_out.get(name, ceiling) + 1
        if value > LAST:
            raise CounterBlocked(name)
        if value > ceiling:
            self._store(name, min(value + _RESERVED_AT_ONCE - 1, LAST))
        self._handed_out[name] = value
        return value

    def accept(self, name: str, value: int, rule: CounterRule = CounterRule.HIGHER) -> None:
        """Store ``value`` durably if it may follow; see :func:`check` for what is raised."""
        check(rule, self._stored.get(name, 0), value)
        self._store(name, value)

    def close(self) -> None:
        """Let another process have the file."""
        os.close(self._file)
        os.close(self._lock)

    def _open(self) -> int:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)  # else a power loss may bring back the file that this one replaced
        os.close(folder)
        return file

    def _store(self, name: str, value: int) -> None:
        # The leading newline ends a line that a power loss may have left half written.
        line = f"\n{name} {value} .\n".encode("ascii")
        if os.write(self._file, line) != len(line):
            raise OSError(errno.ENOSPC, "a counter was not written to its end", str(self._path))
        os.fdatasync(self._file)
        self._stored[name] = value
        if os.fstat(self._file).st_size > self._compact_above:
            self._compact()

    def _take_in(self, line: str) -> None:
        match line.split(" "):
            case [name, value, "."] if value.isdecimal():  # the full stop says: written to the end
                self._stored[name] = max(self._stored.get(name, 0), int(value))

    def _compact(self) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        text = "".join(f"{name} {value} .\n" for name, value in self._stored.items())
        with fresh.open("w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        os.close(self._file)
        self._file = self._open()
        self._compact_above = max(self._compact_above, 2 * len(text))
