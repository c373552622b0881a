"""A card on a bench: octets in, octets out, with the gateway's keys at hand and no handset."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

from sim_adapter.ota import packet, spi
from sim_adapter.ota.keysets import CardIssuer
from sim_adapter.ota.messages import Answer, EnrolRequest, Request, SignRequest, parse_answer
from sim_adapter.ota.orders import KeyAlgorithm, Mode
from sim_adapter.ota.segments import PacketKind, Reassembler, split
from sim_adapter.ota.tpdu import Deliver, Submit, encode_time
from sim_adapter.vsim import toolkit
from sim_adapter.vsim.apdu import Command, Ins, split_answer
from sim_adapter.vsim.card import Card
from sim_adapter.vsim.phones import new_state
from sim_adapter.vsim.state import DEFAULT_PIN, CardState, MemoryStore
from sim_adapter.vsim.toolkit import Act, Proactive, Result, TerminalResponse
from tests.support.sim_messages import CODE, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_adapter.ota.packet import Response
    from sim_adapter.ota.spi import SecurityParameters
    from sim_adapter.vsim.state import StateStore

RECORD = CardIssuer(bytes(32)).card("84900000000")
PIN = "246813"
NOW = dt.datetime(2026, 3, 5, 14, 7, 9, tzinfo=dt.timezone(dt.timedelta(hours=7)))
SENT = int(NOW.timestamp())
NOT_AFTER = SENT + 120


class PowerLoss(Exception):
    """The power is gone in the middle of something."""


class DyingStore(MemoryStore):
    """Loses power at the ``dies_at``-th save: after it was durable, before anything else."""

    def __init__(self) -> None:
        super().__init__()
        self.saves = 0
        self.dies_at = 0

    def save(self, state: CardState) -> None:
        super().save(state)
        self.saves += 1
        if self.saves == self.dies_at:
            raise PowerLoss


def sign_request(number: int = 1, **other: object) -> SignRequest:
    request = SignRequest(number.to_bytes(16, "big"), Mode.TEXT, NOT_AFTER, SENT, TEXT, CODE)
    return replace(request, **other)  # type: ignore[arg-type]  # fields by name


def enrol_request(
    number: int = 999, *, replaces: bool = False, modes: tuple[Mode, ...] = tuple(Mode)
) -> EnrolRequest:
    return EnrolRequest(
        number.to_bytes(16, "big"),
        NOT_AFTER,
        SENT,
        CODE,
        "Sở Nội vụ",
        "C" * 26,
        bytes(32),
        KeyAlgorithm.P256,
        replaces,
        modes,
    )


class Bench:
    """The card, and what a person would press: ``press`` gets each command and gives the answer."""

    def __init__(self, store: StateStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.counter = 0
        self.reference = 0
        self.pages: list[str] = []
        self.sent: list[Submit] = []
        self.press: Callable[[Proactive], TerminalResponse] = self.approve
        self.now = NOW
        self.power_up()

    def power_up(self) -> None:
        """Power off and on: what is not stored is gone."""
        self.card = Card(RECORD, self.store, lambda: new_state(RECORD), now=lambda: 0.0)
        self.answers: list[Answer] = []
        self._phone_side = Reassembler()

    def state(self) -> CardState:
        """What the card has stored."""
        state = self.store.load()
        assert state is not None
        return state

    def send(self, command: Command) -> tuple[bytes, int]:
        return split_answer(self.card.exchange(command.encode()))

    def push(self, user_data: bytes) -> tuple[bytes, int]:
        """One short message for the card: data of the delivery report and the last status word."""
        tpdu = Deliver("9484", user_data, self.now).encode()
        data, word = self.send(Command(0x80, Ins.ENVELOPE, data=toolkit.envelope(tpdu)))
        if word & 0xFF00 == 0x6100:
            data, word = self.send(Command(0x00, Ins.GET_RESPONSE, expected=word & 0xFF))
        return data, word

    def push_packet(
        self, octets: bytes, reference: int | None = None
    ) -> tuple[Response | None, int]:
        """A command packet, divided as needed; the proof of receipt and the last status word."""
        self.counter_of_references = getattr(self, "counter_of_references", 0) + 1
        reference = reference or self.counter_of_references
        data, word = b"", 0x9000
        for user_data in split(PacketKind.COMMAND, octets, reference):
            data, word = self.push(user_data)
        if not data:
            return None, word
        assert data[:3] == bytes.fromhex("027100")
        return packet.open_response(data[3:], spi.COMMAND, RECORD.command_keys), word

    def seal(
        self,
        message: bytes,
        counter: int | None = None,
        parameters: SecurityParameters = spi.COMMAND,
        tar: bytes = RECORD.tar,
    ) -> bytes:
        if counter is None:
            self.counter += 1
            counter = self.counter
        return packet.seal_command(parameters, RECORD.command_keys, tar, counter, message)

    def order(self, request: Request, counter: int | None = None) -> Answer:
        """Send a request and give the answer inside the proof of receipt."""
        response, self.word = self.push_packet(self.seal(request.encode(), counter))
        assert response is not None
        assert response.is_proven
        return parse_answer(response.data)

    def run(self, word: int | None = None) -> list[Answer]:
        """Fetch and answer until the card wants nothing more; the answers that it sent."""
        word = self.word if word is None else word
        before = len(self.answers)
        while word & 0xFF00 == 0x9100:
            word = self.step(word)
        assert word == 0x9000
        return self.answers[before:]

    def step(self, word: int) -> int:
        """One proactive command; the status word of its terminal response."""
        octets, fetched = self.send(Command(0x80, Ins.FETCH, expected=word & 0xFF))
        assert fetched == 0x9000
        command = Proactive.parse(octets)
        response = self.press(command)
        return self.send(Command(0x80, Ins.TERMINAL_RESPONSE, data=response.encode()))[1]

    def approve(self, command: Proactive) -> TerminalResponse:
        """What a willing person and a good handset answer."""
        done = TerminalResponse(command.number, command.act, command.qualifier, Result.OK)
        if command.act is Act.LOCAL_INFORMATION:
            return replace(done, time=encode_time(self.now))
        if command.act is Act.SEND_SHORT_MESSAGE:
            self.take(Submit.parse(command.tpdu))
            return done
        self.pages.append(command.text)
        if command.act is Act.GET_INPUT:
            return replace(done, text=DEFAULT_PIN if "hiện tại" in command.text else PIN)
        return done

    def take(self, submit: Submit) -> None:
        """A short message of the card, as the gateway opens it."""
        self.sent.append(submit)
        whole = self._phone_side.add("card", submit.user_data, 0.0)
        if whole is None or whole.kind is PacketKind.RESPONSE:
            return
        command = packet.parse_command(whole.octets)
        assert command.parameters.is_strong
        opened = packet.open_command(command, RECORD.response_keys)
        self.answers.append(parse_answer(opened.data))

    def enrolled(self, *modes: Mode) -> Bench:
        """This bench, with a key for ``modes`` (none: for all) and a PIN that was chosen."""
        self.order(enrol_request(modes=modes or tuple(Mode)))
        self.run()
        self.pages.clear()
        return self
