"""That nobody holds more than his share of the page's long connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from consent_app.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Coroutine

_SHARE = 2


class FarEnd(httpx.AsyncBaseTransport):
    """Answers at once, unless it is told to fail or to wait."""

    def __init__(self) -> None:
        self.asked = 0
        self.fault: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        await self.may_answer.wait()
        if self.fault is not None:
            raise self.fault
        return httpx.Response(200, stream=httpx.ByteStream(request.url.path.encode()))


class Station:
    """Shares before a far end."""

    def __init__(self) -> None:
        self.far = FarEnd()
        self.shares = Shares(_SHARE, self.far)

    async def open(self, sender: str | None, patience: float = 5.0) -> httpx.Response:
        request = httpx.Request(
            "GET",
            "https://rssp.example/",
            headers={} if sender is None else {"Authorization": sender},
            extensions={"timeout": {"pool": patience}},
        )
        return await self.shares.handle_async_request(request)

    async def is_refused(self, sender: str) -> bool:
        try:
            response = await self.open(sender, patience=0)
        except httpx.PoolTimeout:
            return True
        await response.aclose()
        return False


def run(scene: Coroutine[None, None, None]) -> None:
    async def within_a_while() -> None:
        async with asyncio.timeout(10):
            await scene

    asyncio.run(within_a_while())


def test_who_holds_his_share_waits_and_others_do_not() -> None:
    async def scene() -> None:
        station = Station()
        held = [await station.open("An") for _ in range(_SHARE)]
        assert await station.is_refused("An")
        assert not await station.is_refused("Ba")
        await held[0].aclose()
        await held[0].aclose()
        again = await station.open("An")
        assert await station.is_refused("An")
        await asyncio.gather(again.aclose(), held[1].aclose())

    run(scene())


def test_who_waits_for_his_own_is_served_when_one_of_them_ends() -> None:
    async def scene() -> None:
        station = Station()
        held = [await station.open("An") for _ in range(_SHARE)]
        waiting = asyncio.create_task(station.open("An"))
        await asyncio.sleep(0)
        assert station.far.asked == _SHARE
        await held[0].aclose()
        assert (await waiting).is_success

    run(scene())


def test_a_question_of_the_page_itself_is_not_counted() -> None:
    async def scene() -> None:
        station = Station()
        for _ in range(_SHARE + 1):
            assert (await station.open(None, patience=0)).is_success
        assert len(station.shares) == 0

    run(scene())


@pytest.mark.parametrize("is_given_up", [False, True])
def test_a_question_that_fails_or_is_given_up_counts_no_longer(*, is_given_up: bool) -> None:
    async def scene() -> None:
        station = Station()
        station.far.fault = httpx.ReadError("reset")
        if is_given_up:
            station.far.may_answer.clear()
        asking = [asyncio.create_task(station.open("An")) for _ in range(_SHARE + 1)]
        await asyncio.sleep(0)
        if is_given_up:
            for each in asking:
                each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert len(station.shares) == 0

    run(scene())


def test_who_has_nothing_under_way_is_forgotten() -> None:
    async def scene() -> None:
        station = Station()
        held = [await station.open(sender) for sender in ("An", "An", "Ba")]
        assert await station.is_refused("An")
        assert len(station.shares) == 2
        for response in held:
            await response.aclose()
        assert len(station.shares) == 0

    run(scene())
