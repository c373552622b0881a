"""A UICC on the level of octets: APDUs in, data and status words out, nothing else.

What a handset does with a real card works here: select, status, terminal profile, envelopes with
short messages, fetch, terminal response, PIN change and unblocking. Anything that cannot be read is
a status word, never an exception. There is no command that gives a private key or a PIN.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from sim_adapter.ota.errors import OtaError
from sim_adapter.ota.messages import Accepted as AnswerAccepted
from sim_adapter.ota.messages import encode_answer
from sim_adapter.ota.segments import PacketKind, Reassembler, split
from sim_adapter.ota.tpdu import Deliver, Submit
from sim_adapter.vsim import toolkit
from sim_adapter.vsim.apdu import Command, Ins, Word, answer
from sim_adapter.vsim.applet import Applet
from sim_adapter.vsim.ota_security import OtaSecurity, Refused, is_proof_secured
from sim_adapter.vsim.pins import is_acceptable
from sim_adapter.vsim.toolkit import Act, Proactive, Result, TerminalResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_adapter.ota.keysets import CardRecord
    from sim_adapter.vsim.applet import Dialogue
    from sim_adapter.vsim.state import CardState, StateStore

_SIGNING_PIN = 0x81
_PIN_OCTETS = 8
_CLASSES = {0x00, 0x80}
_FILES = {bytes.fromhex("3f00"): b"\x3f\x00", bytes.fromhex("7fff"): b"\x7f\xff"}
_USIM = bytes.fromhex("a0000000871002")
_SEND_TRIES = 2
_LAST_NUMBER = 0xFE


class Card:
    """``record`` are the keys it was personalised with; ``new`` is its memory on the first day."""

    def __init__(
        self,
        record: CardRecord,
        store: StateStore,
        new: Callable[[], CardState],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        loaded = store.load()
        state = loaded or new()
        if loaded is None:
            store.save(state)

        def save() -> None:
            store.save(state)

        self._state = state
        self._security = OtaSecurity(record, state, save)
        self._applet = Applet(state, save)
        self._reassembler = Reassembler(most=8)
        self._outbox: deque[tuple[bytes, int]] = deque()  # TPDU, tries left
        self._dialogue: Dialogue | None = None
        self._dialogue_next: Proactive | None = None
        self._originator = ""
        self._waiting: Proactive | None = None  # to be fetched
        self._fetched: Proactive | None = None  # to be answered by a terminal response
        self._number = 0
        self._reference = state.answer_counter  # goes on from there, also over a power loss
        self._data = b""  # for GET RESPONSE

    def exchange(self, apdu: bytes) -> bytes:
        """Carry out one command APDU; data and status word."""
        try:
            command = Command.parse(apdu)
        except OtaError:
            return answer(Word.WRONG_LENGTH)
        if command.cla not in _CLASSES:
            return answer(Word.UNKNOWN_CLA)
        handler = self._HANDLERS.get(command.ins)
        if handler is None:
            return answer(Word.UNKNOWN_INS)
        try:
            return handler(self, command)
        except OtaError:
            return answer(Word.WRONG_DATA)

    def _select(self, command: Command) -> bytes:
        is_usim = command.p1 == 0x04 and command.data[: len(_USIM)] == _USIM  # noqa: PLR2004 - by name
        if not is_usim and command.data not in _FILES:
            return answer(Word.NOT_FOUND)
        return answer(self._ok())

    def _status(self, _command: Command) -> bytes:
        return answer(self._ok())

    def _terminal_profile(self, _command: Command) -> bytes:
        return answer(self._ok())

    def _get_response(self, command: Command) -> bytes:
        data, self._data = self._data, b""
        if not data or command.expected not in {0, len(data)}:
            return answer(Word.WRONG_LENGTH)
        return answer(self._ok(), data)

    def _envelope(self, command: Command) -> bytes:
        deliver = Deliver.parse(toolkit.parse_envelope(command.data))
        if not deliver.is_for_the_card or not deliver.has_header:
            return answer(Word.WRONG_DATA)
        whole = self._reassembler.add(deliver.originator, deliver.user_data, self._now())
        if whole is None:
            return answer(self._ok())
        if whole.kind is not PacketKind.COMMAND:
            return answer(Word.WRONG_DATA)
        self._data = self._take_packet(deliver.originator, whole.octets)
        return answer(Word.DATA + len(self._data)) if self._data else answer(self._ok())

    def _take_packet(self, originator: str, octets: bytes) -> bytes:
        """What goes into the delivery report."""
        opened = self._security.open(octets)
        if isinstance(opened, Refused):
            return self._report(originator, opened.report, is_submitted=opened.is_submitted)
        said, dialogue = self._applet.handle(opened.data)
        message = encode_answer(said)
        proof = self._security.prove(
            opened, message if is_proof_secured(opened.parameters) else b""
        )
        is_submitted = opened.parameters.is_proof_submitted
        if not is_proof_secured(opened.parameters) and not isinstance(said, AnswerAccepted):
            self._submit(originator, PacketKind.COMMAND, self._security.seal_answer(message))
        report = self._report(originator, proof, is_submitted=is_submitted)
        if dialogue is not None:
            self._dialogue, self._dialogue_next = dialogue, next(dialogue)
            self._originator = originator
        self._line_up()
        return report

    def _report(self, originator: str, proof: bytes, *, is_submitted: bool) -> bytes:
        if not proof:
            return b""
        if is_submitted:
            self._submit(originator, PacketKind.RESPONSE, proof)
            self._line_up()
            return b""
        return split(PacketKind.RESPONSE, proof, 0)[0]

    def _submit(self, destination: str, kind: PacketKind, octets: bytes) -> None:
        self._reference += 1
        for user_data in split(kind, octets, self._reference):
            self._outbox.append((Submit(destination, user_data).encode(), _SEND_TRIES))

    def _fetch(self, command: Command) -> bytes:
        if self._waiting is None:
            return answer(Word.CONDITIONS)
        octets = self._waiting.encode()
        if command.expected != len(octets):
            return answer(Word.WRONG_LENGTH)
        self._fetched, self._waiting = self._waiting, None
        return answer(Word.OK, octets)

    def _terminal_response(self, command: Command) -> bytes:
        response = TerminalResponse.parse(command.data)
        asked = self._fetched
        if asked is None or (response.number, response.act) != (asked.number, asked.act):
            return answer(Word.CONDITIONS)
        self._fetched = None
        if asked.act is Act.SEND_SHORT_MESSAGE:
            self._was_sent(response.result)
        else:
            self._step(response)
        self._line_up()
        return answer(self._ok())

    def _was_sent(self, result: int) -> None:
        tpdu, tries = self._outbox.popleft()
        if result >= Result.TERMINAL_BUSY and tries > 1:
            self._outbox.appendleft((tpdu, tries - 1))

    def _step(self, response: TerminalResponse) -> None:
        if self._dialogue is None:
            return
        try:
            self._dialogue_next = self._dialogue.send(response)
        except StopIteration as stop:
            self._dialogue = self._dialogue_next = None
            sealed = self._security.seal_answer(encode_answer(stop.value))
            self._submit(self._originator, PacketKind.COMMAND, sealed)

    def _line_up(self) -> None:
        """Choose the next proactive command, unless one is on its way."""
        if self._waiting is not None or self._fetched is not None:
            return
        chosen = toolkit.send(self._outbox[0][0]) if self._outbox else self._dialogue_next
        if chosen is not None:
            self._number = self._number % _LAST_NUMBER + 1
            self._waiting = toolkit.numbered(chosen, self._number)

    def _ok(self) -> int:
        return Word.OK if self._waiting is None else Word.PROACTIVE + len(self._waiting.encode())

    def _verify(self, command: Command) -> bytes:
        """The state of the signing PIN. It is entered into the applet's own dialogue only."""
        if command.p2 != _SIGNING_PIN or command.data:
            return answer(Word.WRONG_P1_P2)
        return answer(self._tries(self._state.pin_tries))

    def _change_pin(self, command: Command) -> bytes:
        old, new = _two_secrets(command)
        if not is_acceptable(new):
            return answer(Word.WRONG_DATA)
        if not self._applet.pins.verify(old):
            return answer(self._tries(self._state.pin_tries))
        self._applet.pins.change(new)
        return answer(self._ok())

    def _unblock_pin(self, command: Command) -> bytes:
        puk, new = _two_secrets(command)
        if not is_acceptable(new):
            return answer(Word.WRONG_DATA)
        if not self._applet.pins.unblock(puk, new):
            return answer(self._tries(self._state.puk_tries))
        return answer(self._ok())

    @staticmethod
    def _tries(left: int) -> int:
        return Word.TRIES_LEFT + left if left else Word.BLOCKED

    _HANDLERS: ClassVar[dict[int, Callable[[Card, Command], bytes]]] = {
        Ins.SELECT: _select,
        Ins.STATUS: _status,
        Ins.TERMINAL_PROFILE: _terminal_profile,
        Ins.GET_RESPONSE: _get_response,
        Ins.ENVELOPE: _envelope,
        Ins.FETCH: _fetch,
        Ins.TERMINAL_RESPONSE: _terminal_response,
        Ins.VERIFY: _verify,
        Ins.CHANGE_PIN: _change_pin,
        Ins.UNBLOCK_PIN: _unblock_pin,
    }


def _two_secrets(command: Command) -> tuple[str, str]:
    """Two values of eight octets each, filled up with FF (ETSI TS 102 221 cl. 11.1.10)."""
    if command.p2 != _SIGNING_PIN or len(command.data) != 2 * _PIN_OCTETS:
        raise OtaError("not a PIN command")
    halves = command.data[:_PIN_OCTETS], command.data[_PIN_OCTETS:]
    old, new = (half.rstrip(b"\xff").decode("ascii", "replace") for half in halves)
    return old, new
