"""Who gets a worker of the SAM that has become idle, and that none is lost on the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from remote_signing.sam.idle_workers import IdleWorkers

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from remote_signing.sam.worker_process import WorkerProcess


class Worker:
    def __init__(self, node: str) -> None:
        self.node = node


class Desk:
    """Idle workers of nodes that are healthy as long as the test says so."""

    def __init__(self, *healthy: str) -> None:
        self.healthy = set(healthy)
        self.idle = IdleWorkers(lambda: self.healthy)
        self.served: list[str] = []

    def put(self, node: str) -> WorkerProcess:
        worker = cast("WorkerProcess", Worker(node))
        self.idle.put(worker)
        return worker

    async def request(self, name: str, *failed: str, seconds: float = 5.0) -> WorkerProcess:
        worker = await self.idle.take(frozenset(failed), seconds)
        self.served.append(name)
        return worker

    async def waiting(self, name: str, *failed: str) -> asyncio.Task[WorkerProcess]:
        """A request that has found no worker."""
        task = asyncio.create_task(self.request(name, *failed))
        await asyncio.sleep(0)
        assert not task.done()
        return task


def run(scene: Coroutine[None, None, None]) -> None:
    async def within_a_while() -> None:
        async with asyncio.timeout(10):
            await scene

    asyncio.run(within_a_while())


def test_workers_go_to_requests_in_the_order_of_their_coming() -> None:
    async def scene() -> None:
        desk = Desk("a")
        tasks = [await desk.waiting(name) for name in ("first", "second", "third")]
        for _ in tasks:
            desk.put("a")
        await asyncio.gather(*tasks)
        assert desk.served == ["first", "second", "third"]
        assert desk.idle.count() == {}

    run(scene())


def test_a_worker_wakes_one_request_and_no_other() -> None:
    async def scene() -> None:
        desk = Desk("a")
        tasks = [await desk.waiting(str(number)) for number in range(50)]
        steps = 0

        def count() -> set[str]:
            nonlocal steps
            steps += 1
            return {"a"}

        desk.idle._healthy = count  # noqa: SLF001 - whoever is looked at asks for it
        desk.put("a")
        await tasks[0]
        assert steps == 1
        assert not any(task.done() for task in tasks[1:])
        for task in tasks:
            task.cancel()

    run(scene())


def test_a_request_that_failed_on_a_node_waits_for_another_and_keeps_nobody_from_this_one() -> None:
    async def scene() -> None:
        desk = Desk("a", "b")
        once_failed = await desk.waiting("once failed", "a")
        of_a = desk.put("a")
        assert await desk.request("next") is of_a
        of_b = desk.put("b")
        assert await once_failed is of_b

    run(scene())


def test_a_request_that_failed_once_is_served_before_those_that_came_later() -> None:
    async def scene() -> None:
        desk = Desk("a", "b")
        tasks = [await desk.waiting("other"), await desk.waiting("once failed", "a")]
        desk.put("b")
        desk.put("b")
        await asyncio.gather(*tasks)
        assert desk.served == ["once failed", "other"]

    run(scene())


def test_where_no_other_node_is_healthy_the_one_that_failed_has_to_do() -> None:
    async def scene() -> None:
        desk = Desk("a")
        of_a = desk.put("a")
        assert await desk.request("once failed", "a") is of_a

    run(scene())


def test_when_the_other_node_is_lost_the_one_that_failed_has_to_do() -> None:
    async def scene() -> None:
        desk = Desk("a", "b")
        task = await desk.waiting("once failed", "a")
        of_a = desk.put("a")
        await asyncio.sleep(0)
        assert not task.done()
        desk.healthy = {"a"}
        desk.idle.look_again()
        assert await task is of_a

    run(scene())


def test_a_worker_of_a_node_that_refuses_is_left_for_when_there_is_no_other() -> None:
    async def scene() -> None:
        desk = Desk("b")
        desk.put("a")
        of_b = desk.put("b")
        assert await desk.request("any") is of_b
        assert desk.idle.count() == {"a": 1}

    run(scene())


def test_who_has_waited_long_enough_is_told_and_forgotten() -> None:
    async def scene() -> None:
        desk = Desk("a")
        with pytest.raises(TimeoutError):
            await desk.request("impatient", seconds=0)
        of_a = desk.put("a")
        assert desk.idle.of("a") == [of_a]

    run(scene())


def test_a_worker_that_comes_as_its_request_goes_away_is_idle_again() -> None:
    async def scene() -> None:
        desk = Desk("a")
        task = await desk.waiting("gone")
        of_a = desk.put("a")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert desk.idle.of("a") == [of_a]

    run(scene())


def test_a_worker_is_not_given_to_a_request_that_has_gone_away() -> None:
    async def scene() -> None:
        desk = Desk("a")
        gone, stays = await desk.waiting("gone"), await desk.waiting("stays")
        gone.cancel()
        desk.put("a")
        await stays
        assert desk.served == ["stays"]

    run(scene())


def test_only_an_idle_worker_can_be_taken_out() -> None:
    desk = Desk("a")
    of_a = desk.put("a")
    assert [desk.idle.remove(of_a), desk.idle.remove(of_a)] == [True, False]
    assert desk.idle.of("a") == []
