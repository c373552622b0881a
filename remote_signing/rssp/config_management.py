"""Where operators and Prometheus ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ManagementConfig:
    """The management address; without this table of ``rssp.toml`` nothing is counted.

    Whoever reaches it may read it, so it is loopback or an address that only operators reach.
    """

    port: int
    host: str = "127.0.0.1"
