"""Waking those who wait for a change of a row.

A ring reaches the waiters of this process at once. One that another process made is seen at the
next look, a second later at most: the row is the truth, the bell only saves time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LOOK_EVERY = 1.0


class Bells:
    """One bell for each id that somebody waits for. To be used in the event loop only."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    def ring(self, identifier: str) -> None:
        """Wake all who wait for ``identifier``."""
        for event in self._waiting.get(identifier, ()):
            event.set()

    def close(self) -> None:
        """Wake everybody, and let nobody wait any more: the process is on its way out."""
        self._closed = True
        for identifier in list(self._waiting):
            self.ring(identifier)

    async def until(
        self, identifier: str, is_new: Callable[[], Awaitable[bool]], patience: float
    ) -> None:
        """Return when ``is_new()`` is true, after ``patience`` seconds, or at :meth:`close`."""
        event = asyncio.Event()
        self._waiting.setdefault(identifier, set()).add(event)
        end = asyncio.get_running_loop().time() + patience
        try:
            while not await is_new() and not self._closed:
                left = end - asyncio.get_running_loop().time()
                if left <= 0:
                    return
                await _wait(event, min(left, _LOOK_EVERY))
        finally:
            waiting = self._waiting[identifier]
            waiting.discard(event)
            if not waiting:
                del self._waiting[identifier]


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
