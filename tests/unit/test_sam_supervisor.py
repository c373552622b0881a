"""The supervisor with workers of a test's making: none of its own faults costs a worker's place."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from remote_signing.sam import supervisor as supervisor_module
from remote_signing.sam.config import load
from remote_signing.sam.supervisor import Supervisor
from remote_signing.sam.worker_process import WorkerProcess, WorkerUnusable
from tests.unit.test_sam_config import written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EMFILE])
def test_worker_that_the_system_cannot_start_now_is_unusable_and_nothing_is_left_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    pairs: list[socket.socket] = []
    make = socket.socketpair

    def noted() -> tuple[socket.socket, socket.socket]:
        pairs.extend(make())
        return pairs[-2], pairs[-1]

    async def refuse(*_words: str, **_options: object) -> None:
        raise OSError(number, "not now")

    monkeypatch.setattr(socket, "socketpair", noted)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)

    async def start() -> None:
        with pytest.raises(WorkerUnusable, match="not now"):
            await WorkerProcess(tmp_path / "sam.toml", "node-1").start(5.0)

    # The loop of the test has a pair of its own.
    asyncio.run(start())
    assert all(each.fileno() == -1 for each in pairs)


@dataclass(eq=False)
class Worker:
    """Answers as it is told; ``starts`` are what the next starts run into."""

    config_file: Path
    node: str
    starts: list[Exception | None]
    answer: Callable[[bytes], bytes] = field(default=lambda line: line)
    operations: int = 0
    ready: bool = False
    refusal: str | None = None
    pid: int = 1

    @property
    def sound(self) -> bool:
        return self.refusal is None

    async def start(self, _seconds: float) -> None:
        fault = self.starts.pop(0) if self.starts else None
        if fault is not None:
            raise fault
        self.ready = True

    def has_ended(self) -> bool:
        return False

    async def ended(self) -> None:
        await asyncio.Event().wait()

    async def exchange(self, line: bytes, seconds: float) -> bytes:
        return json.dumps({"line": len(line), "seconds": seconds}).encode()

    async def stop(self) -> None:
        self.ready = False

    kill = stop


def supervised(
    folder: Path, monkeypatch: pytest.MonkeyPatch, starts: list[Exception | None]
) -> Supervisor:
    path = written(folder, deadlines={"wait": 5.0, "activation": 5.0})
    monkeypatch.setattr(
        supervisor_module, "WorkerProcess", lambda file, name: Worker(file, name, starts)
    )
    return Supervisor(load(path), path)


async def all_ready(supervisor: Supervisor) -> None:
    async with asyncio.timeout(10):
        while supervisor.report()[0]["workers"] < 2:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


def test_place_of_a_worker_that_did_not_start_is_filled_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Exception | None] = [WorkerUnusable("not now"), WorkerUnusable("not now")]

    async def run() -> None:
        supervisor = supervised(tmp_path, monkeypatch, starts)
        supervisor.start()
        await all_ready(supervisor)
        await supervisor.close()

    asyncio.run(run())


def test_longer_request_has_more_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> list[float]:
        supervisor = supervised(tmp_path, monkeypatch, [])
        supervisor.start()
        lines = [b'{"id":1,"verb":"sign","args":"%s"}\n' % (b"x" * size) for size in (0, 130_000)]
        answers = [json.loads(await supervisor.handle(line)) for line in lines]
        await supervisor.close()
        return [answer["seconds"] for answer in answers]

    short, long = asyncio.run(run())
    assert short == pytest.approx(5.0, abs=0.1)
    assert 15 < long < 25


def test_node_whose_workers_refuse_is_not_healthy_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        supervisor = supervised(tmp_path, monkeypatch, [])
        supervisor.start()
        await all_ready(supervisor)
        assert supervisor.report()[0]["healthy"]
        pool = supervisor._nodes["node-1"]  # noqa: SLF001 - what a canary would have told
        for worker in pool.workers:
            cast("Worker", worker).refusal = "RevocationListInvalid"
        (told,) = supervisor.report()
        assert (told["healthy"], told["last_fault"]) == (False, "RevocationListInvalid")
        await supervisor.close()

    asyncio.run(run())


def test_the_end_comes_though_a_task_has_passed_over_its_cancellation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As wait_for of Python 3.11 does when what it waits for comes at that very moment."""

    async def deaf_once(_self: Worker, _seconds: float) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async def run() -> None:
        supervisor = supervised(tmp_path, monkeypatch, [])
        monkeypatch.setattr(Worker, "start", deaf_once)
        supervisor.start()
        await asyncio.sleep(0.05)
        await asyncio.wait_for(supervisor.close(), 10)

    asyncio.run(run())
