"""The idle workers, and the requests that wait for one in the order of their coming.

A worker that has become idle goes to the first request that may have it and nobody else is woken,
so what a request costs does not grow with the queue behind it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from remote_signing.sam.worker_process import WorkerProcess


@dataclass(frozen=True, eq=False, slots=True)
class _Waiting:
    """A request without a worker. Nodes in ``failed`` have just failed it."""

    failed: AbstractSet[str]
    worker: asyncio.Future[WorkerProcess]


class IdleWorkers:
    """``healthy`` tells which nodes can be used now. All of it belongs to one loop."""

    def __init__(self, healthy: Callable[[], AbstractSet[str]]) -> None:
        self._healthy = healthy
        self._idle: deque[WorkerProcess] = deque()
        self._waiting: deque[_Waiting] = deque()

    async def take(self, failed: AbstractSet[str], seconds: float) -> WorkerProcess:
        """A worker; none of a node in ``failed`` as long as another node is healthy.

        ``TimeoutError`` when there was none within ``seconds``.
        """
        worker = self._fitting(failed, self._healthy())
        if worker is not None:
            return worker
        waiting = _Waiting(failed, asyncio.get_running_loop().create_future())
        if failed:  # it has waited once
            self._waiting.appendleft(waiting)
        else:
            self._waiting.append(waiting)
        try:
            async with asyncio.timeout(seconds):
                return await waiting.worker
        except BaseException:
            self._give_up(waiting)
            raise

    def put(self, worker: WorkerProcess) -> None:
        """``worker`` has nothing to do."""
        self._idle.append(worker)
        self.look_again()

    def look_again(self) -> None:
        """Give idle workers to those who wait: a node's health may have changed, too."""
        if not (self._idle and self._waiting):
            return
        healthy = self._healthy()
        others: list[_Waiting] = []
        while self._idle and self._waiting:
            waiting = self._waiting.popleft()
            if waiting.worker.done():  # cancelled, and about to be given up
                continue
            worker = self._fitting(waiting.failed, healthy)
            if worker is None:
                others.append(waiting)
            else:
                waiting.worker.set_result(worker)
        self._waiting.extendleft(reversed(others))

    def remove(self, worker: WorkerProcess) -> bool:
        """Take ``worker`` out, if it is idle; whether it was."""
        if worker not in self._idle:
            return False
        self._idle.remove(worker)
        return True

    def of(self, node: str) -> list[WorkerProcess]:
        """The idle ones of a node, the one that has been idle longest first."""
        return [worker for worker in self._idle if worker.node == node]

    def count(self) -> Counter[str]:
        """How many there are of each node."""
        return Counter(worker.node for worker in self._idle)

    def _fitting(self, failed: AbstractSet[str], healthy: AbstractSet[str]) -> WorkerProcess | None:
        others = healthy - failed
        for worker in self._idle:
            if worker.node in others or not others:
                self._idle.remove(worker)
                return worker
        return None

    def _give_up(self, waiting: _Waiting) -> None:
        if waiting.worker.done() and not waiting.worker.cancelled():
            self.put(waiting.worker.result())  # it came at that very moment
            return
        with suppress(ValueError):
            self._waiting.remove(waiting)
