"""The host's clock, watched: what certifies a time must notice when the clock is moved.

The last certified time is kept in the state folder beside the kernel's count of time since the
start. Nobody can set that count, and it goes along where the clock is slowed or hurried
(clock_gettime(2)). A clock that went back, or whose distance from the count is no longer what it
was at the first certified time since the start, is suspicious until an operator has looked at it
and removed the file. So many small steps are noticed as one large one is.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from remote_signing import strict_json
from remote_signing.errors import ClockSuspicious, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.clock import Clock

_NAME = "certified-time.json"
_TOLERANCE_MS = 1000  # of all steps since the start together; a leap second is as much
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def uptime_ms() -> int:
    """Milliseconds since the host was started, sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class SteadyClock:
    """``now_ms`` or ``ClockSuspicious``. All workers of a host share one file in ``folder``."""

    def __init__(self, folder: Path, clock: Clock, uptime: Callable[[], int] = uptime_ms) -> None:
        self._path = folder / _NAME
        self._clock = clock
        self._uptime = uptime
        self._boot = _BOOT_ID.read_text("ascii").strip()

    def now_ms(self) -> int:
        """The time to certify, in milliseconds since the epoch; never before one given earlier."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            now, uptime = self._clock.now_ms(), self._uptime()
            text = file.read()
            if text:
                now, uptime = self._checked(text, now, uptime)
            file.seek(0)
            file.write(
                strict_json.canonical({"boot": self._boot, "time_ms": now, "uptime_ms": uptime})
            )
            file.truncate()
        return now

    def _checked(self, text: bytes, now: int, uptime: int) -> tuple[int, int]:
        """The time to certify, and the count that belongs to it by what was first found."""
        try:
            last = strict_json.loads_object(text)
            then, counted = last["time_ms"], last["uptime_ms"]
        except (InvalidInput, KeyError) as error:
            raise ClockSuspicious(f"{self._path} cannot be read: look at the clock") from error
        if not isinstance(then, int) or not isinstance(counted, int):
            raise ClockSuspicious(f"{self._path} cannot be read: look at the clock")
        if now < then - _TOLERANCE_MS:
            raise ClockSuspicious(f"the clock went back by {then - now} ms; see {self._path}")
        certified = max(now, then)
        if last.get("boot") != self._boot:
            return certified, uptime
        off = abs(now - then - (uptime - counted))
        if off > _TOLERANCE_MS:
            raise ClockSuspicious(f"the clock is off by {off} ms; see {self._path}")
        return certified, counted + certified - then
