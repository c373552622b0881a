"""Content that stays in its file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from remote_signing.rssp.validation.model import hashlib_name

if TYPE_CHECKING:
    from pathlib import Path


class FileContent:
    """A :class:`.model.Content`; each algorithm reads the file once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, bytes] = {}

    def digest(self, algorithm: str) -> bytes:
        """As :class:`.model.Content`."""
        name = hashlib_name(algorithm)
        if name not in self._known:
            with self.path.open("rb") as stream:
                self._known[name] = hashlib.file_digest(stream, name).digest()
        return self._known[name]
