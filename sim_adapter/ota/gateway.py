"""Orders for cards over SMPP: :class:`~sim_adapter.ota.gateway_port.SimGateway` in earnest.

An order becomes one message in a secured packet, one or more short messages, and an entry in the
table of open orders. It ends once: whoever sets the outcome first decides (the card, the deadline,
``cancel``, the network). Only a packet with the card's own keys and a counter that rises can make a
result; the counter is on disk before the result is looked at. An unsecured error report is but a
hint: it ends an order only if nothing better comes within a short time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, assert_never

from sim_adapter.ota import packet, spi, text
from sim_adapter.ota.errors import (
    CounterRefused,
    LinkFault,
    Malformed,
    OtaError,
    SegmentRefused,
    TextUnfit,
)
from sim_adapter.ota.gateway_port import SimGateway
from sim_adapter.ota.messages import (
    Accepted,
    Answer,
    CancelRequest,
    EnrolRequest,
    Profiled,
    ProfileRequest,
    Request,
    SignatureMade,
    SignRequest,
    parse_answer,
)
from sim_adapter.ota.orders import (
    TRANSACTION_ID_OCTETS,
    Cause,
    Enrolled,
    Mode,
    NotDone,
    Profile,
    Signed,
)
from sim_adapter.ota.segments import PacketKind, Reassembler, split
from sim_adapter.ota.structure import parse_consent
from sim_adapter.ota.tpdu import DCS_DEFAULT, DCS_UCS2, USER_DATA_OCTETS, USER_DATA_SEPTETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_adapter.ota.counters import CounterFile
    from sim_adapter.ota.esme import Esme
    from sim_adapter.ota.keysets import CardRecord
    from sim_adapter.ota.orders import (
        EnrolOrder,
        EnrolOutcome,
        ProfileOutcome,
        SignOrder,
        SignOutcome,
    )
    from sim_adapter.ota.smpp import ShortMessage

_log = logging.getLogger(__name__)
_HINT_STEPS = 10

Outcome = Signed | Enrolled | Profiled | NotDone
_T = TypeVar("_T", Signed, Enrolled, Profiled)


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Times in seconds."""

    hint_grace: float = 5.0  # between an unsecured error report and believing it
    resend_after: float = 20.0  # without a proof of receipt the order is sent once more
    late_grace: float = 2.0  # after the deadline, for an answer that is on its way
    remember_late: float = 900.0  # how long a late answer is still recognised, for the log


@dataclass(slots=True, eq=False)
class _Open:
    """One order that waits for its end."""

    card: CardRecord
    transaction_id: bytes
    outcome: asyncio.Future[Outcome]
    digest: bytes = b""
    is_received: bool = False  # the card has proven that it took the order
    is_sent_again: bool = False
    hint: asyncio.TimerHandle | None = None  # runs towards believing an unsecured refusal


class Gateway(SimGateway):
    """See :class:`~sim_adapter.ota.gateway_port.SimGateway`; ``take`` is for the SMPP side."""

    def __init__(
        self,
        counters: CounterFile,
        config: GatewayConfig | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._counters = counters
        self._config = config or GatewayConfig()
        self._now = now
        self._esme: Esme | None = None
        self._reassembler = Reassembler()
        self._open: dict[bytes, _Open] = {}  # by transaction id
        self._at: dict[str, list[_Open]] = {}  # the same by number
        self._busy: set[str] = set()  # numbers whose person is being asked
        self._closed: dict[str, tuple[CardRecord, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.late = 0  # answers that came after the end of their order; each is logged

    def use(self, esme: Esme) -> None:
        """Send through this connection, whose deliveries go to ``take``."""
        self._esme = esme

    async def sign(self, card: CardRecord, order: SignOrder) -> SignOutcome:
        """Ask the person at ``card`` for a signature, and wait. ``TextUnfit`` for a bad text."""
        is_shown = order.mode is Mode.STRUCTURE and _says_the_same(order)
        request = SignRequest(
            order.transaction_id,
            order.mode,
            order.not_after,
            int(self._now()),
            None if is_shown else order.text,
            None if is_shown else order.code,
            order.digest,
            order.structure,
        )
        found = await self._ask(card, request, _signed_digest(order))
        return _expect(found, Signed, order.transaction_id)

    async def enrol(self, card: CardRecord, order: EnrolOrder) -> EnrolOutcome:
        """Make a key pair inside ``card``, with the person's PIN, and wait for the public key."""
        request = EnrolRequest(
            order.transaction_id,
            order.not_after,
            int(self._now()),
            order.code,
            order.relying_party,
            order.credential_id,
            order.challenge,
            order.algorithm,
            order.replace,
            order.modes,
        )
        found = await self._ask(card, request)
        return _expect(found, Enrolled, order.transaction_id)

    async def profile(self, card: CardRecord, patience: float = 30.0) -> ProfileOutcome:
        """Ask the card about itself; ``patience`` in seconds. The person sees nothing."""
        request = ProfileRequest(secrets.token_bytes(TRANSACTION_ID_OCTETS))
        found = await self._run(card, request, self._now() + patience)
        return _profile_of(_expect(found, Profiled, request.transaction_id))

    async def cancel(self, transaction_id: bytes) -> bool:
        """Withdraw an open order: its awaited outcome is ``CANCELLED``. False if none is open."""
        entry = self._open.get(transaction_id)
        if entry is None or entry.outcome.done():
            return False
        _end(entry, NotDone(transaction_id, Cause.CANCELLED))
        self._spawn_cancel(entry.card, transaction_id)
        return True

    async def notify(self, card: CardRecord, message: str) -> bool:
        """Send the person an ordinary text message; ``TextUnfit`` beyond 160 or 70 units."""
        encoding, octets = text.encode(message)
        is_gsm7 = encoding is text.Encoding.GSM7
        if len(octets) > (USER_DATA_SEPTETS if is_gsm7 else USER_DATA_OCTETS):
            raise TextUnfit("longer than one short message")
        if self._esme is None:
            return False
        try:
            coding = DCS_DEFAULT if is_gsm7 else DCS_UCS2
            await self._esme.submit_text(card.msisdn, coding, octets)
        except LinkFault as error:
            _log.warning("a text message was not sent: %s", error)
            return False
        return True

    def take(self, message: ShortMessage) -> None:
        """A short message from the centre: a segment from a card, or something to ignore."""
        try:
            whole = self._reassembler.add(message.source, message.user_data, self._now())
            if whole is None:
                return
            if whole.kind is PacketKind.RESPONSE:
                self._take_response(message.source, whole.octets)
            else:
                self._take_answer(message.source, whole.octets)
        except OtaError as error:
            # Copies, strangers and broken packets: no answer, no hint to whoever sent them.
            _log.info("a message from a phone was dropped: %s", error)

    async def _ask(
        self, card: CardRecord, request: SignRequest | EnrolRequest, digest: bytes = b""
    ) -> Outcome:
        """An order that the person sees: one at a time for a number."""
        if card.msisdn in self._busy:
            return NotDone(request.transaction_id, Cause.BUSY)
        self._busy.add(card.msisdn)
        try:
            return await self._run(card, request, request.not_after, digest)
        finally:
            self._busy.discard(card.msisdn)

    async def _run(
        self, card: CardRecord, request: Request, deadline: float, digest: bytes = b""
    ) -> Outcome:
        transaction_id = request.transaction_id
        message = request.encode()
        if transaction_id in self._open:
            return NotDone(transaction_id, Cause.REPLAYED)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        entry = self._enter(_Open(card, transaction_id, future, digest))
        try:
            async with asyncio.timeout(max(0.0, deadline - self._now() + self._config.late_grace)):
                return await self._drive(entry, message, deadline)
        except TimeoutError:
            return NotDone(transaction_id, Cause.EXPIRED)
        except SegmentRefused:
            return NotDone(transaction_id, Cause.TOO_LONG)
        except (LinkFault, CounterRefused) as error:
            _log.warning("an order could not be sent: %s", error)
            return NotDone(transaction_id, Cause.UNREACHABLE)
        finally:
            self._leave(entry)

    async def _drive(self, entry: _Open, message: bytes, deadline: float) -> Outcome:
        await self._send(entry.card, message, deadline)
        done, _ = await asyncio.wait([entry.outcome], timeout=self._config.resend_after)
        if not done and not entry.is_received:
            entry.is_sent_again = True
            with contextlib.suppress(LinkFault):  # the first copy may have arrived all the same
                await self._send(entry.card, message, deadline)
        return await entry.outcome

    async def _send(self, card: CardRecord, message: bytes, deadline: float) -> None:
        counter = self._counters.reserve(f"{card.iccid}>")
        sealed = packet.seal_command(spi.COMMAND, card.command_keys, card.tar, counter, message)
        if self._esme is None:
            raise LinkFault("no connection to a message centre")
        validity = int(deadline - self._now())
        # The counter never goes back, so neither does a reference, also over a restart.
        for user_data in split(PacketKind.COMMAND, sealed, counter):
            await self._esme.submit(card.msisdn, user_data, validity)

    def _spawn_cancel(self, card: CardRecord, transaction_id: bytes) -> None:
        async def send() -> None:
            try:
                await self._send(card, CancelRequest(transaction_id).encode(), self._now() + 60)
            except (LinkFault, CounterRefused) as error:
                _log.info("a cancellation did not reach the network: %s", error)

        task = asyncio.get_running_loop().create_task(send())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _card(self, msisdn: str) -> CardRecord:
        """The card that was asked at this number, now or of late; ``Malformed`` if none was."""
        for entry in self._entries(msisdn):
            return entry.card
        if msisdn not in self._closed:
            raise Malformed("nobody waits for this number")
        return self._closed[msisdn][0]

    def _entries(self, msisdn: str) -> list[_Open]:
        return self._at.get(msisdn, [])

    def _take_response(self, msisdn: str, octets: bytes) -> None:
        card = self._card(msisdn)
        response = packet.open_response(octets, spi.COMMAND, card.command_keys)
        if response.tar != card.tar:
            raise Malformed("another application")
        if not response.is_proven:
            self._take_hint(msisdn, response.status)
        elif response.data:
            # An old proof may come again: only a message about an open transaction does anything.
            self._conclude(msisdn, parse_answer(response.data))

    def _take_hint(self, msisdn: str, status: packet.ResponseStatus) -> None:
        if status is packet.ResponseStatus.OK:
            return
        for entry in self._entries(msisdn):
            if entry.hint is None:
                self._wait_for_better(entry, _HINT_STEPS)

    def _wait_for_better(self, entry: _Open, steps: int) -> None:
        """Believe the refusal after ``steps``, unless the card proves that it took the order.

        In steps, so that a stall of this process is not taken for a silence of the card.
        """
        if entry.is_received:
            return
        if steps == 0:
            _end(entry, NotDone(entry.transaction_id, Cause.CARD_REFUSED))
            return
        pause = self._config.hint_grace / _HINT_STEPS
        later = asyncio.get_running_loop().call_later
        entry.hint = later(pause, self._wait_for_better, entry, steps - 1)

    def _take_answer(self, msisdn: str, octets: bytes) -> None:
        card = self._card(msisdn)
        command = packet.parse_command(octets)
        if not command.parameters.is_strong or command.tar != card.tar:
            raise Malformed("not an answer of the applet")
        opened = packet.open_command(command, card.response_keys)
        self._counters.accept(f"{card.iccid}<", opened.counter)
        answer = parse_answer(opened.data)
        if not self._conclude(msisdn, answer):
            self.late += 1
            _log.warning("an answer after its order's end: %s", answer.transaction_id.hex())

    def _conclude(self, msisdn: str, answer: Answer) -> bool:
        """End the order with its card's answer; False if no such order is open at this number."""
        entry = self._open.get(answer.transaction_id)
        if entry is None or entry.card.msisdn != msisdn or entry.outcome.done():
            return False
        match answer:
            case Accepted():
                entry.is_received = True
            case SignatureMade(transaction_id, algorithm, signature):
                _end(entry, Signed(transaction_id, algorithm, entry.digest, signature))
            case Enrolled() if answer.iccid != entry.card.iccid:
                _log.warning("a card of another identity answers: ...%s", answer.iccid[-4:])
                _end(entry, NotDone(entry.transaction_id, Cause.CARD_FAULT))
            case NotDone(cause=Cause.REPLAYED) if entry.is_sent_again:
                # The card had it the first time and has finished; its answer may be on the way.
                entry.is_received = True
            case Enrolled() | Profiled() | NotDone():
                _end(entry, answer)
            case _:
                assert_never(answer)
        return True

    def _enter(self, entry: _Open) -> _Open:
        self._open[entry.transaction_id] = entry
        self._at.setdefault(entry.card.msisdn, []).append(entry)
        return entry

    def _leave(self, entry: _Open) -> None:
        if entry.hint is not None:
            entry.hint.cancel()
        msisdn, now = entry.card.msisdn, self._now()
        del self._open[entry.transaction_id]
        self._at[msisdn].remove(entry)
        if not self._at[msisdn]:
            del self._at[msisdn]
        self._closed.pop(msisdn, None)
        self._closed[msisdn] = (entry.card, now)
        while next(iter(self._closed.values()))[1] < now - self._config.remember_late:
            del self._closed[next(iter(self._closed))]


def _end(entry: _Open, outcome: Outcome) -> None:
    if not entry.outcome.done():
        entry.outcome.set_result(outcome)


def _says_the_same(order: SignOrder) -> bool:
    """Whether the structure holds text and code, so that they need not travel beside it.

    If it says something else, or cannot be read, they do, and it is the card that refuses.
    """
    try:
        consent = parse_consent(order.structure)
    except (Malformed, TextUnfit):
        return False
    return (consent.text, consent.code) == (order.text, order.code)


def _signed_digest(order: SignOrder) -> bytes:
    if order.mode is Mode.DIGEST:
        return order.digest
    signed = order.structure if order.mode is Mode.STRUCTURE else order.text.encode("utf-8")
    return hashlib.sha256(signed).digest()


def _expect(found: Outcome, kind: type[_T], transaction_id: bytes) -> _T | NotDone:
    if isinstance(found, kind | NotDone):
        return found
    _log.warning("a card answers another question than was asked")
    return NotDone(transaction_id, Cause.CARD_FAULT)


def _profile_of(found: Profiled | NotDone) -> Profile | NotDone:
    return found.profile if isinstance(found, Profiled) else found
