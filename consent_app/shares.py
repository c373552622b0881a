"""Nobody holds more than his share of the connections.

A question that waits for a phone, and a document on its way to a slow one, keep a lane for as long
as they take. Whoever has a session could take them all by asking often; so each has his share, and
what he asks beyond it waits for his own.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from functools import partial
from typing import cast

import httpx

from consent_app.lanes import Lent, wait_for_turn


@dataclass(eq=False)
class _Share:
    """Of one sender: what is free, and how many of his questions wait or are under way."""

    free: asyncio.Semaphore
    count: int = 0


class Shares(httpx.AsyncBaseTransport):
    """At most ``most`` questions of each sender under way over ``inner``.

    The sender is who ``Authorization`` names. A question without it is the page's own, whether the
    rssp is there, and is not counted: what strangers send must not come here (see ``Wire``).
    """

    def __init__(self, most: int, inner: httpx.AsyncBaseTransport) -> None:
        self._most = most
        self._inner = inner
        self._shares: dict[bytes, _Share] = {}  # by a digest of the sender

    def __len__(self) -> int:
        """How many senders have a question under way."""
        return len(self._shares)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer; it counts until its body is closed.

        Errors: those of ``inner``; ``httpx.PoolTimeout`` when the sender's other questions did not
        end in time.
        """
        sender = request.headers.get("Authorization")
        if sender is None:
            return await self._inner.handle_async_request(request)
        name = hashlib.sha256(sender.encode()).digest()
        share = self._shares.setdefault(name, _Share(asyncio.Semaphore(self._most)))
        share.count += 1
        try:
            await wait_for_turn(share.free, request)
            try:
                response = await self._inner.handle_async_request(request)
            except BaseException:
                share.free.release()
                raise
        except BaseException:
            self._forget(name, share)
            raise
        body = cast("httpx.AsyncByteStream", response.stream)
        response.stream = Lent(body, partial(self._leave, name, share))
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()

    def _leave(self, name: bytes, share: _Share) -> None:
        share.free.release()
        self._forget(name, share)

    def _forget(self, name: bytes, share: _Share) -> None:
        share.count -= 1
        if not share.count:
            del self._shares[name]
