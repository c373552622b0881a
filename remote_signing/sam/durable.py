"""Files that must last: written so that neither a killed process nor lost power takes them back.

Where nothing else is said, they are the SAM's user's alone.
"""

from __future__ import annotations

import errno
import os
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OWN = 0o600


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of the file at ``path``, made when it is missing; closed afterwards."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWN)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class HeldFile:
    """The file at ``path``, held open, so that no other in its place is taken for it.

    File systems give the number of a file (inode) that is gone to the next one that is made; that
    of an open file they give to none.
    """

    def __init__(self, path: Path, flags: int) -> None:
        self._path = str(path)  # looked at often, and a Path costs more than the call
        self._flags = flags | os.O_CLOEXEC
        self._status: os.stat_result | None = None
        self._close: weakref.finalize[[int], HeldFile] | None = None
        self.descriptor = -1

    def is_replaced(self) -> bool:
        """Whether the file at the path is another than the one that is held."""
        try:
            there = os.stat(self._path)  # noqa: PTH116 - as above
        except FileNotFoundError:
            return True
        return self._status is None or not os.path.samestat(there, self._status)

    def hold(self) -> int:
        """The descriptor of the file that is there now; the one that was held is let go."""
        self.descriptor = os.open(self._path, self._flags, _OWN)
        self._status = os.fstat(self.descriptor)
        if self._close is not None:
            self._close()
        self._close = weakref.finalize(self, os.close, self.descriptor)
        return self.descriptor


def write_at(descriptor: int, content: bytes, at: int) -> None:
    """All of ``content`` at byte ``at`` of a file that then ends there, or ``OSError`` and none."""
    if os.pwrite(descriptor, content, at) != len(content):
        os.ftruncate(descriptor, at)
        raise OSError(errno.ENOSPC, "written in part only")


def replace_file(path: Path, content: bytes, mode: int = _OWN) -> None:
    """Put ``content`` in the place of the file at ``path``: readers see the old or the new one."""
    fresh = path.with_name(path.name + ".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with os.fdopen(os.open(fresh, flags, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Let the names in ``folder`` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
