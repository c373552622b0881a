"""Work that may wait, for a coroutine: done in a thread, cheaper than the framework's own way.

anyio's threads take orders through a queue written in Python and through a limiter, once for each
request; the standard library's pool has a queue of the interpreter's own.
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

    def done() -> _Made:
        try:
            return context.run(work, *given, **named)
        except StopIteration as end:  # which no coroutine can raise: it would wait for ever
            raise RuntimeError("StopIteration") from end

    return await asyncio.get_running_loop().run_in_executor(_pool, done)
