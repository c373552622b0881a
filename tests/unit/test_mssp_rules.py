"""What the test MSSP takes and refuses, before any phone is asked. Its gateway is never reached."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Any

import httpx
import pytest

from remote_signing.clock import FixedClock, as_datetime
from sim_adapter.mss import codes, soap
from sim_adapter.mss.model import (
    FORMAT_PKCS1,
    MIME_BYTES,
    MIME_SHA256,
    Data,
    Fault,
    KeyOrder,
    Message,
    MssFault,
    ReceiptReq,
    RegistrationReq,
    SignatureReq,
    SignatureResp,
    StatusReq,
    StatusResp,
)
from sim_adapter.mssp.app import Notifier
from sim_adapter.mssp.server import Mssp, fault_of
from sim_adapter.mssp.signing import Wish, is_good, sign, understand
from sim_adapter.mssp.subscribers import Subscribers
from sim_adapter.ota.errors import TextUnfit
from sim_adapter.ota.keysets import CardIssuer
from sim_adapter.ota.orders import Cause, KeyAlgorithm, Mode, NotDone, Signed
from tests.support.asgi import call
from tests.support.mss_messages import HEAD, NUMBER, REQUESTS, SHOWN
from tests.support.sim_card import DER, Issuer, p256

REQUEST = REQUESTS["MSS_Signature"]
assert isinstance(REQUEST, SignatureReq)
SIGN = replace(REQUEST, profile=None, validity=None)


class NoPhones:
    """A gateway in front of nothing: every order ends the same way."""

    def __init__(self, cause: Cause | None = None) -> None:
        self.cause = cause

    async def sign(self, _card: object, order: Any) -> Any:
        return self._end(order.transaction_id)

    async def enrol(self, _card: object, order: Any) -> Any:
        return self._end(order.transaction_id)

    async def profile(self, _card: object, _patience: float = 30.0) -> Any:
        return self._end(b"")

    async def cancel(self, _transaction_id: bytes) -> bool:
        return False

    async def notify(self, _card: object, message: str) -> bool:
        if "\n" in message:
            raise TextUnfit("a line feed")
        return False

    def _end(self, transaction_id: bytes) -> NotDone:
        if self.cause is None:
            raise TextUnfit("a text of no use")
        return NotDone(transaction_id, self.cause)


def mssp(cause: Cause | None = Cause.REFUSED) -> Mssp:
    clock = FixedClock(int(HEAD.ap.instant.timestamp() * 1000))
    subscribers = Subscribers(CardIssuer(bytes(32)))
    found = Mssp(NoPhones(cause), subscribers, {"urn:example:ap": "pass-word"}, clock=clock)
    key = p256()
    subscribers.find(NUMBER).certificate = Issuer().issue(key).public_bytes(DER)
    return found


def ask(server: Mssp, message: Any) -> Any:
    """The answer, or the number of the fault. AP_TransID is a new one."""
    ap = replace(message.head.ap, trans_id=f"A{secrets.token_hex(6)}")
    fresh: Message = replace(message, head=replace(message.head, ap=ap))

    async def run() -> Any:
        try:
            return await server.answer(fresh)
        except MssFault as fault:
            return fault.code

    return asyncio.run(run())


BAD: dict[str, tuple[Any, int]] = {
    "another password": (
        replace(SIGN, head=replace(HEAD, ap=replace(HEAD.ap, password="x"))),
        codes.UNAUTHORIZED_ACCESS,
    ),
    "another version": (replace(SIGN, head=replace(HEAD, major=9)), codes.INCOMPATIBLE_INTERFACE),
    "an old instant": (
        replace(SIGN, head=replace(HEAD, ap=replace(HEAD.ap, instant=as_datetime(0)))),
        codes.WRONG_PARAM,
    ),
    "a validity that is over": (
        replace(SIGN, validity=as_datetime(0)),
        codes.EXPIRED_TRANSACTION,
    ),
    "a number of somebody else": (replace(SIGN, msisdn="4712345678"), codes.UNKNOWN_CLIENT),
    "an unknown MIME type": (
        replace(SIGN, dtbs=Data("AA==", "image/png", "base64")),
        codes.INAPPROPRIATE_DATA,
    ),
    "bytes that are not in base64": (
        replace(SIGN, dtbs=Data("AA==", MIME_BYTES, "hex")),
        codes.INAPPROPRIATE_DATA,
    ),
    "base64 that is none": (
        replace(SIGN, dtbs=Data("*", MIME_BYTES, "base64")),
        codes.INAPPROPRIATE_DATA,
    ),
    "a short digest": (
        replace(SIGN, dtbs=Data("AA==", MIME_SHA256, "base64")),
        codes.WRONG_DATA_LENGTH,
    ),
    "nothing to display": (replace(SIGN, dtbd=None), codes.MISSING_PARAM),
    "another profile": (replace(SIGN, profile="urn:other"), codes.UNSUPPORTED_PROFILE),
    "another form": (replace(SIGN, format="urn:other"), codes.INAPPROPRIATE_DATA),
    "no verification code": (replace(SIGN, services=()), codes.MISSING_PARAM),
    "no request": (REQUESTS["MSS_Notification"], codes.WRONG_PARAM),
    "an unknown transaction": (StatusReq(HEAD, "M404"), codes.WRONG_PARAM),
    "a short challenge": (
        RegistrationReq(HEAD, NUMBER, KeyOrder("c", b"short", "Bộ", "1234", 60)),
        codes.WRONG_DATA_LENGTH,
    ),
    "a certificate that is none": (
        RegistrationReq(HEAD, NUMBER, certificate=b"x"),
        codes.REGISTRATION_NOK,
    ),
    "a certificate of another key": (
        RegistrationReq(HEAD, NUMBER, certificate=Issuer().der),
        codes.REGISTRATION_NOK,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused_with_its_code(name: str) -> None:
    message, code = BAD[name]
    assert ask(mssp(), message) == code


@pytest.mark.parametrize("cause", list(Cause))
def test_every_end_of_an_order_has_a_code(cause: Cause) -> None:
    server = mssp(cause)
    synch = replace(SIGN, mode="synch")
    assert ask(server, synch) in codes.CODES
    assert ask(server, REQUESTS["MSS_ProfileQuery"]) in codes.CODES
    assert ask(server, REQUESTS["MSS_Registration"]) in codes.CODES


def test_a_text_that_no_phone_shows_is_inappropriate() -> None:
    server = mssp(None)
    assert ask(server, replace(SIGN, mode="synch")) == codes.INAPPROPRIATE_DATA
    assert ask(server, REQUESTS["MSS_Registration"]) == codes.INAPPROPRIATE_DATA


def test_a_suspended_subscriber_is_blocked() -> None:
    server = mssp()
    server.subscribers.find(NUMBER).is_suspended = True
    assert ask(server, SIGN) == codes.CARD_BLOCKED


def test_a_fault_of_our_own_is_an_internal_error() -> None:
    server = mssp()
    server.subscribers.find(NUMBER).certificate = b"no certificate"

    class Broken(NoPhones):
        async def sign(self, _card: object, _order: Any) -> Any:
            raise RuntimeError

    server._gateway = Broken()  # noqa: SLF001 - the shortest way to a broken gateway
    assert ask(server, replace(SIGN, mode="synch")) == codes.INTERNAL_ERROR


def test_receipts_are_for_the_number_of_the_transaction_and_for_phones_that_can() -> None:
    server = mssp()

    async def scene() -> list[int]:
        found = []
        ap = replace(HEAD.ap, trans_id="A1")
        answer = await server.answer(replace(SIGN, head=replace(HEAD, ap=ap)))
        assert isinstance(answer, SignatureResp)
        for at, (number, text) in enumerate(
            ((NUMBER, SHOWN.value), ("84900000002", "x"), (NUMBER, "a\nb"))
        ):
            head = replace(HEAD, ap=replace(HEAD.ap, trans_id=f"R{at}"))
            receipt = ReceiptReq(head, answer.trans_id, number, message=Data(text))
            try:
                await server.answer(receipt)
            except MssFault as fault:
                found.append(fault.code)
        await server.stop()
        return found

    assert asyncio.run(scene()) == [
        codes.OTA_ERROR,
        codes.WRONG_PARAM,
        codes.INAPPROPRIATE_DATA,
    ]


def test_another_provider_does_not_see_the_transaction() -> None:
    clock = FixedClock(int(HEAD.ap.instant.timestamp() * 1000))
    subscribers = Subscribers(CardIssuer(bytes(32)))
    passwords = {"urn:example:ap": "pass-word", "urn:other": "other"}
    server = Mssp(NoPhones(Cause.REFUSED), subscribers, passwords, clock=clock)

    async def scene() -> None:
        answer = await server.answer(SIGN)
        assert isinstance(answer, SignatureResp)
        ap = replace(HEAD.ap, ap_id="urn:other", password="other", trans_id="A2")
        with pytest.raises(MssFault) as caught:
            await server.answer(StatusReq(replace(HEAD, ap=ap), answer.trans_id))
        assert caught.value.code == codes.WRONG_PARAM
        await server.stop()

    asyncio.run(scene())


def test_a_fault_keeps_its_specifier() -> None:
    assert fault_of(MssFault(107, "why", 1016)) == Fault(107, "INAPPROPRIATE_DATA", "why", 1016)


def test_a_value_is_good_for_its_key_only() -> None:
    certificate = Issuer().issue(p256()).public_bytes(DER)
    signed = Signed(bytes(16), KeyAlgorithm.P256, bytes(32), b"\x01" * 64)
    assert not is_good(certificate, signed)


def test_without_a_certificate_nobody_is_asked() -> None:
    subscriber = Subscribers(CardIssuer(bytes(32))).find(NUMBER)
    wish = Wish(Mode.TEXT, "Ký", "4821", b"", 0, is_cms=False, is_attached=False)
    with pytest.raises(MssFault, match="422"):
        asyncio.run(sign(NoPhones(), subscriber, wish))


def test_bare_values_are_asked_for_by_name() -> None:
    assert understand(SIGN, 0).is_cms
    assert not understand(replace(SIGN, format=FORMAT_PKCS1), 0).is_cms


@pytest.mark.parametrize("answers", [[500, 503, 200], [500, 500, 500, 500]])
def test_a_notification_is_repeated_until_it_is_taken(answers: list[int]) -> None:
    told: list[bytes] = []
    taken = soap.write_answer("MSS_Notification", REQUESTS["MSS_Receipt"])

    def receiver(request: httpx.Request) -> httpx.Response:
        told.append(request.content)
        status = answers[len(told) - 1]
        return httpx.Response(status, content=taken if status == 200 else b"away")

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(receiver)) as client:
            message = REQUESTS["MSS_Notification"]
            assert isinstance(message, StatusResp)
            await Notifier(client, pause=0).tell("http://ap.example", message)

    asyncio.run(run())
    assert len(told) == len(answers)
    assert len(set(told)) == 1


def test_a_tool_kit_that_qualifies_nothing_is_served_behind_the_switch() -> None:
    import re  # noqa: PLC0415 - of this test alone

    from sim_adapter.mssp.app import create_app  # noqa: PLC0415 - of this test alone

    body = re.sub(rb"(</?)(?:mss|fi):", rb"\1", soap.write_request(SIGN))
    headers = {"Content-Type": "text/xml"}
    path = "/soap/services/MSS_SignaturePort"
    strict = call(create_app(mssp()), "POST", path, content=body, headers=headers)
    assert (strict.status_code, b"_101" in strict.content) == (500, True)
    lenient = create_app(mssp(), unqualified=True)
    assert call(lenient, "POST", path, content=body, headers=headers).status_code == 200
