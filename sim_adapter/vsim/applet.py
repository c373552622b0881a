"""The signing applet: takes a message, answers at once or begins a dialogue, signs what it showed.

It never signs without a dialogue and a PIN of its own. One transaction at a time; a transaction id
is remembered, durably, before anything is shown, so it can never be asked about again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sim_adapter.ota import text
from sim_adapter.ota.errors import Malformed, TextUnfit
from sim_adapter.ota.messages import (
    Accepted,
    Answer,
    CancelRequest,
    EnrolRequest,
    Profiled,
    ProfileRequest,
    SignatureMade,
    SignRequest,
    parse_request,
)
from sim_adapter.ota.orders import Cause, Enrolled, KeyAlgorithm, Mode, NotDone, Profile
from sim_adapter.ota.structure import parse_consent, possession
from sim_adapter.vsim.dialogue import CODE_WORDS, Stopped, check_time, prove_person, show
from sim_adapter.vsim.keypair import KeyPair
from sim_adapter.vsim.pins import Pins

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sim_adapter.vsim.state import CardState
    from sim_adapter.vsim.toolkit import Proactive, TerminalResponse

Dialogue: TypeAlias = "Generator[Proactive, TerminalResponse, Answer]"

_LONGEST_NAME = 40
_NOBODY = bytes(16)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a signature is about, checked: pages to show, digest to sign, last moment to do so."""

    text: str
    code: str
    digest: bytes
    not_after: int


class Applet:
    """``save`` makes ``state`` durable."""

    def __init__(self, state: CardState, save: Callable[[], None]) -> None:
        self._state = state
        self._save = save
        self.pins = Pins(state, save)
        self._keys = (
            KeyPair.from_memory(bytes.fromhex(state.private_key)) if state.private_key else None
        )
        self._active: SignRequest | EnrolRequest | None = None
        self._is_cancelled = False

    def handle(self, message: bytes) -> tuple[Answer, Dialogue | None]:
        """The answer that goes back at once, and the dialogue that begins with ``Accepted``."""
        try:
            request = parse_request(message)
        except Malformed:
            return NotDone(_NOBODY, Cause.NOT_UNDERSTOOD), None
        match request:
            case ProfileRequest(transaction_id):
                return Profiled(transaction_id, self._profile()), None
            case CancelRequest(transaction_id):
                return self._cancel(transaction_id), None
            case SignRequest() | EnrolRequest():
                return self._begin(request)

    def _begin(self, request: SignRequest | EnrolRequest) -> tuple[Answer, Dialogue | None]:
        transaction_id = request.transaction_id
        if request == self._active:  # sent again because the first answer was lost
            return Accepted(transaction_id), None
        try:
            self._check_begin(request)
            if isinstance(request, SignRequest):
                dialogue = self._sign(request, _checked(request), self._keys_for(request.mode))
            else:
                _check_name(request.relying_party)
                dialogue = self._enrol(request)
        except Stopped as stopped:
            return NotDone(transaction_id, stopped.cause), None
        self._state.remember(transaction_id)
        self._save()
        self._active, self._is_cancelled = request, False
        return Accepted(transaction_id), self._whole(transaction_id, dialogue)

    def _check_begin(self, request: SignRequest | EnrolRequest) -> None:
        is_enrolment = isinstance(request, EnrolRequest)
        facts = (
            (request.transaction_id.hex() in self._state.seen, Cause.REPLAYED),
            (self._active is not None, Cause.BUSY),
            (self.pins.is_dead, Cause.CARD_BLOCKED),
            (self.pins.is_blocked, Cause.PIN_BLOCKED),
            (request.sent > request.not_after, Cause.EXPIRED),
            (self._keys is not None and is_enrolment and not _replaces(request), Cause.KEY_EXISTS),
        )
        for is_so, cause in facts:
            if is_so:
                raise Stopped(cause)

    def _keys_for(self, mode: Mode) -> KeyPair:
        """The keys, if they may sign in ``mode``: that was chosen when they were made."""
        if self._keys is None:
            raise Stopped(Cause.NO_KEY)
        if mode not in self._state.modes:
            raise Stopped(Cause.NOT_UNDERSTOOD)
        return self._keys

    def _cancel(self, transaction_id: bytes) -> Answer:
        if self._active is not None and self._active.transaction_id == transaction_id:
            self._is_cancelled = True
        return NotDone(transaction_id, Cause.CANCELLED)

    def _profile(self) -> Profile:
        state = self._state
        algorithm = KeyAlgorithm(state.algorithm) if self._keys else None
        key_sha256 = hashlib.sha256(self._keys.public_key).digest() if self._keys else b""
        return Profile(
            state.iccid,
            algorithm,
            key_sha256,
            state.pin_tries,
            state.puk_tries,
            state.pin_is_default,
        )

    def _whole(self, transaction_id: bytes, dialogue: Dialogue) -> Dialogue:
        """``dialogue``, which a cancellation ends at the person's next press of a key."""
        try:
            response = yield next(dialogue)
            while True:
                self._go_on()
                response = yield dialogue.send(response)
        except StopIteration as stop:
            answer: Answer = stop.value
            return answer
        except Stopped as stopped:
            return NotDone(transaction_id, stopped.cause)
        finally:
            self._active = None

    def _go_on(self) -> None:
        if self._is_cancelled:
            raise Stopped(Cause.CANCELLED)

    def _sign(self, request: SignRequest, shown: _Shown, keys: KeyPair) -> Dialogue:
        yield from check_time(request.sent, shown.not_after)
        yield from show(f"{self._state.relying_party}\n{CODE_WORDS}: {shown.code}")
        yield from show(shown.text)
        yield from prove_person(self.pins, self._state)
        yield from check_time(request.sent, shown.not_after)
        self._go_on()
        signature = keys.sign(shown.digest)
        algorithm = KeyAlgorithm(self._state.algorithm)
        return SignatureMade(request.transaction_id, algorithm, signature)

    def _enrol(self, request: EnrolRequest) -> Dialogue:
        yield from check_time(request.sent, request.not_after)
        yield from show(f"{request.relying_party}\n{CODE_WORDS}: {request.code}")
        yield from show("Khóa ký hiện có sẽ bị xóa" if self._keys else "Tạo khóa ký số trên SIM?")
        yield from prove_person(self.pins, self._state)
        yield from check_time(request.sent, request.not_after)
        self._go_on()
        keys = KeyPair.generate(request.algorithm)
        state = self._state
        state.algorithm, state.private_key = request.algorithm, keys.sealable().hex()
        state.relying_party, state.modes = request.relying_party, list(request.modes)
        self._save()
        self._keys = keys
        proven = possession(request.credential_id, request.nonce, keys.public_key)
        return Enrolled(
            request.transaction_id,
            request.algorithm,
            state.iccid,
            keys.public_key,
            keys.sign(hashlib.sha256(proven).digest()),
        )


def _replaces(request: SignRequest | EnrolRequest) -> bool:
    return isinstance(request, EnrolRequest) and request.replace


def _check_name(name: str) -> None:
    try:
        text.check_showable(name)
    except TextUnfit:
        raise Stopped(Cause.TEXT_REFUSED) from None
    if len(name) > _LONGEST_NAME:
        raise Stopped(Cause.TEXT_REFUSED)


def _checked(request: SignRequest) -> _Shown:
    if request.mode is Mode.STRUCTURE:
        return _checked_structure(request)
    shown, code = request.text or "", request.code or ""
    try:
        text.encode(shown)
    except TextUnfit:
        raise Stopped(Cause.TEXT_REFUSED) from None
    is_text = request.mode is Mode.TEXT
    digest = hashlib.sha256(shown.encode("utf-8")).digest() if is_text else request.digest
    return _Shown(shown, code, digest, request.not_after)


def _checked_structure(request: SignRequest) -> _Shown:
    try:
        consent = parse_consent(request.structure)
    except TextUnfit:
        raise Stopped(Cause.TEXT_REFUSED) from None
    except Malformed:
        raise Stopped(Cause.STRUCTURE_REFUSED) from None
    beside = (request.text or consent.text, request.code or consent.code)
    if beside != (consent.text, consent.code):
        raise Stopped(Cause.STRUCTURE_REFUSED)
    digest = hashlib.sha256(request.structure).digest()
    not_after = min(request.not_after, consent.expires_ms // 1000)
    return _Shown(consent.text, consent.code, digest, not_after)
