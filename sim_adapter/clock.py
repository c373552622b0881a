"""Time as an argument: nothing else in the package reads the system clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of wall time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's clock; operators refuse messages whose ``Instant`` is off (code 101)."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000


def as_datetime(now_ms: int) -> datetime:
    """The aware UTC datetime of ``now_ms``."""
    return datetime.fromtimestamp(now_ms / 1000, tz=UTC)
