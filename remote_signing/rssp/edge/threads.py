"""Work that may wait, for a coroutine: done in a thread, cheaper than the framework's own way.

anyio's threads take orders through a queue written in Python and through a limiter, once for each
request; the standard library's pool has a queue of the interpreter's own. What the work gives comes
back by one call of the loop, not by two futures that watch each other.
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

MOST: Final = 40
"""Threads; anyio's number. More work than that waits in the order in which it came."""

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")

_pool = ThreadPoolExecutor(MOST, thread_name_prefix="work")


async def in_thread(
    work: Callable[_Given, _Made], *given: _Given.args, **named: _Given.kwargs
) -> _Made:
    """``work(*given, **named)`` in a thread, with this task's context variables.

    Who is cancelled meanwhile goes on at once; the work runs to its end for nobody.
    """
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Made] = loop.create_future()

    def do() -> None:
        try:
            made = context.run(work, *given, **named)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to who waits
            loop.call_soon_threadsafe(_fail, answer, error)
        else:
            loop.call_soon_threadsafe(_give, answer, made)

    order = _pool.submit(do)
    try:
        return await answer
    except asyncio.CancelledError:
        order.cancel()  # not begun: nobody needs it
        raise


def _give(answer: asyncio.Future[_Made], made: _Made) -> None:
    if not answer.done():
        answer.set_result(made)


def _fail(answer: asyncio.Future[_Made], error: BaseException) -> None:
    if isinstance(error, StopIteration):  # which no coroutine can raise: it would wait for ever
        error = RuntimeError("StopIteration")
    if not answer.done():
        answer.set_exception(error)
