"""The gateway's end of SMPP: binds as transceiver, submits segments, takes deliveries.

The link is made again when it is lost, with a growing pause. While it is away ``submit`` says so
at once; nothing is queued here, because an order that is late is an order that has expired.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim_adapter.ota.errors import LinkFault
from sim_adapter.ota.smpp import Bind, Command, Pdu, ShortMessage, Status, relative_validity
from sim_adapter.ota.smpp_link import SmppLink

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class EsmeConfig:
    """Where the message centre is and who we are there. The password comes from a file."""

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    service_number: str = "9484"  # what cards answer to
    pulse: float = 30.0  # seconds between signs of life


class Esme:
    """``deliver`` is called with every short message from the centre, in the order of arrival."""

    def __init__(self, config: EsmeConfig, deliver: Callable[[ShortMessage], None]) -> None:
        self._config = config
        self._deliver = deliver
        self._link: SmppLink | None = None
        self._task: asyncio.Task[None] | None = None
        self._bound = asyncio.Event()

    async def start(self, patience: float = 10.0) -> None:
        """Bind, and stay bound until ``stop``; ``LinkFault`` when it takes too long at first."""
        self._task = asyncio.get_running_loop().create_task(self._stay_bound())
        try:
            async with asyncio.timeout(patience):
                await self.bound()
        except TimeoutError:
            await self.stop()
            raise LinkFault("the message centre cannot be reached, or refuses us") from None

    async def bound(self) -> None:
        """Wait until messages can be sent."""
        await self._bound.wait()

    async def stop(self) -> None:
        """Unbind and close."""
        if self._link is not None and not self._link.is_closed:
            with suppress(LinkFault):
                await self._link.request(Command.UNBIND)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def is_bound(self) -> bool:
        """Whether messages can be sent at this moment."""
        return self._bound.is_set()

    async def submit(self, msisdn: str, user_data: bytes, validity: int) -> None:
        """Hand a segment for the card over; ``validity`` in seconds. ``LinkFault`` if not taken."""
        validity_period = relative_validity(validity)
        source = self._config.service_number
        await self._submit(ShortMessage(source, msisdn, user_data, validity_period=validity_period))

    async def submit_text(self, msisdn: str, coding: int, octets: bytes) -> None:
        """Hand an ordinary text message over; ``LinkFault`` if it isn't taken."""
        source = self._config.service_number
        await self._submit(ShortMessage(source, msisdn, octets, 0, 0, coding))

    async def _submit(self, message: ShortMessage) -> None:
        link = self._link
        if link is None or not self._bound.is_set():
            raise LinkFault("not bound")
        await link.request(Command.SUBMIT_SM, message.encode())

    async def _stay_bound(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._one_connection()
                pause = _FIRST_PAUSE
            except (OSError, LinkFault) as error:
                _log.warning("SMPP bind failed: %s", error)
                pause = min(2 * pause, _LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _one_connection(self) -> None:
        config = self._config
        reader, writer = await asyncio.open_connection(config.host, config.port)
        link = self._link = SmppLink(reader, writer, self._handle)
        loop = asyncio.get_running_loop()
        running = loop.create_task(link.run())
        pulse = loop.create_task(link.pulse(config.pulse))
        try:
            bind = Bind(config.system_id, config.password).encode()
            await link.request(Command.BIND_TRANSCEIVER, bind)
            self._bound.set()
            await running
        finally:
            self._bound.clear()
            link.close()
            pulse.cancel()
            await asyncio.gather(running, pulse, return_exceptions=True)

    async def _handle(self, pdu: Pdu) -> tuple[Status, bytes]:
        if pdu.command == Command.DELIVER_SM:
            self._deliver(ShortMessage.parse(pdu.body))
            return Status.OK, b"\0"
        if pdu.command == Command.UNBIND:
            return Status.OK, b""
        return Status.WRONG_BIND_STATE, b""
