"""The process's own work: rows that are due are taken up, a bounded number at a time.

Several processes may run this on one database; a row is worked on by one of them. After a crash or
a restart the rows that were under way are due again when their lease is over, so nothing here has
to be remembered.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from sim_adapter import asking, leases, registrations, transactions
from sim_adapter.callbacks import Courier
from sim_adapter.models import callback, sim_registration, sim_transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    import httpx
    from sqlalchemy import Row, Table

    from sim_adapter.deps import Services

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
        self._running: set[asyncio.Task[None]] = set()
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
        await self._end(self._running, patience)
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
        """Take up what is due and begin with it; the number of rows."""
        timing = self._services.config.timing
        room = timing.concurrency - len(self._running)
        if room <= 0:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return 1
        await self._prune()
        taken = await self._take(sim_transaction, room, asking.attend, self._lease_ms())
        taken += await self._take(sim_registration, room, registrations.attend, self._lease_ms())
        if self._courier is not None:
            deliver = self._courier.deliver
            taken += await self._take(
                callback, room, lambda _services, row: deliver(row), self._courier.lease_ms
            )
        return taken

    async def settled(self) -> None:
        """Wait until nothing is under way; for tests."""
        while self._running:
            await asyncio.wait(self._running)

    def _lease_ms(self) -> int:
        slowest = max(
            operator.timeout + operator.connect_timeout
            for operator in self._services.config.operators
        )
        return int(slowest * 1000) + asking.LEASE_MARGIN_MS

    async def _take(
        self,
        table: Table,
        room: int,
        attend: Callable[[Services, Row[Any]], Awaitable[None]],
        lease_ms: int,
    ) -> int:
        services = self._services
        rows: Sequence[Row[Any]] = await asyncio.to_thread(
            leases.claim, services.database, table, services.now_ms(), room, lease_ms
        )
        for row in rows:
            task = asyncio.create_task(self._attend(attend, row))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(rows)

    async def _attend(
        self, attend: Callable[[Services, Row[Any]], Awaitable[None]], row: Row[Any]
    ) -> None:
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
