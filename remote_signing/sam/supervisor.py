"""The supervisor: takes requests off the SAP, gives each to an idle worker, watches the clock.

It holds no key and reads no argument: a request's line goes to the worker as it came. A worker
that does not answer in time is killed, one that dies is replaced, and the request is tried once
more on another node. When a worker fails, the other idle workers of its node must pass a canary
signature before they are used again, so a lost node costs one deadline, not one per worker.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING

from remote_signing.errors import HsmUnavailable, InvalidInput, RemoteSigningError
from remote_signing.sam.figures import Figures
from remote_signing.sam.idle_workers import IdleWorkers
from remote_signing.sam.worker_process import WorkerProcess, WorkerUnusable
from remote_signing.sap import EACH_KILOBYTE, QUICK_VERBS, encode_line

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from remote_signing.sam.config import NodeConfig, SamConfig
    from remote_signing.sap import NodeReport

log = logging.getLogger(__name__)

# The frame's first two members, in this order (docs/sap.md): all the supervisor reads of it.
_FRAME = re.compile(rb'\{"id":(\d{1,15}),"verb":"([a-z_]{1,32})",')
_ENROLMENT_VERBS = frozenset(
    {
        "create_credential",
        "certify",
        "certify_sim",
        "install_certificate",
        "bind_factor",
        "drop_factor",
        "bind_passkey",
        "check_drop",
        "drop_passkey",
        "change_pin",
        "choose_pin",
        "retire_pin",
        "destroy",
        "revoke",
        "sign_crl",
        "unlock",
        "merge_revocations",
    }
)
_CANARY = encode_line({"id": 0, "verb": "canary", "args": {}})
_TRIES = 2
_BACK_OFF = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)


class _NodePool:
    """The workers of one node."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        self.workers: set[WorkerProcess] = set()
        self.failures = 0
        self.last_fault: str | None = None

    @property
    def healthy(self) -> bool:
        return any(worker.ready and worker.sound for worker in self.workers)

    @property
    def refusal(self) -> str | None:
        """Why its workers would use no key, if they would not."""
        return next((worker.refusal for worker in self.workers if worker.refusal), None)


class Supervisor:
    """``start``, then ``handle`` for each line; ``close`` ends the workers."""

    def __init__(self, config: SamConfig, config_file: Path) -> None:
        self._config = config
        self._config_file = config_file
        self._nodes = {node.name: _NodePool(node) for node in config.nodes}
        self._idle = IdleWorkers(self._healthy)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.figures = Figures()

    def start(self) -> None:
        """Begin to start every worker. A request that comes earlier waits for the first of them."""
        for node in self._nodes.values():
            for _ in range(node.config.workers):
                self._spawn_task(node)
        self._keep(asyncio.create_task(self._probe_for_ever()))

    async def handle(self, line: bytes) -> bytes:
        """The answer to one request line. Never raises: a fault of ours is an error on the wire."""
        frame = _FRAME.match(line)
        if frame is None:
            return _refusal(None, InvalidInput("not a SAP frame"))
        number, verb = int(frame[1]), frame[2].decode("ascii")
        if verb in QUICK_VERBS:
            seconds = self._config.deadlines.activation
        elif verb in _ENROLMENT_VERBS:
            seconds = self._config.deadlines.enrolment
        else:
            return _refusal(number, InvalidInput("no such verb", parameter="verb"))
        # A longer request, such as a thousand hashes, is more work; nothing else tells us that.
        seconds += EACH_KILOBYTE * len(line) / 1024
        begun = time.monotonic()
        try:
            answer = await self._dispatch(line, seconds)
        except HsmUnavailable as error:
            answer = _refusal(number, error)
        self.figures.answered(verb, answer, time.monotonic() - begun)
        return answer

    def idle(self) -> Counter[str]:
        """How many workers of each node have nothing to do."""
        return self._idle.count()

    def report(self) -> list[NodeReport]:
        """Each node's health, for ``status`` and ``/readyz``."""
        return [
            {
                "name": name,
                "healthy": pool.healthy,
                "workers": sum(worker.ready for worker in pool.workers),
                "last_fault": pool.last_fault or pool.refusal,
            }
            for name, pool in self._nodes.items()
        ]

    async def close(self) -> None:
        """End all workers. Requests in flight must have been answered before."""
        self._closing = True
        # Again until they are gone: before Python 3.12 wait_for forgets that it was cancelled when
        # what it waits for is there at the same moment, and a task goes on as if nothing had been.
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.5)
        for pool in self._nodes.values():
            for worker in list(pool.workers):
                await worker.stop()

    # One request

    async def _dispatch(self, line: bytes, seconds: float) -> bytes:
        failed: frozenset[str] = frozenset()
        tries = 0
        while tries < _TRIES:
            with self.figures.queued():
                worker = await self._take(failed)
            if worker.has_ended():
                await self._failed(worker, "ended while idle")
                continue
            tries += 1
            try:
                with self.figures.busy(worker.node):
                    answer = await worker.exchange(line, seconds)
            except WorkerUnusable as error:
                failed |= {worker.node}
                await self._failed(worker, str(error))
                continue
            except asyncio.CancelledError:
                # Its answer would reach the next request: such a worker is of no more use.
                await self._failed(worker, "caller went away")
                raise
            await self._give_back(worker)
            return answer
        raise HsmUnavailable("two workers failed")

    async def _take(self, failed: frozenset[str]) -> WorkerProcess:
        """An idle worker, of a node that has not just failed if there is any other alive."""
        try:
            return await self._idle.take(failed, self._config.deadlines.wait)
        except TimeoutError:
            raise HsmUnavailable("no idle worker in time") from None

    def _healthy(self) -> set[str]:
        return {name for name, pool in self._nodes.items() if pool.healthy}

    async def _give_back(self, worker: WorkerProcess) -> None:
        if worker.operations >= self._config.recycle_after:
            pool = self._nodes[worker.node]
            self._spawn_task(pool)
            await self._remove(worker)
            return
        self._idle.put(worker)

    # Workers come and go

    async def _failed(self, worker: WorkerProcess, fault: str) -> None:
        pool = self._nodes[worker.node]
        pool.last_fault = fault
        self.figures.failed(worker.node)
        log.warning("worker failed", extra={"node": worker.node, "pid": worker.pid, "fault": fault})
        for suspect in self._idle.of(worker.node):
            self._idle.remove(suspect)
            self._keep(asyncio.create_task(self._probe(suspect)))
        await self._remove(worker)
        self._spawn_task(pool)

    async def _probe(self, worker: WorkerProcess) -> None:
        """A canary signature by a worker that was taken off the idle list."""
        try:
            await worker.prove(_CANARY, self._config.deadlines.canary)
        except WorkerUnusable as error:
            await self._failed(worker, str(error))
        else:
            self._idle.put(worker)

    async def _probe_for_ever(self) -> None:
        """One idle worker of each node proves itself now and then, traffic or not."""
        while True:
            await asyncio.sleep(self._config.probe_every)
            for name in self._nodes:
                for worker in self._idle.of(name)[:1]:
                    self._idle.remove(worker)
                    await self._probe(worker)

    async def _remove(self, worker: WorkerProcess) -> None:
        self._nodes[worker.node].workers.discard(worker)
        await worker.kill()
        self._idle.look_again()

    def _spawn_task(self, pool: _NodePool) -> asyncio.Task[None]:
        return self._keep(asyncio.create_task(self._spawn(pool)))

    async def _spawn(self, pool: _NodePool) -> None:
        """Start one worker, again and again with growing pauses until its node can be used."""
        while not self._closing:
            await asyncio.sleep(_BACK_OFF[min(pool.failures, len(_BACK_OFF) - 1)])
            worker = WorkerProcess(self._config_file, pool.config.name)
            pool.workers.add(worker)
            try:
                await worker.start(self._config.deadlines.start)
            except WorkerUnusable as error:
                pool.failures += 1
                pool.last_fault = str(error)
                log.warning("worker did not start", extra={"node": pool.config.name})
                await self._remove(worker)
                continue
            pool.failures = 0
            pool.last_fault = None
            self._keep(asyncio.create_task(self._watch(worker)))
            self._idle.put(worker)
            return

    async def _watch(self, worker: WorkerProcess) -> None:
        """Replace a worker that ends while nobody asks it anything."""
        await worker.ended()
        if self._idle.remove(worker):
            await self._failed(worker, "ended while idle")

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _refusal(number: int | None, error: RemoteSigningError) -> bytes:
    return encode_line(
        {"id": number, "error": {"name": type(error).__name__, "public": error.public}}
    )
