"""Open pages that are told when their list has changed: server-sent events (HTML, cl. 9.2).

This program has no database, so each stream asks the rssp now and then, by a statement that does
not count as using the session. Streams are coroutines, not threads. There are so many of one
session and so many in all; each ends after a while and the page opens another one, so a phone that
vanished is forgotten even when no network says so. A stream ends with its session.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consent_app.faults import RsspAway, RsspRefused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from consent_app.config import LiveConfig
    from consent_app.phone_api import Count
    from consent_app.site import Drain

_SESSION_INVALID = "session_invalid"
OVER = "event: over\ndata:\n\n"
"""The session has ended: the page shows the sign-in form."""
AWAY = "event: away\ndata:\n\n"
HEARTBEAT = ":\n\n"
"""A comment: keeps proxies from closing what seems idle, and finds out who is gone."""
_LONGEST_PAUSE = 60.0  # seconds between two questions to an rssp that is away


@dataclass(eq=False)
class Stream:
    """One page that listens. ``is_ended``: another took its place."""

    session: str = field(repr=False)
    mark: str
    is_ended: bool = False


class Live:
    """The open streams of this process. ``tick``: seconds between two looks at the clock."""

    def __init__(
        self,
        config: LiveConfig,
        drain: Drain,
        look: Callable[[str], Awaitable[Count]],
        tick: float = 1.0,
    ) -> None:
        self._config = config
        self._drain = drain
        self._look = look
        self._tick = tick
        self._open: dict[bytes, deque[Stream]] = {}  # by a digest of the session
        self._count = 0

    def __len__(self) -> int:
        """How many streams are open."""
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether no further stream has room."""
        return self._count >= self._config.streams or self._drain.started

    async def events(self, session: str, mark: str) -> AsyncGenerator[str]:
        """What the page of ``session`` is told that knows ``mark``, until one of them ends it."""
        if self.is_full:  # others came between the question and the answer
            return
        stream = Stream(session, mark)
        name = hashlib.sha256(session.encode()).digest()
        mine = self._open.setdefault(name, deque())
        mine.append(stream)
        self._count += 1
        # The oldest make room: those of pages which are gone, most likely.
        for old in list(mine)[: -self._config.of_session]:
            old.is_ended = True
        try:
            async for told in self._follow(stream):
                yield told
        finally:
            mine.remove(stream)
            self._count -= 1
            if not mine:
                self._open.pop(name, None)

    async def _follow(self, stream: Stream) -> AsyncGenerator[str]:
        ends = time.monotonic() + self._config.lifetime
        due, beat, pause = 0.0, 0.0, self._config.period
        while time.monotonic() < ends and not (stream.is_ended or self._drain.started):
            now = time.monotonic()
            told = None
            if now >= due:
                told, is_away = await self._news(stream)
                pause = min(pause * 2, _LONGEST_PAUSE) if is_away else self._config.period
                due = now + pause
            if told is not None or now >= beat:
                beat = now + self._config.heartbeat
                yield told or HEARTBEAT
            if told == OVER:
                return
            await asyncio.sleep(self._tick)

    async def _news(self, stream: Stream) -> tuple[str | None, bool]:
        """What is to be told, None when nothing has changed; and whether the rssp is away."""
        try:
            found = await self._look(stream.session)
        except RsspRefused as refusal:
            # Anything but the end of the session is no reason to show the sign-in form.
            is_over = refusal.code == _SESSION_INVALID
            return (OVER, False) if is_over else (AWAY, True)
        except RsspAway:
            return AWAY, True
        if found.mark == stream.mark:
            return None, False
        stream.mark = found.mark
        data = json.dumps({"waiting": found.waiting})
        return f"id: {found.mark}\nevent: waiting\ndata: {data}\n\n", False
