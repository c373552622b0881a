"""A double tap is one tap: the same answer again, and no second question to the rssp.

A browser that sends a form twice shows only the second answer. Were that the rssp's "somebody else
was first", the redirect with the authorization code would be lost, and the signer would have to
start over with a new one-time code.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

from consent_app.faults import RsspRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Kept = TypeVar("Kept")

_KEEP_OUTCOME = 60.0  # seconds: as long as an authorization code lives
_KEEP_REFUSAL = 5.0  # a wrong code that is typed again is a new attempt; a bounce is none
_MOST = 10_000


class Repeats:
    """Answers under way and just given, in this process. Secrets are kept as a MAC only."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._tasks: dict[bytes, asyncio.Task[Any]] = {}

    async def once(self, parts: tuple[str, ...], ask: Callable[[], Awaitable[Kept]]) -> Kept:
        """What ``ask`` gives; for equal ``parts`` within a moment, what it gave before.

        It runs to its end even if the browser that asked first has gone.
        """
        name = hmac.digest(self._key, "\0".join(parts).encode(), "sha256")
        task = self._tasks.get(name)
        if task is None:
            task = asyncio.create_task(self._run(name, ask))
            if len(self._tasks) < _MOST:
                self._tasks[name] = task
        kept: Kept = await asyncio.shield(task)
        return kept

    async def _run(self, name: bytes, ask: Callable[[], Awaitable[Kept]]) -> Kept:
        keep = 0.0
        try:
            outcome = await ask()
            keep = _KEEP_OUTCOME
        except RsspRefused:
            keep = _KEEP_REFUSAL
            raise
        else:
            return outcome
        finally:
            asyncio.get_running_loop().call_later(keep, self._tasks.pop, name, None)
