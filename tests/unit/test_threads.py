"""Work of a coroutine that is done in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from remote_signing.rssp.edge import threads
from remote_signing.rssp.edge.threads import Threads, in_thread

if TYPE_CHECKING:
    from pathlib import Path

_name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="-")


def test_the_work_gives_its_value_from_another_thread() -> None:
    def work(first: int, *, second: int) -> tuple[int, int]:
        return first + second, threading.get_ident()

    value, thread = asyncio.run(in_thread(work, 1, second=2))
    assert value == 3
    assert thread != threading.get_ident()


def test_the_work_sees_its_tasks_variables_and_cannot_change_them() -> None:
    def work() -> str:
        seen = _name.get()
        _name.set("changed")
        return seen

    async def ask(name: str) -> str:
        _name.set(name)
        return f"{await in_thread(work)} {_name.get()}"

    async def both() -> list[str]:
        return list(await asyncio.gather(ask("a"), ask("b")))

    assert asyncio.run(both()) == ["a a", "b b"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()], ids=repr)
def test_an_error_is_raised_where_it_was_asked(error: BaseException) -> None:
    def work() -> None:
        raise error

    async def ask() -> BaseException | None:
        try:
            await in_thread(work)
        except BaseException as raised:  # noqa: BLE001 - whichever it is
            return raised
        return None

    assert asyncio.run(ask()) is error


def test_an_iterator_that_ends_is_an_error_and_no_wait_for_ever() -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(in_thread(next, iter(())))


def test_more_work_than_threads_waits_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_threads", Threads(3))
    at_once, most = 0, 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.002)
        with lock:
            at_once -= 1
        return number

    async def many() -> list[int]:
        return await asyncio.gather(*(in_thread(work, number) for number in range(40)))

    assert asyncio.run(many()) == list(range(40))
    assert most == 3


def test_who_is_cancelled_goes_on_and_the_thread_serves_the_next() -> None:
    go_on = threading.Event()

    async def ask() -> str:
        waiting = asyncio.create_task(in_thread(go_on.wait, 5))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        return await in_thread(lambda: "next")

    assert asyncio.run(ask()) == "next"


def test_work_that_has_not_begun_is_not_done_for_who_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Threads(1)
    monkeypatch.setattr(threads, "_threads", own)
    go_on, done = threading.Event(), threading.Event()

    async def ask() -> None:
        first = asyncio.create_task(in_thread(go_on.wait, 5))
        second = asyncio.create_task(in_thread(done.set))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await first

    asyncio.run(ask())
    own.finish()
    assert not done.is_set()


def test_work_that_outlives_its_loop_ends_for_nobody() -> None:
    started, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go_on.wait(5)
        done.set()

    async def leave() -> None:
        task = asyncio.create_task(in_thread(work))
        await asyncio.sleep(0)
        assert started.wait(5)
        task.cancel()

    asyncio.run(leave())
    go_on.set()
    assert done.wait(5)
    assert asyncio.run(in_thread(lambda: 1)) == 1


def test_the_thread_that_became_idle_last_works_next(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Threads(9)
    monkeypatch.setattr(threads, "_threads", own)
    all_at_work = threading.Barrier(3)

    def together() -> int:
        all_at_work.wait(5)
        return threading.get_ident()

    async def alone() -> int:
        own.finish()  # the one before has become idle, too
        return await in_thread(threading.get_ident)

    async def ask() -> tuple[list[int], list[int]]:
        three = list(await asyncio.gather(*(in_thread(together) for _ in range(3))))
        return three, [await alone() for _ in range(6)]

    three, one = asyncio.run(ask())
    assert len(set(three)) == 3
    assert len(set(one)) == 1
    assert set(one) < set(three)


def test_a_thread_that_cannot_be_had_is_an_error_and_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    own = Threads(1)
    monkeypatch.setattr(threads, "_threads", own)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            asyncio.run(in_thread(int))
    assert asyncio.run(in_thread(int)) == 0
    own.finish()


def test_what_a_thread_was_given_is_not_kept_while_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Given:
        """Something that can be referred to weakly."""

    own = Threads(1)
    monkeypatch.setattr(threads, "_threads", own)
    given = Given()
    kept = weakref.ref(given)
    asyncio.run(in_thread(id, given))
    own.finish()
    del given
    assert kept() is None


def test_what_is_under_way_ends_before_the_process(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = f"""
import asyncio, pathlib, threading, time
from remote_signing.rssp.edge.threads import in_thread

def work():
    started.set()
    time.sleep(0.1)
    pathlib.Path({str(told)!r}).write_text("done")

async def leave():
    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    started.wait(5)
    task.cancel()

started = threading.Event()
asyncio.run(leave())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert told.read_text() == "done"
