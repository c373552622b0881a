"""Secrets that are told once: on the screen, or in a file that is open before there are any."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from remote_signing.cli.output import fail, new_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

Secrets = dict[str, str]


@contextmanager
def handing_over(secrets_file: Path | None) -> Iterator[Callable[[Secrets], Secrets]]:
    """A function that takes secrets and gives what is to be shown: them, or the file's name.

    A file that cannot be made ends the command before a secret is lost for it.
    """
    if secrets_file is None:
        yield lambda secrets: secrets
        return
    with new_file(secrets_file) as write:

        def keep(secrets: Secrets) -> Secrets:
            write(json.dumps(secrets, indent=2).encode("ascii") + b"\n")
            return {"secrets_file": str(secrets_file)}

        yield keep


class SecretsOfMany:
    """A file (mode 0600) to which any thread adds the secrets of one signer after another.

    A line of it is whole and on the disk, or it is not there.
    """

    def __init__(self, file: Path) -> None:
        """Open or make ``file``; ends the command when that cannot be done."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(file, flags, 0o600)
            # Another command's lines would be cut off with one of ours that failed.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.told = self._credentials()
        except OSError as error:
            raise fail(f"cannot open {file}: {error.strerror}", 2) from error
        self._file = file
        self._turn = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def tell(self, secrets: Secrets) -> None:
        """Add a line for good. ``OSError``: nothing of it is in the file."""
        line = json.dumps(secrets, ensure_ascii=False).encode() + b"\n"
        with self._turn:
            size = os.fstat(self._descriptor).st_size
            try:
                while line:  # a disk that becomes full takes a part of it
                    line = line[os.write(self._descriptor, line) :]
                os.fsync(self._descriptor)
            except OSError as error:
                os.ftruncate(self._descriptor, size)
                raise OSError(error.errno, error.strerror, str(self._file)) from error

    def _credentials(self) -> frozenset[str]:
        """The ids of the credentials whose secrets are in the file already."""
        content = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        if content and not content.endswith(b"\n"):  # cut off in the middle of a line
            os.write(self._descriptor, b"\n")
        return frozenset(filter(None, map(_credential, content.splitlines())))


def _credential(line: bytes) -> str | None:
    """The credential of a whole line; None for what is none."""
    try:
        return str(json.loads(line)["credential_id"])
    except (ValueError, KeyError, TypeError):
        return None
