"""Worker processes for the stages on files: whatever a document does to them, it does there.

Documents come from strangers and are read by code that was written for good ones. So a stage has a
time and a memory that it cannot exceed, a process serves a number of them and is replaced, and who
finds all places taken is told to come back, instead of waiting in a line without end.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import resource
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from remote_signing.errors import DocumentUnusable, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from remote_signing.rssp.config import DocumentsConfig

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")

_STAGES_OF_A_PROCESS = 200


class Workshop:
    """Thread-safe; one for each process of the rssp. Starts its processes when first used."""

    def __init__(self, config: DocumentsConfig) -> None:
        self._config = config
        self._places = threading.BoundedSemaphore(config.workers + config.waiting)
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def do(
        self,
        stage: Callable[Arguments, Made],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Made:
        """What ``stage`` gives, a function of a module that worker processes can import.

        Raises what it raises; ``DocumentUnusable`` when it took too long or too much memory, or
        ended its process; ``Unavailable`` when no place is free.
        """
        if not self._places.acquire(blocking=False):
            raise Unavailable("all places for documents are taken")
        try:
            pool = self._opened()
            task = functools.partial(_bounded, self._config.seconds, stage, *arguments, **named)
            return pool.submit(task).result()
        except BrokenProcessPool as error:
            # Others' stages fell with it; they cannot be told apart, and will be asked again.
            self._forget(pool)
            raise DocumentUnusable("a worker process ended", reason="it takes too much") from error
        finally:
            self._places.release()

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _opened(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._config.workers,
                    # Never a fork: this process has threads and connections.
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_begin,
                    initargs=(self._config.memory,),
                    max_tasks_per_child=_STAGES_OF_A_PROCESS,
                )
            return self._pool

    def _forget(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.shutdown(wait=False)


class _TooSlow(BaseException):
    """Of no kind that a library catches."""


def _begin(megabytes: int) -> None:
    """A worker process starts: bounded, quiet about Ctrl-C, and gone when its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _alarm)
    size = megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - a worker process has one
    connection.wait([parent.sentinel])
    os._exit(1)


def _alarm(_number: int, _frame: FrameType | None) -> None:
    raise _TooSlow


def _bounded(
    seconds: float,
    stage: Callable[Arguments, Made],
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> Made:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return stage(*arguments, **named)
    except _TooSlow:
        raise DocumentUnusable(f"more than {seconds} s", reason="it takes too long") from None
    except MemoryError:
        raise DocumentUnusable("out of memory", reason="it takes too much") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
