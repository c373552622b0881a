"""The table ``[attachments]``: documents that signers are shown."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from remote_signing.rssp.config_tables import ConfigInvalid


@dataclass(frozen=True, slots=True)
class AttachmentsConfig:
    """Documents that portals attach to requests. Without this table none is taken."""

    folder: Path  # of sealed files; the same for all processes and hosts of the rssp
    largest: int = 20 * 1024 * 1024  # bytes of one
    pages: int = 1000  # of one
    kept: int = 10_240  # megabytes of all of them, above which no further one is taken
    unused: int = 3600  # seconds in which a request has to name it
    lingering: int = 600  # seconds that it is still there after its last request was answered

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            least = 0 if item.name == "kept" else 1  # kept = 0 takes none, for a while
            if not isinstance(value, Path) and value < least:
                raise ConfigInvalid(f"attachments.{item.name}: {value} is less than {least}")
