"""The process's own work: rows that are due are taken up, a bounded number at a time.

Each operator has a bound of its own, and call-backs have theirs: one that takes calls and does not
answer keeps nobody else's rows waiting.

Several processes may run this on one database; a row is worked on by one of them. After a crash or
a restart the rows that were under way are due again when their lease is over, so nothing here has
to be remembered.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from sim_adapter import asking, leases, registrations, transactions
from sim_adapter.callbacks import Courier
from sim_adapter.models import callback, sim_registration, sim_transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from typing import TypeAlias

    import httpx
    from sqlalchemy import ColumnElement, Row, Table

    from sim_adapter.deps import Services

    Attend: TypeAlias = Callable[[Services, Row[Any]], Awaitable[None]]
    Lane: TypeAlias = set[asyncio.Task[None]]

_log = logging.getLogger(__name__)
_PRUNE_EVERY_MS = 3_600_000
_PAUSE_AFTER_FAULT = 1.0


class Dispatcher:
    """Starts with the application and ends with it."""

    def __init__(
        self, services: Services, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._services = services
        config = services.config.callback
        self._courier = None if config is None else Courier(services, config, transport)
        self._calls: dict[str, Lane] = {}  # under way, by operator
        self._deliveries: Lane = set()
        self._kicked = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._pruned_at = 0
        self._stopping = False

    def start(self) -> None:
        """Begin to look for rows that are due."""
        self._loop = asyncio.create_task(self._work())

    def kick(self) -> None:
        """Look at once: something was just made."""
        self._kicked.set()

    async def stop(self, patience: float) -> None:
        """Take up nothing more, and give what is under way ``patience`` seconds.

        The loop is not cut off in a look: rows it has just taken up would wait for their lease.
        """
        self._stopping = True
        self.kick()
        if self._loop is not None:
            await self._end([self._loop], patience)
        await self._end(self._running(), patience)
        if self._courier is not None:
            await self._courier.close()

    async def _end(self, tasks: Iterable[asyncio.Task[None]], patience: float) -> None:
        if left := set(tasks):
            _, left = await asyncio.wait(left, timeout=patience)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _work(self) -> None:
        while not self._stopping:
            try:
                found = await self.look()
            except Exception:  # noqa: BLE001 - whatever it is, the next look may succeed
                _log.exception("looking for work failed")
                await asyncio.sleep(_PAUSE_AFTER_FAULT)
                continue
            if not found:
                await self._pause()

    async def _pause(self) -> None:
        """Until something was made, or for a tick."""
        try:
            async with asyncio.timeout(self._services.config.timing.tick):
                await self._kicked.wait()
        except TimeoutError:
            return
        self._kicked.clear()

    async def look(self) -> int:
        """Take up what is due and begin with it, as far as there is room; the number of rows."""
        await self._prune()
        taken = await self._take_calls(sim_transaction, asking.attend)
        taken += await self._take_calls(sim_registration, registrations.attend)
        if self._courier is not None:
            deliver, lease_ms = self._courier.deliver, self._courier.lease_ms
            taken += await self._take(
                callback, self._deliveries, lambda _services, row: deliver(row), lease_ms
            )
        return taken

    async def settled(self) -> None:
        """Wait until nothing is under way; for tests."""
        while running := self._running():
            await asyncio.wait(running)

    def _running(self) -> Lane:
        return self._deliveries.union(*self._calls.values())

    def _lease_ms(self) -> int:
        slowest = max(
            operator.timeout + operator.connect_timeout
            for operator in self._services.config.operators
        )
        return int(slowest * 1000) + asking.LEASE_MARGIN_MS

    async def _take_calls(self, table: Table, attend: Attend) -> int:
        services, taken = self._services, 0
        for operator in await asyncio.to_thread(
            leases.operators, services.database, table, services.now_ms()
        ):
            lane = self._calls.setdefault(operator, set())
            its_own = table.c.operator == operator
            taken += await self._take(table, lane, attend, self._lease_ms(), its_own)
        return taken

    async def _take(
        self,
        table: Table,
        lane: Lane,
        attend: Attend,
        lease_ms: int,
        *only: ColumnElement[bool],
    ) -> int:
        services = self._services
        room = services.config.timing.concurrency - len(lane)
        if room <= 0:
            return 0
        rows: Sequence[Row[Any]] = await asyncio.to_thread(
            leases.claim, services.database, table, services.now_ms(), room, lease_ms, *only
        )
        for row in rows:
            task = asyncio.create_task(self._attend(attend, row))
            lane.add(task)
            task.add_done_callback(partial(self._ended, lane))
        return len(rows)

    def _ended(self, lane: Lane, task: asyncio.Task[None]) -> None:
        if len(lane) >= self._services.config.timing.concurrency:
            self.kick()  # somebody may wait for this place
        lane.discard(task)

    async def _attend(self, attend: Attend, row: Row[Any]) -> None:
        try:
            await attend(self._services, row)
        except Exception:  # noqa: BLE001 - the row is due again when its lease is over
            _log.exception("unforeseen", extra={"row": row.id})

    async def _prune(self) -> None:
        now = self._services.now_ms()
        if now - self._pruned_at < _PRUNE_EVERY_MS:
            return
        self._pruned_at = now
        before = now - self._services.config.timing.retention * 1000
        await asyncio.to_thread(transactions.prune, self._services.database, before)
        await asyncio.to_thread(registrations.prune, self._services.database, before)
