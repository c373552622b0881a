"""Work that may wait, for a coroutine: done in a thread, cheaper than the framework's own way.

anyio's threads take orders through a queue written in Python and through a limiter, once for each
request. The standard library's pool makes a future with a condition of its own, has a semaphore
tell who is idle, and of several idle threads wakes the one that has slept longest, whose memory no
cache holds any more. Here an order is a function, it goes to the thread that became idle last, and
what the work gives comes back by one call of the loop.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import threading
import time
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, ParamSpec, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Order: TypeAlias = Callable[[], None]
    """It raises nothing."""

MOST: Final = 40
"""Threads; anyio's number. More work than that waits in the order in which it came."""

_PAUSE = 0.01  # seconds

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


class Threads:
    """At most ``most``, each started when there is an order and nobody idle; they stay."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._idle: list[SimpleQueue[Order]] = []  # by the queue that its thread waits at
        self._waiting: deque[Order] = deque()
        self._change = threading.Lock()  # of any of these

    def do(self, order: Order) -> None:
        """Have ``order`` done, now or when a thread is free.

        Errors: ``RuntimeError`` when the system gives no thread; then it will not be done.
        """
        with self._change:
            if self._idle:
                self._idle.pop().put(order)
            elif self._started < self._most:
                own: SimpleQueue[Order] = SimpleQueue()
                own.put(order)
                # A daemon: who waits for an order must not keep the process.
                threading.Thread(target=self._work, args=(own,), daemon=True).start()
                self._started += 1
            else:
                self._waiting.append(order)

    def finish(self) -> None:
        """Wait until nothing is under way."""
        while self._started > len(self._idle):
            time.sleep(_PAUSE)

    def _work(self, own: SimpleQueue[Order]) -> None:
        while True:
            own.get()()  # without a name: what it was given, such as a PIN, is gone afterwards
            with self._change:
                if self._waiting:
                    own.put(self._waiting.popleft())
                else:
                    self._idle.append(own)


_threads = Threads(MOST)
# As with the standard library's pool: what is under way when the process ends comes to its end.
atexit.register(_threads.finish)


async def in_thread(
    work: Callable[_Given, _Made], *given: _Given.args, **named: _Given.kwargs
) -> _Made:
    """``work(*given, **named)`` in a thread, with this task's context variables.

    Who is cancelled meanwhile goes on at once; the work runs to its end for nobody, or not at all
    when it has not begun.
    """
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Made] = loop.create_future()

    def order() -> None:
        if answer.cancelled():
            return
        try:
            made = context.run(work, *given, **named)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to who waits
            _tell(loop, _fail, answer, error)
        else:
            _tell(loop, _give, answer, made)

    _threads.do(order)
    return await answer


def _tell(loop: asyncio.AbstractEventLoop, how: Callable[..., None], *what: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(how, *what)


def _give(answer: asyncio.Future[_Made], made: _Made) -> None:
    if not answer.done():
        answer.set_result(made)


def _fail(answer: asyncio.Future[_Made], error: BaseException) -> None:
    if isinstance(error, StopIteration):  # which no coroutine can raise: it would wait for ever
        error = RuntimeError("StopIteration")
    if not answer.done():
        answer.set_exception(error)
