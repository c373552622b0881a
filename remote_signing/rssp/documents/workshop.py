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
from remote_signing.rssp.documents import asn1_lengths

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import FrameType

    from remote_signing.rssp.config import DocumentsConfig, ValidationConfig

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")

_STAGES_OF_A_PROCESS = 200
_START = 30.0  # seconds in which a process is certainly running


class Workshop:
    """Thread-safe; one for each process of the rssp. Starts its processes when first used."""

    def __init__(self, config: DocumentsConfig | ValidationConfig) -> None:
        self._config = config
        self._places = threading.BoundedSemaphore(config.workers + config.waiting)
        # Longer than all places in front of one can take, and the start of a process.
        self._patience = config.seconds * (2 + config.waiting) + _START
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._begun = 0  # stages of this pool

    def do(
        self,
        stage: Callable[Arguments, Made],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Made:
        """What ``stage`` gives, a function of a module that worker processes can import.

        Raises what it raises; ``DocumentUnusable`` when it took too long or too much memory, or
        ended its process; ``Unavailable`` when no place is free or no process answers.
        """
        if not self._places.acquire(blocking=False):
            raise Unavailable("all places for documents are taken")
        try:
            task = functools.partial(_bounded, self._config.seconds, stage, *arguments, **named)
            return self._waited(*self._submitted(task))
        finally:
            self._places.release()

    def _waited(self, pool: ProcessPoolExecutor, started: Future[Made]) -> Made:
        try:
            return started.result(self._patience)
        except TimeoutError as error:
            # The stages end by themselves, so it is the pool that has come to a stand.
            self._forget(pool)
            raise Unavailable("worker processes do not answer") from error
        except BrokenProcessPool as error:
            # Others' stages fell with it; they cannot be told apart, and will be asked again.
            self._forget(pool)
            raise DocumentUnusable("a worker process ended", reason="it takes too much") from error

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _submitted(self, task: Callable[[], Made]) -> tuple[ProcessPoolExecutor, Future[Made]]:
        """Processes are replaced all at once; the former ones end what they have begun.

        The pool's own way of it, ``max_tasks_per_child``, comes to a stand in Python 3.11.
        """
        with self._lock:
            if self._pool is None or self._begun >= _STAGES_OF_A_PROCESS * self._config.workers:
                if self._pool is not None:
                    self._pool.shutdown(wait=False)
                self._pool, self._begun = self._new_pool(), 0
            self._begun += 1
            try:
                return self._pool, self._pool.submit(task)
            except BrokenProcessPool:  # it ended while nobody waited for it
                self._pool, self._begun = self._new_pool(), 1
                return self._pool, self._pool.submit(task)

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._config.workers,
            # Never a fork: this process has threads and connections.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self._config.memory,),
        )

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
    asn1_lengths.mend()
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
