"""How often an authenticator has signed, as far as this host has seen: two of one are one too many.

An authenticator that counts must count upwards (WebAuthn cl. 6.1.1); a number that does not rise
says that there is a copy. One small file for each passkey that counts, in the SAM's state folder: a
journal of all of them would have to be held in memory by every worker, for ever. The number is on
the disk before a consent counts. The same number may come again for the same challenge only: the
request was repeated because its answer was lost.

Passkeys of phones mostly say nought always, and leave nothing here.
"""

from __future__ import annotations

import fcntl
from contextlib import suppress
from typing import TYPE_CHECKING

from remote_signing.errors import PasskeyCopied
from remote_signing.sam.durable import fsync_folder, opened, replace_file

if TYPE_CHECKING:
    from pathlib import Path

_FOLDERS = 2  # characters at the end of an id, which are random: a folder for each pair
_BINDING = 16


class PasskeyCounters:
    """The counters that all workers of a host share. ``folder`` is the SAM's state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "passkey-counters"
        self._lock_path = folder / "passkey-counters.lock"

    def rise(self, factor_id: str, counter: int, least: int, binding: bytes) -> None:
        """Note that ``counter`` was seen for the challenge ``binding``.

        ``PasskeyCopied`` unless it is above ``least`` (of the registration) and what was seen
        before; nought only where nothing else has ever been seen.
        """
        name = binding[:_BINDING].hex()
        with opened(self._lock_path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            seen, seen_for = self._seen(factor_id)
            if counter > max(least, seen):
                self._keep(factor_id, counter, name)
            elif (counter, name) != (seen, seen_for) and counter + least + seen:
                raise PasskeyCopied(f"counter {counter} after {max(least, seen)}")

    def forget(self, factor_id: str) -> None:
        """Of a passkey that is on the revocation list nothing needs to be known."""
        self._path(factor_id).unlink(missing_ok=True)

    def _path(self, factor_id: str) -> Path:
        return self._folder / factor_id[-_FOLDERS:] / factor_id

    def _seen(self, factor_id: str) -> tuple[int, str]:
        with suppress(FileNotFoundError):
            counter, name = self._path(factor_id).read_text("ascii").split(" ")
            return int(counter), name
        return 0, ""

    def _keep(self, factor_id: str, counter: int, name: str) -> None:
        path = self._path(factor_id)
        if not path.exists():  # then nobody says that the names of its folders will last
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fsync_folder(self._folder)
            fsync_folder(self._folder.parent)
        replace_file(path, f"{counter} {name}".encode("ascii"))
