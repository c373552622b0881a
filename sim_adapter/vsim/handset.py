"""A handset: drives a card by APDUs, shows its dialogues to a person, sends what it is told to.

It knows nothing of what the card is for. A short message for the card goes in as an envelope; what
the card answers is the delivery report; proactive commands are fetched one after the other, while
further short messages may come in.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from sim_adapter.ota import text
from sim_adapter.ota.errors import Malformed
from sim_adapter.ota.tpdu import DCS_DEFAULT, DCS_UCS2, Deliver, Submit, encode_time
from sim_adapter.vsim import toolkit
from sim_adapter.vsim.apdu import Command, Ins, Word, split_answer
from sim_adapter.vsim.persons import Press
from sim_adapter.vsim.toolkit import Act, Proactive, Result, TerminalResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_adapter.vsim.persons import Person

_log = logging.getLogger(__name__)
_MASTER_FILE = bytes.fromhex("3f00")
_USIM = bytes.fromhex("a0000000871002")
_PROFILE = bytes.fromhex("ffffffffff1f00")
_SWP1 = 0xFF00
_LARGEST = 256
_SIGNING_PIN = 0x81


class Chip(Protocol):
    """Anything that answers APDUs."""

    def exchange(self, apdu: bytes) -> bytes:
        """Data and status word for one command."""
        ...


class Handset:
    """``transmit`` takes SMS-SUBMIT TPDUs and raises ``Malformed`` or ``OSError`` if it can't."""

    def __init__(
        self,
        chip: Chip,
        person: Person,
        transmit: Callable[[bytes], None],
        *,
        clock: Callable[[], dt.datetime] | None = None,
    ) -> None:
        self._chip = chip
        self.person = person
        self._transmit = transmit
        self._clock = clock or _vietnam_time
        self.inbox: list[str] = []  # ordinary text messages
        self._reference = 0
        self._session: asyncio.Task[None] | None = None

    def power_on(self) -> None:
        """Select what there is and tell what the handset can; ``OSError`` if the card won't."""
        for command in (
            Command(0x00, Ins.SELECT, 0, 4, _MASTER_FILE),
            Command(0x00, Ins.SELECT, 4, 4, _USIM),
            Command(0x80, Ins.TERMINAL_PROFILE, data=_PROFILE),
            Command(0x80, Ins.STATUS),
        ):
            _, word = self._send(command)
            if word != Word.OK and word & _SWP1 != Word.PROACTIVE:
                raise OSError(f"the card does not start: {word:#06x}")
            self._follow(word)

    async def receive(self, tpdu: bytes) -> bytes:
        """An SMS-DELIVER from the network; gives the user data of the delivery report."""
        message = Deliver.parse(tpdu)
        if not message.is_for_the_card:
            self.inbox.append(_readable(message))
            return b""
        envelope = Command(0x80, Ins.ENVELOPE, data=toolkit.envelope(tpdu), expected=_LARGEST)
        data, word = self._send(envelope)
        if word & _SWP1 == Word.DATA:
            data, word = self._send(Command(0x00, Ins.GET_RESPONSE, expected=word & 0xFF))
        self._follow(word)
        return data

    def change_pin(self, old: str, new: str) -> int:
        """The phone's menu: change the signing PIN. Gives the status word."""
        return self._two(Ins.CHANGE_PIN, old, new)

    def unblock_pin(self, puk: str, new: str) -> int:
        """The phone's menu: a new PIN by the PUK. Gives the status word."""
        return self._two(Ins.UNBLOCK_PIN, puk, new)

    async def idle(self) -> None:
        """Wait until the card wants nothing more."""
        while self._session is not None and not self._session.done():
            await asyncio.shield(self._session)

    def power_off(self) -> None:
        """Whatever was on the screen is gone."""
        if self._session is not None:
            self._session.cancel()

    def _two(self, ins: Ins, first: str, second: str) -> int:
        data = b"".join(secret.encode("ascii").ljust(8, b"\xff") for secret in (first, second))
        return self._send(Command(0x00, ins, 0, _SIGNING_PIN, data))[1]

    def _send(self, command: Command) -> tuple[bytes, int]:
        return split_answer(self._chip.exchange(command.encode()))

    def _follow(self, word: int) -> None:
        is_idle = self._session is None or self._session.done()
        if word & _SWP1 == Word.PROACTIVE and is_idle:
            self._session = asyncio.get_running_loop().create_task(self._serve(word & 0xFF))

    async def _serve(self, length: int) -> None:
        while length:
            octets, word = self._send(Command(0x80, Ins.FETCH, expected=length))
            if word != Word.OK:
                _log.warning("the card does not give its command: %#06x", word)
                return
            response = await self._carry_out(Proactive.parse(octets))
            data = response.encode()
            _, word = self._send(Command(0x80, Ins.TERMINAL_RESPONSE, data=data))
            length = word & 0xFF if word & _SWP1 == Word.PROACTIVE else 0

    async def _carry_out(self, command: Proactive) -> TerminalResponse:
        done = TerminalResponse(command.number, command.act, command.qualifier, Result.OK)
        match command.act:
            case Act.DISPLAY_TEXT:
                return replace(done, result=_result(await self.person.read(command.text)))
            case Act.GET_INPUT:
                is_hidden = command.hides_input
                typed = await self.person.type_in(command.text, is_hidden=is_hidden)
                if isinstance(typed, Press):
                    return replace(done, result=_result(typed))
                return replace(done, text=typed)
            case Act.SEND_SHORT_MESSAGE:
                return replace(done, result=self._transmitted(command.tpdu))
            case Act.LOCAL_INFORMATION:
                return replace(done, time=encode_time(self._clock()))

    def _transmitted(self, tpdu: bytes) -> Result:
        self._reference = (self._reference + 1) & 0xFF
        try:
            self._transmit(replace(Submit.parse(tpdu), reference=self._reference).encode())
        except (Malformed, OSError) as error:
            _log.warning("a short message was not sent: %s", error)
            return Result.NETWORK_BUSY
        return Result.OK


def _result(press: Press) -> Result:
    return {
        Press.OK: Result.OK,
        Press.CANCEL: Result.ENDED_BY_USER,
        Press.NOTHING: Result.NO_RESPONSE,
    }[press]


def _readable(message: Deliver) -> str:
    coding = {DCS_DEFAULT: text.Encoding.GSM7, DCS_UCS2: text.Encoding.UCS2}.get(message.dcs)
    if coding is None or message.has_header:
        raise Malformed("a short message that this handset cannot show")
    return text.decode(coding, message.user_data)


def _vietnam_time() -> dt.datetime:
    return dt.datetime.now(dt.timezone(dt.timedelta(hours=7)))
