"""The operations of TS 102 204, whatever wire they came over."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sim_adapter.clock import Clock, SystemClock, as_datetime
from sim_adapter.mss import codes
from sim_adapter.mss.model import (
    Answer,
    Fault,
    Head,
    Message,
    MssFault,
    MsspInfo,
    ProfileReq,
    ProfileResp,
    ReceiptReq,
    ReceiptResp,
    RegistrationReq,
    RegistrationResp,
    Signature,
    SignatureReq,
    SignatureResp,
    Status,
    StatusReq,
    StatusResp,
)
from sim_adapter.mssp import canned, signing
from sim_adapter.mssp.registering import enrol, profile_of
from sim_adapter.ota.errors import TextUnfit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import TypeAlias

    from sim_adapter.mssp.subscribers import Subscribers
    from sim_adapter.ota.gateway_port import SimGateway

    Work: TypeAlias = Callable[[], Awaitable[tuple[int, Signature | None]]]

_log = logging.getLogger(__name__)
_LONGEST = 600  # seconds
_OFF = 300  # seconds that an AP's clock may be off
_MAJOR_VERSIONS = (1, 2)
_REMEMBERED = 100_000


@dataclass(slots=True)
class Transaction:
    """One signature request and what became of it; ``end`` None while the phone is at it."""

    request: SignatureReq
    trans_id: str
    end: tuple[int, Signature | None] | MssFault | None = None


class Mssp:
    """``aps`` are the application providers' ids and passwords; mutual TLS is the proxy's."""

    def __init__(
        self,
        gateway: SimGateway,
        subscribers: Subscribers,
        aps: Mapping[str, str],
        *,
        uri: str = "urn:remote-signing:test-mssp",
        clock: Clock | None = None,
    ) -> None:
        self._gateway = gateway
        self.subscribers = subscribers
        self._aps = aps
        self._uri = uri
        self._clock = clock or SystemClock()
        self.transactions: dict[str, Transaction] = {}
        self._seen: dict[tuple[str, str], None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.push: Callable[[str, StatusResp], Awaitable[None]] | None = None

    async def answer(self, message: Message) -> Answer:
        """The answer to a request; ``MssFault`` in its place."""
        self._admit(message.head)
        match message:
            case SignatureReq():
                return await self._signature(message)
            case StatusReq():
                return self._status(message)
            case ReceiptReq():
                return await self._receipt(message)
            case ProfileReq():
                return await self._profile(message)
            case RegistrationReq():
                return await self._registration(message)
            case _:
                raise MssFault(codes.WRONG_PARAM, "no request")

    async def stop(self) -> None:
        """End what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _admit(self, head: Head) -> None:
        ap = head.ap
        password = self._aps.get(ap.ap_id)
        if password is None or not hmac.compare_digest(password.encode(), ap.password.encode()):
            raise MssFault(codes.UNAUTHORIZED_ACCESS, "AP_ID or AP_PWD")
        if head.major not in _MAJOR_VERSIONS:
            raise MssFault(codes.INCOMPATIBLE_INTERFACE, "MajorVersion")
        now = self._clock.now_ms() / 1000
        if abs(ap.instant.timestamp() - now) > _OFF:
            raise MssFault(codes.WRONG_PARAM, "Instant is off")
        if (ap.ap_id, ap.trans_id) in self._seen:
            raise MssFault(codes.WRONG_PARAM, "AP_TransID was used before")
        self._seen[ap.ap_id, ap.trans_id] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _head(self, asked: Head) -> Head:
        """AP_Info comes back as it was, without the password."""
        ap = asked.ap
        copied = type(ap)(ap.ap_id, ap.trans_id, "not-needed", ap.instant)
        mine = MsspInfo(self._uri, as_datetime(self._clock.now_ms()))
        return Head(copied, mine, asked.major, asked.minor)

    async def _signature(self, request: SignatureReq) -> SignatureResp:
        trans_id = "M" + secrets.token_hex(13)
        transaction = Transaction(request, trans_id)
        work = self._prepare(request)
        self._remember(transaction)
        if request.mode == "synch":
            await self._run(transaction, work)
            code, signature = _end(transaction)
            return self._signature_resp(transaction, code, signature)
        task = asyncio.create_task(self._run(transaction, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return self._signature_resp(transaction, codes.REQUEST_OK, None)

    def _prepare(self, request: SignatureReq) -> Work:
        """What will be done, checked as far as it can be before anybody is asked."""
        found = canned.answer(request.msisdn)
        if found is not None:
            return partial(_already, *found)
        subscriber = self.subscribers.find(request.msisdn)
        now = self._clock.now_ms() // 1000
        not_after = now + min(request.timeout or _LONGEST, _LONGEST)
        if request.validity is not None:
            not_after = min(not_after, int(request.validity.timestamp()))
        if not_after <= now:
            raise MssFault(codes.EXPIRED_TRANSACTION, "ValidityDate")
        wish = signing.understand(request, not_after)
        return partial(signing.sign, self._gateway, subscriber, wish)

    def _remember(self, transaction: Transaction) -> None:
        self.transactions[transaction.trans_id] = transaction
        if len(self.transactions) > _REMEMBERED:
            del self.transactions[next(iter(self.transactions))]

    async def _run(self, transaction: Transaction, work: Work) -> None:
        try:
            transaction.end = await work()
        except MssFault as fault:
            transaction.end = fault
        except Exception:  # noqa: BLE001 - a fault of ours is a fault that the standard knows
            _log.exception("unforeseen")
            transaction.end = MssFault(codes.INTERNAL_ERROR)
        await self._tell(transaction)

    async def _tell(self, transaction: Transaction) -> None:
        """Call the application provider, where that is what it asked for."""
        request, url = transaction.request, transaction.request.head.ap.url
        if request.mode == "asynchServerServer" and url is not None and self.push is not None:
            told = self._status_resp(transaction, request.head, is_told=True)
            await self.push(url, told)

    def _signature_resp(
        self, transaction: Transaction, code: int, signature: Signature | None
    ) -> SignatureResp:
        request = transaction.request
        return SignatureResp(
            self._head(request.head),
            transaction.trans_id,
            request.msisdn,
            _named(code),
            signature,
            request.profile or signing.PROFILE,
        )

    def _status(self, request: StatusReq) -> StatusResp:
        transaction = self._known(request.trans_id, request.head)
        if transaction.end is None:
            return StatusResp(
                self._head(request.head),
                transaction.request.msisdn,
                _named(codes.OUTSTANDING_TRANSACTION),
            )
        _end(transaction)
        return self._status_resp(transaction, request.head, is_told=False)

    def _status_resp(self, transaction: Transaction, head: Head, *, is_told: bool) -> StatusResp:
        """A fault has no place in a notification, so there its number is the status."""
        end = transaction.end
        code, signature = (end.code, None) if isinstance(end, MssFault) else _end(transaction)
        trans_id = transaction.trans_id if is_told else None
        number = transaction.request.msisdn
        return StatusResp(self._head(head), number, _named(code), signature, trans_id)

    def _known(self, trans_id: str, head: Head) -> Transaction:
        """Somebody else's transaction is as unknown as none."""
        found = self.transactions.get(trans_id)
        if found is None or found.request.head.ap.ap_id != head.ap.ap_id:
            raise MssFault(codes.WRONG_PARAM, "MSSP_TransID is unknown")
        return found

    async def _receipt(self, request: ReceiptReq) -> ReceiptResp:
        """Shown on the phone as an ordinary short message; code 209 when nobody takes it."""
        transaction = self._known(request.trans_id, request.head)
        if transaction.request.msisdn != request.msisdn:
            raise MssFault(codes.WRONG_PARAM, "MSISDN of another transaction")
        if request.message is not None:
            card = self.subscribers.find(request.msisdn).card
            try:
                is_taken = await self._gateway.notify(card, request.message.value)
            except TextUnfit as error:
                raise MssFault(codes.INAPPROPRIATE_DATA, str(error)) from None
            if not is_taken:
                raise MssFault(codes.OTA_ERROR, "the message centre does not take it")
        return ReceiptResp(self._head(request.head), _named(codes.REQUEST_OK))

    async def _profile(self, request: ProfileReq) -> ProfileResp:
        subscriber = self.subscribers.find(request.msisdn)
        found = await profile_of(self._gateway, subscriber, self.subscribers.network)
        row = codes.CODES[codes.REQUEST_OK]
        status = Status(row.number, row.name, profile=found)
        return ProfileResp(self._head(request.head), signing.PROFILES, status)

    async def _registration(self, request: RegistrationReq) -> RegistrationResp:
        subscriber = self.subscribers.find(request.msisdn)
        row = codes.CODES[codes.REGISTRATION_OK]
        if request.order is None:
            self.subscribers.take_certificate(subscriber, request.certificate or b"")
            return RegistrationResp(self._head(request.head), Status(row.number, row.name))
        now = self._clock.now_ms() // 1000
        key, possession = await enrol(self._gateway, subscriber, request.order, now)
        self.subscribers.take_key(subscriber, key)
        status = Status(row.number, row.name, possession=possession)
        return RegistrationResp(self._head(request.head), status, key)


def fault_of(error: MssFault) -> Fault:
    """The fault on the wire."""
    name = codes.meaning_of(error.code).name
    return Fault(error.code, name, error.detail, error.specifier)


def _named(code: int) -> Status:
    return Status(code, codes.meaning_of(code).name)


def _end(transaction: Transaction) -> tuple[int, Signature | None]:
    end = transaction.end
    if isinstance(end, MssFault):
        raise end
    if end is None:
        raise MssFault(codes.INTERNAL_ERROR)
    return end


async def _already(code: int, signature: Signature | None) -> tuple[int, Signature | None]:
    return code, signature
