"""What a handler needs, put together once at start-up."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from remote_signing.clock import Clock, SystemClock
from remote_signing.rssp import vapid
from remote_signing.rssp.clients import ClientDirectory
from remote_signing.rssp.db import Database
from remote_signing.rssp.openid_client import OpenidProvider
from remote_signing.rssp.refusals import Refusals
from remote_signing.rssp.sim_client import SimAdapter
from remote_signing.sap import SapClient, TlsAddress, UnixAddress

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.rssp.config import RsspConfig, SamConfig


@dataclass
class Drain:
    """Whether the process is on its way out: then ``/readyz`` says so and no new work comes."""

    started: bool = False


@dataclass(frozen=True)
class Services:
    """The outside world of the rssp. Thread-safe; one for each process."""

    config: RsspConfig
    database: Database
    sam: SapClient
    clock: Clock
    clients: ClientDirectory
    sim: SimAdapter | None = None
    openid: OpenidProvider | None = None
    drain: Drain = field(default_factory=Drain)
    work: threading.Event = field(default_factory=threading.Event)  # a job was accepted here
    refusals: Refusals = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "refusals", Refusals(self.database, self.clock))

    @cached_property
    def push(self) -> vapid.Identity | None:
        """Who we are to push services; None where push is not configured. Read once.

        What tells browsers reads it when it starts: ``ConfigInvalid`` when the key cannot be read.
        """
        config = self.config.push
        return None if config is None else vapid.load(config.key_file, config.contact)

    def now_ms(self) -> int:
        """The clock's time in milliseconds since the epoch."""
        return self.clock.now_ms()

    def close(self) -> None:
        """Close the connections to everything outside."""
        self.database.close()
        self.sam.close()
        if self.sim is not None:
            self.sim.close()
        if self.openid is not None:
            self.openid.close()


def open_services(config: RsspConfig, clock: Clock | None = None) -> Services:
    """The services that ``config`` describes. Connects to nothing yet."""
    clock = clock or SystemClock()
    place = config.database
    database = Database(place.url, place.password(), place.connections)
    return Services(
        config=config,
        database=database,
        sam=SapClient(_address(config.sam), config.sam.timeout),
        clock=clock,
        clients=ClientDirectory(database, clock),
        sim=None if config.sim is None else SimAdapter(config.sim),
        openid=None if config.openid is None else OpenidProvider(config.openid),
    )


def services(request: Request) -> Services:
    """The services of the application that answers ``request``."""
    return cast("Services", request.app.state.services)


async def _services(request: Request) -> Services:
    # A coroutine: FastAPI takes any other dependency to a thread and back, for each request.
    return services(request)


ServicesDep = Annotated[Services, Depends(_services)]


def _address(sam: SamConfig) -> UnixAddress | TlsAddress:
    if sam.socket is not None:
        return UnixAddress(sam.socket)
    # RsspConfig has checked that these are there.
    return TlsAddress(
        cast("str", sam.host),
        sam.port,
        cast("Path", sam.ca),
        cast("Path", sam.certificate),
        cast("Path", sam.key),
    )
