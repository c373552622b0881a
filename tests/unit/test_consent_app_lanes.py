"""The page's pool of connections: who gets one, who waits, and that each comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from consent_app.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Connection(httpx.AsyncBaseTransport):
    """One connection, whose far end answers when it is let."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.fault: Exception | None = None
        self.is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        await self.may_answer.wait()
        if self.fault is not None:
            raise self.fault
        return httpx.Response(200, stream=httpx.ByteStream(str(self.number).encode()))

    async def aclose(self) -> None:
        self.is_closed = True


class Station:
    """Lanes of connections that are kept."""

    def __init__(self, most: int) -> None:
        self.connections: list[Connection] = []
        self.lanes = Lanes(most, self._make)

    def _make(self) -> Connection:
        self.connections.append(Connection(len(self.connections)))
        return self.connections[-1]

    async def open(self, path: str = "/", patience: float | None = 5.0) -> httpx.Response:
        request = httpx.Request(
            "GET", f"https://rssp.example{path}", extensions={"timeout": {"pool": patience}}
        )
        return await self.lanes.handle_async_request(request)

    async def ask(self, path: str = "/", patience: float | None = 5.0) -> bytes:
        response = await self.open(path, patience)
        said = await response.aread()
        await response.aclose()
        return said


def run(scene: Coroutine[None, None, None]) -> None:
    async def within_a_while() -> None:
        async with asyncio.timeout(10):
            await scene

    asyncio.run(within_a_while())


def test_one_after_the_other_needs_one_connection() -> None:
    async def scene() -> None:
        station = Station(3)
        assert [await station.ask() for _ in range(5)] == [b"0"] * 5

    run(scene())


def test_the_connection_that_became_free_last_is_taken_first() -> None:
    async def scene() -> None:
        station = Station(3)
        first, second, third = [await station.open() for _ in range(3)]
        for response in (second, third, first):
            await response.aclose()
        assert [await station.ask() for _ in range(3)] == [b"0"] * 3

    run(scene())


def test_an_answer_holds_its_connection_until_it_is_closed_and_gives_it_back_once() -> None:
    async def scene() -> None:
        station = Station(1)
        held = await station.open()
        with pytest.raises(httpx.PoolTimeout):
            await station.ask(patience=0)
        await held.aclose()
        await held.aclose()
        again = await station.open()
        with pytest.raises(httpx.PoolTimeout):
            await station.ask(patience=0)
        await again.aclose()

    run(scene())


def test_who_came_first_is_served_first_and_nobody_overtakes() -> None:
    async def scene() -> None:
        station = Station(1)
        held = await station.open()
        waiting = [asyncio.create_task(station.ask(f"/{number}")) for number in range(3)]
        await asyncio.sleep(0)
        await held.aclose()
        late = asyncio.create_task(station.ask("/late"))
        await asyncio.gather(*waiting, late)
        assert station.connections[0].asked == ["/", "/0", "/1", "/2", "/late"]

    run(scene())


def test_who_stops_waiting_takes_no_connection_along() -> None:
    async def scene() -> None:
        station = Station(1)
        held = await station.open()
        waiting = asyncio.create_task(station.ask())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await held.aclose()
        assert await station.ask(patience=0) == b"0"

    run(scene())


def test_a_question_that_fails_gives_its_connection_back() -> None:
    async def scene() -> None:
        station = Station(1)
        await station.ask()
        station.connections[0].fault = httpx.ReadError("reset")
        with pytest.raises(httpx.ReadError):
            await station.ask()
        station.connections[0].fault = None
        assert await station.ask(patience=0) == b"0"

    run(scene())


def test_a_question_that_is_given_up_gives_its_connection_back() -> None:
    async def scene() -> None:
        station = Station(1)
        await station.ask()
        station.connections[0].may_answer.clear()
        asking = asyncio.create_task(station.ask())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        station.connections[0].may_answer.set()
        assert await station.ask(patience=0) == b"0"

    run(scene())


def test_all_connections_are_closed_at_the_end() -> None:
    async def scene() -> None:
        station = Station(2)
        await station.open()
        await station.ask()
        await station.lanes.aclose()
        assert [each.is_closed for each in station.connections] == [True, True]

    run(scene())
