"""A small message centre: SMPP towards gateways, radio towards phones.

It stands where the operator's centre stands, for tests, demonstrations and load. It stores and
forwards: a message for a phone that is away waits until the phone is back or the validity ends. A
:class:`Weather` makes it lose, copy, delay and so reorder what goes over the air.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hmac
import itertools
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sim_adapter.ota.errors import LinkFault, Malformed
from sim_adapter.ota.smpp import (
    ESM_ACKNOWLEDGEMENT,
    ESM_RECEIPT,
    ESM_USER_DATA_HEADER,
    Bind,
    Command,
    Pdu,
    ShortMessage,
    Status,
    validity_seconds,
)
from sim_adapter.ota.smpp_link import SmppLink
from sim_adapter.ota.tpdu import Deliver, Submit

if TYPE_CHECKING:
    from collections.abc import Coroutine

_log = logging.getLogger(__name__)
_BINDS = {Command.BIND_TRANSCEIVER, Command.BIND_RECEIVER, Command.BIND_TRANSMITTER}
_RECEIVING = {Command.BIND_TRANSCEIVER, Command.BIND_RECEIVER}
_SENDING = {Command.BIND_TRANSCEIVER, Command.BIND_TRANSMITTER}
_MOST_IN_THE_AIR = 50_000


class Absent(Exception):
    """The phone does not answer to paging; the message may be tried again."""


class Radio(Protocol):
    """The phones, as the message centre reaches them."""

    async def deliver(self, msisdn: str, tpdu: bytes) -> bytes:
        """Hand an SMS-DELIVER over; gives the user data of the delivery report, often empty.

        ``Absent`` while the phone is off; ``KeyError`` for a number that nobody has.
        """
        ...

    def knows(self, msisdn: str) -> bool:
        """Whether somebody has this number."""
        ...


@dataclass(slots=True)
class Weather:
    """What happens in the air. ``chance`` decides, so a seed makes it happen again."""

    copies: int = 1
    loss: float = 0.0  # share of messages that arrive nowhere
    longest_delay: float = 0.0  # seconds; each copy takes a random time up to this
    chance: random.Random = field(default_factory=random.Random)

    def delays(self) -> list[float]:
        """One delay for each copy that arrives."""
        return [
            self.chance.uniform(0.0, self.longest_delay)
            for _ in range(self.copies)
            if self.chance.random() >= self.loss
        ]


class MessageCentre:
    """``accounts`` are the gateways' passwords by system_id."""

    def __init__(
        self,
        radio: Radio,
        accounts: dict[str, str],
        weather: Weather | None = None,
        *,
        retry_every: float = 1.0,
    ) -> None:
        self._radio = radio
        self._accounts = accounts
        self.weather = weather or Weather()
        self._retry_every = retry_every
        self._sessions: set[_Session] = set()
        self._identifiers = itertools.count(1)
        self._in_the_air: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; gives the port."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close every session; what is in the air is gone."""
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.link.close()
        for task in self._in_the_air:
            task.cancel()
        await asyncio.gather(*self._in_the_air, return_exceptions=True)

    def take_from_phone(self, msisdn: str, tpdu: bytes) -> None:
        """An SMS-SUBMIT of a phone, for the gateways. ``Malformed`` if it is none."""
        submit = Submit.parse(tpdu)
        message = ShortMessage(msisdn, submit.destination, submit.user_data)
        for delay in self.weather.delays():
            self._spawn(self._to_gateways(message, delay))

    def check_account(self, bind: Bind) -> bool:
        """Whether a gateway may bind; takes the same time for a wrong name and a wrong password."""
        known = self._accounts.get(bind.system_id)
        expected = (known or "").encode()
        return hmac.compare_digest(expected, bind.password.encode()) and known is not None

    def accept(self, message: ShortMessage) -> tuple[Status, bytes]:
        """Take a gateway's message for delivery: status and body of the answer.

        ``Malformed`` for what no radio carries.
        """
        if not self._radio.knows(message.destination):
            return Status.INVALID_DESTINATION, b""
        if len(self._in_the_air) > _MOST_IN_THE_AIR:
            return Status.QUEUE_FULL, b""
        tpdu = _deliver_of(message)
        identifier = f"{next(self._identifiers):010d}"
        for delay in self.weather.delays():
            self._spawn(self._to_phone(message, tpdu, identifier, delay))
        return Status.OK, identifier.encode("ascii") + b"\0"

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._in_the_air.add(task)
        task.add_done_callback(self._in_the_air.discard)

    async def _to_phone(
        self, message: ShortMessage, tpdu: bytes, identifier: str, delay: float
    ) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + validity_seconds(message.validity_period)
        await asyncio.sleep(delay)
        state = "EXPIRED"
        while loop.time() < until:
            try:
                report = await self._radio.deliver(message.destination, tpdu)
            except Absent:
                await asyncio.sleep(min(self._retry_every, max(0.0, until - loop.time())))
                continue
            except Malformed as error:
                _log.info("a phone cannot take a message: %s", error)
                state = "UNDELIV"
                break
            state = "DELIVRD"
            await self._acknowledge(message, report)
            break
        if message.wants_receipt:
            await self._receipt(message, identifier, state)

    async def _acknowledge(self, message: ShortMessage, report: bytes) -> None:
        if report:
            kind = ESM_USER_DATA_HEADER | ESM_ACKNOWLEDGEMENT
            answer = ShortMessage(message.destination, message.source, report, esm_class=kind)
            for delay in self.weather.delays():
                self._spawn(self._to_gateways(answer, delay))

    async def _receipt(self, message: ShortMessage, identifier: str, state: str) -> None:
        text = f"id:{identifier} sub:001 dlvrd:{int(state == 'DELIVRD'):03d} stat:{state} err:000"
        receipt = ShortMessage(
            message.destination, message.source, text.encode("ascii"), ESM_RECEIPT, 0, 0
        )
        await self._to_gateways(receipt, 0.0)

    async def _to_gateways(self, message: ShortMessage, delay: float) -> None:
        await asyncio.sleep(delay)
        body = message.encode()
        for session in [one for one in self._sessions if one.bound in _RECEIVING]:
            try:
                await session.link.request(Command.DELIVER_SM, body)
            except LinkFault as error:
                _log.warning("a gateway did not take a message: %s", error)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self, reader, writer)
        self._sessions.add(session)
        try:
            await session.link.run()
        finally:
            self._sessions.discard(session)


def _deliver_of(message: ShortMessage) -> bytes:
    return Deliver(
        message.source,
        message.user_data,
        dt.datetime.now(dt.UTC),
        message.protocol_id,
        message.data_coding,
        bool(message.esm_class & ESM_USER_DATA_HEADER),
    ).encode()


class _Session:
    """One gateway's connection."""

    def __init__(
        self, centre: MessageCentre, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._centre = centre
        self.bound: int | None = None
        self.link = SmppLink(reader, writer, self._handle)

    async def _handle(self, pdu: Pdu) -> tuple[Status, bytes]:
        if pdu.command in _BINDS:
            return self._bind(pdu)
        if pdu.command == Command.UNBIND:
            self.bound = None
            return Status.OK, b""
        if pdu.command != Command.SUBMIT_SM or self.bound not in _SENDING:
            return Status.WRONG_BIND_STATE, b""
        try:
            return self._centre.accept(ShortMessage.parse(pdu.body))
        except Malformed:
            return Status.SUBMIT_FAILED, b""

    def _bind(self, pdu: Pdu) -> tuple[Status, bytes]:
        if self.bound is not None:
            return Status.ALREADY_BOUND, b""
        if not self._centre.check_account(Bind.parse(pdu.body)):
            return Status.BIND_FAILED, b""
        self.bound = pdu.command
        return Status.OK, b"SMSC\0"
