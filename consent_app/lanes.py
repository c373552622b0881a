"""A pool of connections that costs the same however many there are.

httpx's own pool looks at each of its connections whenever a question begins or ends, asks the
kernel about the idle ones, and then looks at all of them for each question that waits: a burst
makes every later question dearer, and a queue makes itself longer. Here each connection is a
transport of httpx for one connection only. The one that became free last is taken first, so as few
as possible are in use; who finds none free waits in the order of coming.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Lanes(httpx.AsyncBaseTransport):
    """At most ``most`` of the transports that ``make`` makes, each with one question at a time.

    A lane is made when it is first needed and stays; what its connection's far end has closed
    meanwhile, the transport finds out at its next question.
    """

    def __init__(self, most: int, make: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._free = asyncio.Semaphore(most)
        self._make = make
        self._all: list[httpx.AsyncBaseTransport] = []
        self._idle: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer; the lane is free again when its body is closed.

        Errors: those of the transport; ``httpx.PoolTimeout`` when no lane became free in time.
        """
        await wait_for_turn(self._free, request)
        lane = self._idle.pop() if self._idle else self._another()
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            self._leave(lane)
            raise
        body = cast("httpx.AsyncByteStream", response.stream)
        response.stream = Lent(body, partial(self._leave, lane))
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        for lane in self._all:
            await lane.aclose()

    def _another(self) -> httpx.AsyncBaseTransport:
        lane = self._make()
        self._all.append(lane)
        return lane

    def _leave(self, lane: httpx.AsyncBaseTransport) -> None:
        self._idle.append(lane)
        self._free.release()


class Lent(httpx.AsyncByteStream):
    """The body of an answer; closed, it gives back what was lent for it."""

    def __init__(self, inner: httpx.AsyncByteStream, leave: Callable[[], None]) -> None:
        self._inner = inner
        self._leave = leave
        self._is_open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        """Once; further calls do nothing."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            await self._inner.aclose()
        finally:
            self._leave()


async def wait_for_turn(free: asyncio.Semaphore, request: httpx.Request) -> None:
    """Take one of ``free``, in the order of coming, within the time that ``request`` has for it.

    Errors: ``httpx.PoolTimeout``.
    """
    if not free.locked():
        await free.acquire()
        return
    try:
        async with asyncio.timeout(request.extensions["timeout"]["pool"]):
            await free.acquire()
    except TimeoutError as error:
        text = "every connection is in use"
        raise httpx.PoolTimeout(text, request=request) from error
