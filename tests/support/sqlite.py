"""SQLite databases with the same face as :class:`tests.support.postgres.PostgresServer`."""

from __future__ import annotations

import secrets
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Prepare = Callable[[str], None]


class SqliteFolder:
    """Database files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._templates: dict[object, Path] = {}

    def fresh(self, prepare: Prepare | None = None) -> str:
        """The URL of a new database: empty, or a copy of one that ``prepare(url)`` filled once."""
        file = self._new_file()
        if prepare is not None:
            if prepare not in self._templates:
                template = self._new_file()
                prepare(f"sqlite:///{template}")
                self._templates[prepare] = template
            self._copy(self._templates[prepare], file)
        return f"sqlite:///{file}"

    def _new_file(self) -> Path:
        return self._folder / f"{secrets.token_hex(6)}.sqlite3"

    @staticmethod
    def _copy(template: Path, file: Path) -> None:
        """With its write-ahead log, in case the last writer left one."""
        for ending in ("", "-wal"):
            source = template.with_name(template.name + ending)
            if source.exists():
                shutil.copyfile(source, file.with_name(file.name + ending))

    def drop(self, url: str) -> None:
        """Remove a database of :meth:`fresh`."""
        name = url.rpartition("/")[2]
        for file in self._folder.glob(f"{name}*"):
            file.unlink()
