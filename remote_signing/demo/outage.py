"""The loss of an HSM node, as hard as it can be made on one machine."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_WORKER = b"remote_signing.sam.worker"


@dataclass(frozen=True, slots=True)
class Node:
    """A SoftHSM node: the SAM configuration that names it, and the folder of its token's files."""

    name: str
    sam_file: Path
    tokens: Path

    @property
    def lost_tokens(self) -> Path:
        """Where the token's files are while the node is lost."""
        return self.tokens.with_name(f"{self.tokens.name}.lost")

    def workers(self) -> list[int]:
        """Process ids of this SAM's workers on this node."""
        wanted = [str(self.sam_file).encode(), self.name.encode()]
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError):  # gone meanwhile
                command = (folder / "cmdline").read_bytes().split(b"\0")
                if _WORKER in command and all(part in command for part in wanted):
                    found.append(int(folder.name))
        return sorted(found)

    def lose(self) -> list[int]:
        """Take the token's files away and SIGKILL every worker on it; who was killed."""
        self.tokens.rename(self.lost_tokens)
        killed = self.workers()
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return killed

    def bring_back(self) -> None:
        """Put the files back where they were."""
        self.lost_tokens.rename(self.tokens)
