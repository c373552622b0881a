"""What every part of the process shares: made once from the configuration, closed at the end."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim_adapter.ap.client import OperatorClient
from sim_adapter.ap.operators import Operators
from sim_adapter.bells import Bells
from sim_adapter.clock import Clock, SystemClock
from sim_adapter.config import read_secret
from sim_adapter.db import Database

if TYPE_CHECKING:
    import httpx

    from sim_adapter.config import SimAdapterConfig


@dataclass(slots=True)
class Drain:
    """Whether the process is on its way out."""

    started: bool = False


@dataclass(frozen=True, slots=True)
class Services:
    """The outside world and the process's own state."""

    config: SimAdapterConfig
    database: Database
    clock: Clock
    operators: Operators
    clients: dict[str, OperatorClient]
    bearer_secrets: tuple[bytes, ...] = field(repr=False)
    bells: Bells = field(default_factory=Bells)
    drain: Drain = field(default_factory=Drain)

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self.clock.now_ms()

    def is_bearer(self, secret: str) -> bool:
        """Whether ``secret`` is one of ours, in a time that does not tell how much of it is."""
        given = secret.encode()
        matches = [hmac.compare_digest(given, known) for known in self.bearer_secrets]
        return any(matches)

    async def close(self) -> None:
        """Close connections."""
        for client in self.clients.values():
            await client.close()
        self.database.close()


def open_services(
    config: SimAdapterConfig,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Services:
    """The services of ``config``; ``clock`` and ``transport`` are for tests."""
    database = config.database
    return Services(
        config=config,
        database=Database(database.url, database.password(), database.connections),
        clock=clock or SystemClock(),
        operators=Operators(config.operators),
        clients={
            item.name: OperatorClient(item, transport, config.timing.concurrency)
            for item in config.operators
        },
        bearer_secrets=tuple(read_secret(path).encode() for path in config.api.secret_files),
    )
