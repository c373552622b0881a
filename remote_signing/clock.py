"""Time as an argument: nothing else in the project reads the system clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of wall time. Milliseconds since the Unix epoch, UTC."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's clock, disciplined from outside (EN 319 401 REQ-7.10-06: at least daily)."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000


class FixedClock:
    """A clock that moves only when told to."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return self._now_ms

    def advance(self, seconds: float) -> None:
        """Move forward (or, negative, back) by ``seconds``."""
        self._now_ms += int(seconds * 1000)


def as_datetime(now_ms: int) -> datetime:
    """The aware UTC datetime of ``now_ms``."""
    return datetime.fromtimestamp(now_ms / 1000, tz=UTC)
