"""Secrets that are told once: on the screen, or in a file that is open before there are any."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remote_signing.cli.output import fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Secrets = dict[str, str]


@contextmanager
def handing_over(secrets_file: Path | None) -> Iterator[Callable[[Secrets], Secrets]]:
    """A function that takes secrets and gives what is to be shown: them, or the file's name.

    A file that cannot be made ends the command before a secret is lost for it.
    """
    if secrets_file is None:
        yield lambda secrets: secrets
        return
    try:
        descriptor = os.open(secrets_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise fail(f"cannot make {secrets_file}: {error.strerror}", 2) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:

        def write(secrets: Secrets) -> Secrets:
            json.dump(secrets, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
            return {"secrets_file": str(secrets_file)}

        try:
            yield write
        finally:
            if file.tell() == 0:
                secrets_file.unlink()
