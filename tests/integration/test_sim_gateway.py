"""From the gateway to the person and back: SMPP, short messages, APDUs, nothing left out."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sim_adapter.ota import packet, spi
from sim_adapter.ota.counters import CounterFile
from sim_adapter.ota.errors import LinkFault, TextUnfit
from sim_adapter.ota.esme import Esme, EsmeConfig
from sim_adapter.ota.gateway import Gateway
from sim_adapter.ota.keysets import CardIssuer
from sim_adapter.ota.messages import SignatureMade, encode_answer
from sim_adapter.ota.orders import (
    Cause,
    Enrolled,
    EnrolOrder,
    KeyAlgorithm,
    Mode,
    NotDone,
    Profile,
    Signed,
)
from sim_adapter.ota.segments import PacketKind, split
from sim_adapter.ota.smpp import ShortMessage
from sim_adapter.ota.structure import possession
from sim_adapter.vsim.numbers import BEHAVIOURS, Behaviour
from sim_adapter.vsim.persons import ScriptedPerson
from tests.support.sim_air import Air, air, soon, text_order
from tests.support.sim_messages import CODE, TEXT, consent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sim_adapter.ota.orders import SignOrder, SignOutcome


def in_the_air(folder: Path, work: Callable[[Air], Awaitable[None]]) -> None:
    async def run() -> None:
        async with air(folder) as found:
            await work(found)

    asyncio.run(run())


def verify(enrolled: Enrolled, signature: bytes, signed: bytes) -> None:
    """With ``cryptography`` alone, as the SAM would."""
    key = load_der_public_key(enrolled.public_key)
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), SHA256())
        return
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))


@pytest.mark.parametrize("algorithm", KeyAlgorithm, ids=lambda algorithm: algorithm.name)
def test_a_person_enrols_and_signs_in_every_mode(tmp_path: Path, algorithm: KeyAlgorithm) -> None:
    async def work(found: Air) -> None:
        card, enrolled = await found.enrolled(algorithm=algorithm)
        verify(enrolled, enrolled.proof, possession("C" * 26, bytes(32), enrolled.public_key))
        structure = consent("Ký Quyết định 12/QĐ-UBND, 13/QĐ-UBND và 14/QĐ-UBND")
        digest = hashlib.sha256(structure).digest()
        shown = "Ký Quyết định 12/QĐ-UBND, 13/QĐ-UBND và 14/QĐ-UBND"
        for order, signed in (
            (text_order(), TEXT.encode()),
            (text_order(mode=Mode.DIGEST, digest=digest), structure),
            (text_order(mode=Mode.STRUCTURE, structure=structure, text=shown), structure),
        ):
            outcome = await found.gateway.sign(card, order)
            assert isinstance(outcome, Signed)
            assert outcome.digest == hashlib.sha256(signed).digest()
            verify(enrolled, outcome.signature, signed)
            assert found.pages(card)[-3:-1] == [f"Sở Nội vụ\nMã xác nhận: {CODE}", order.text]

    in_the_air(tmp_path, work)


def test_a_text_beside_another_structure_is_refused_by_the_card(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        card, _ = await found.enrolled()
        for order in (
            text_order(mode=Mode.STRUCTURE, structure=consent(), text="Ký Quyết định 13"),
            text_order(mode=Mode.STRUCTURE, structure=b"no structure"),
        ):
            assert await found.gateway.sign(card, order) == NotDone(
                order.transaction_id, Cause.STRUCTURE_REFUSED
            )

    in_the_air(tmp_path, work)


async def signed_at(found: Air, number: str, order: SignOrder) -> SignOutcome:
    card = found.issuer.card(f"849000{number}42")
    if number != "404":
        await found.enrolled(card)
    return await found.gateway.sign(card, order)


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        ("000", None),
        ("002", None),
        ("003", None),
        ("004", None),
        ("007", Cause.CARD_REFUSED),
        ("208", Cause.NO_ANSWER),
        ("209", Cause.EXPIRED),
        ("401", Cause.REFUSED),
        ("402", Cause.PIN_BLOCKED),
        ("403", Cause.CARD_BLOCKED),
        ("404", Cause.NO_KEY),
    ],
)
def test_a_number_chooses_the_outcome(tmp_path: Path, number: str, cause: Cause | None) -> None:
    async def work(found: Air) -> None:
        order = text_order(2 if number == "209" else 10)
        outcome = await signed_at(found, number, order)
        if cause is None:
            assert isinstance(outcome, Signed)
        else:
            assert outcome == NotDone(order.transaction_id, cause)

    in_the_air(tmp_path, work)


def test_the_other_numbers_are_a_matter_of_time() -> None:
    """Tested below with shorter times: a slow person, and an answer after a cancellation."""
    tested = {*("000", "002", "003", "004", "007", "208", "209", "401", "402", "403", "404")}
    assert set(BEHAVIOURS) - tested == {"001", "005"}


def test_one_order_at_a_time(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=0.1, first_well=1))
        card, _ = await found.enrolled(found.phone(slow))
        orders = [text_order() for _ in range(5)]
        outcomes = await asyncio.gather(*(found.gateway.sign(card, order) for order in orders))
        assert [type(outcome) for outcome in outcomes] == [Signed, *[NotDone] * 4]
        assert outcomes[1] == NotDone(orders[1].transaction_id, Cause.BUSY)
        assert found.pages(card).count(TEXT) == 1

    in_the_air(tmp_path, work)


def test_a_cancelled_order_ends_at_once_and_the_card_does_not_sign(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=0.2, first_well=1))
        card, _ = await found.enrolled(found.phone(slow))
        order = text_order()
        waiting = asyncio.ensure_future(found.gateway.sign(card, order))
        await asyncio.sleep(0.1)
        assert await found.gateway.cancel(order.transaction_id)
        assert not await found.gateway.cancel(order.transaction_id)
        assert await waiting == NotDone(order.transaction_id, Cause.CANCELLED)
        await found.phones.idle()
        assert found.pages(card)[-1] == f"Sở Nội vụ\nMã xác nhận: {CODE}"  # no PIN was asked for
        assert isinstance(await found.gateway.sign(card, text_order()), Signed)

    in_the_air(tmp_path, work)


def test_an_answer_after_a_cancellation_counts_for_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(found: Air) -> None:
        deaf = Behaviour(person=lambda: ScriptedPerson(delay=0.1, first_well=1), hears=1)
        card, _ = await found.enrolled(found.phone(deaf))
        order = text_order()
        waiting = asyncio.ensure_future(found.gateway.sign(card, order))
        await asyncio.sleep(0.05)
        await found.gateway.cancel(order.transaction_id)
        assert await waiting == NotDone(order.transaction_id, Cause.CANCELLED)
        await found.phones.idle()
        await asyncio.sleep(0.1)
        assert found.gateway.late == 1

    with caplog.at_level(logging.WARNING):
        in_the_air(tmp_path, work)
    assert "after its order's end" in caplog.text


@pytest.mark.parametrize("delay", [0.0, 0.5], ids=["has finished", "is being asked"])
def test_a_lost_proof_of_receipt_costs_nothing(tmp_path: Path, delay: float) -> None:
    """The order goes out again; the person is asked once, and the first answer counts."""

    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=delay, first_well=1))
        card, _ = await found.enrolled(found.phone(slow))
        taken = found.esme._deliver  # noqa: SLF001 - the place where a delivery can be lost
        held: list[ShortMessage] = []
        lost: list[ShortMessage] = []

        def lossy(message: ShortMessage) -> None:
            if message.user_data[:3] == bytes.fromhex("027100") and not lost:
                lost.append(message)
            elif message.user_data[:3] == bytes.fromhex("027000"):
                held.append(message)  # the answer waits until the order was sent again
            else:
                taken(message)

        found.esme._deliver = lossy  # noqa: SLF001 - as above
        waiting = asyncio.ensure_future(found.gateway.sign(card, text_order()))
        await asyncio.sleep(1.9)
        assert not waiting.done()
        assert found.pages(card).count(TEXT) == 1
        [answer] = held
        taken(answer)
        assert isinstance(await waiting, Signed)

    in_the_air(tmp_path, work)


def test_a_link_that_is_lost_while_a_person_reads_does_not_end_the_order(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=0.6, first_well=1))
        card, _ = await found.enrolled(found.phone(slow))
        taken = found.esme._deliver  # noqa: SLF001 - the place where a delivery can be lost
        found.esme._deliver = (  # noqa: SLF001 - as above
            lambda message: None if message.esm_class & 0x08 else taken(message)
        )
        waiting = asyncio.ensure_future(found.gateway.sign(card, text_order()))
        await asyncio.sleep(0.3)
        for session in list(found.centre._sessions):  # noqa: SLF001 - a cable is cut
            session.link.close()
        assert isinstance(await waiting, Signed)

    in_the_air(tmp_path, work)


def test_an_order_expires_and_what_comes_then_is_late(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=1.3, first_well=1))
        card, _ = await found.enrolled(found.phone(slow))
        order = text_order(1)
        assert await found.gateway.sign(card, order) == NotDone(order.transaction_id, Cause.EXPIRED)

    in_the_air(tmp_path, work)


def test_a_profile_is_told_without_the_person(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        card = found.phone()
        fresh = await found.gateway.profile(card)
        assert fresh == Profile(card.iccid, None, b"", 3, 10, pin_is_default=True)
        _, enrolled = await found.enrolled(card)
        pages = len(found.pages(card))
        profile = await found.gateway.profile(card)
        key_sha256 = hashlib.sha256(enrolled.public_key).digest()
        assert profile == Profile(
            card.iccid, KeyAlgorithm.P256, key_sha256, 3, 10, pin_is_default=False
        )
        assert len(found.pages(card)) == pages

    in_the_air(tmp_path, work)


def test_a_profile_is_told_while_the_person_is_being_asked(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=0.1, first_well=1))
        card, _ = await found.enrolled(found.phone(slow))
        waiting = asyncio.ensure_future(found.gateway.sign(card, text_order()))
        await asyncio.sleep(0.05)
        assert isinstance(await found.gateway.profile(card), Profile)
        assert not waiting.done()
        assert isinstance(await waiting, Signed)

    in_the_air(tmp_path, work)


def test_a_transaction_id_is_open_once(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=0.1, first_well=1))
        card, _ = await found.enrolled(found.phone(slow))
        other, _ = await found.enrolled()
        order = text_order()
        waiting = asyncio.ensure_future(found.gateway.sign(card, order))
        await asyncio.sleep(0.05)
        replayed = NotDone(order.transaction_id, Cause.REPLAYED)
        assert await found.gateway.sign(other, order) == replayed
        assert isinstance(await waiting, Signed)

    in_the_air(tmp_path, work)


def test_a_receipt_reaches_the_person_as_a_text_message(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        card = found.phone()
        for message in ("Da ky {12} @ 14:07", "Đã ký 12/QĐ-UBND lúc 14:07"):
            assert await found.gateway.notify(card, message)
        for message in ("a" * 161, "ế" * 71, "a\u202eb"):
            with pytest.raises(TextUnfit):
                await found.gateway.notify(card, message)
        assert not await found.gateway.notify(replace(card, msisdn="84911000000"), "Đã ký")
        await asyncio.sleep(0.1)
        inbox = found.phones.phone(card.msisdn).handset.inbox
        assert sorted(inbox) == ["Da ky {12} @ 14:07", "Đã ký 12/QĐ-UBND lúc 14:07"]

    in_the_air(tmp_path, work)


def test_a_number_that_nobody_has_is_unreachable(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        order = text_order()
        outcome = await found.gateway.sign(found.issuer.card("84911000000"), order)
        assert outcome == NotDone(order.transaction_id, Cause.UNREACHABLE)

    in_the_air(tmp_path, work)


def test_an_order_that_fits_into_no_eight_messages_is_too_long(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        order = text_order(mode=Mode.STRUCTURE, structure=b"x" * 1070)
        outcome = await found.gateway.sign(found.phone(), order)
        assert outcome == NotDone(order.transaction_id, Cause.TOO_LONG)

    in_the_air(tmp_path, work)


def test_a_lost_centre_is_found_again(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        card, _ = await found.enrolled()
        await found.centre.stop()
        await asyncio.sleep(0.05)
        assert not found.esme.is_bound
        order = text_order()
        outcome = await found.gateway.sign(card, order)
        assert outcome == NotDone(order.transaction_id, Cause.UNREACHABLE)
        assert not await found.gateway.notify(card, "Đã ký")
        await found.centre.start(port=found.port)
        async with asyncio.timeout(5):
            await found.esme.bound()
        assert isinstance(await found.gateway.sign(card, text_order()), Signed)

    in_the_air(tmp_path, work)


def test_a_wrong_password_does_not_bind(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        for system_id, password in (("ota", "wrong"), ("nobody", "geheim"), ("nobody", "")):
            config = EsmeConfig("127.0.0.1", found.port, system_id, password)
            with pytest.raises(LinkFault):
                await Esme(config, lambda _message: None).start(patience=0.3)

    in_the_air(tmp_path, work)


def test_a_gateway_that_is_refused_tries_again(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        accounts = found.centre._accounts  # noqa: SLF001 - the operator opens the account late
        esme = Esme(EsmeConfig("127.0.0.1", found.port, "late", "geheim"), lambda _message: None)
        starting = asyncio.ensure_future(esme.start(5))
        await asyncio.sleep(0.15)
        assert not esme.is_bound
        accounts["late"] = "geheim"
        await starting
        await esme.submit("84900000000", b"\x02\x70\x00", 1)
        await esme.stop()

    in_the_air(tmp_path, work)


# ------------------------------------------------------------------------------- bad deliveries
def forged(found: Air, order: SignOrder, how: str) -> list[bytes]:
    """User data that pretend to be the card's answer."""
    [number] = found.gateway._at  # noqa: SLF001 - whose order is open
    card, stranger = found.issuer.card(number), found.issuer.card(number, 1)
    made = encode_answer(SignatureMade(order.transaction_id, KeyAlgorithm.P256, bytes(64)))
    weak = spi.SecurityParameters.parse(b"\x12\x00")
    sealed = {
        "the card's own keys": packet.seal_command(
            spi.ANSWER, card.response_keys, card.tar, 2**20, made
        ),
        "another card": packet.seal_command(
            spi.ANSWER, stranger.response_keys, card.tar, 2**30, made
        ),
        "the gateway's own keys": packet.seal_command(
            spi.ANSWER, card.command_keys, card.tar, 2**30, made
        ),
        "no cipher": packet.seal_command(weak, card.response_keys, card.tar, 2**30, made),
        "another application": packet.seal_command(
            spi.ANSWER, card.response_keys, b"\0\0\0", 2**30, made
        ),
        "an old counter": packet.seal_command(spi.ANSWER, card.response_keys, card.tar, 1, made),
        "no message": packet.seal_command(spi.ANSWER, card.response_keys, card.tar, 2**20, b"x"),
        "no packet": b"\0\x01x",
    }
    return split(PacketKind.COMMAND, sealed[how], 99)


@pytest.mark.parametrize(
    "how",
    [
        "another card",
        "the gateway's own keys",
        "no cipher",
        "another application",
        "an old counter",
        "no message",
        "no packet",
    ],
)
def test_an_answer_that_is_not_the_cards_counts_for_nothing(tmp_path: Path, how: str) -> None:
    async def work(found: Air) -> None:
        ignoring = Behaviour(person=lambda: ScriptedPerson(delay=30, first_well=1))
        card, _ = await found.enrolled(found.phone(ignoring))
        order = text_order(1)
        waiting = asyncio.ensure_future(found.gateway.sign(card, order))
        await asyncio.sleep(0.2)
        for user_data in forged(found, order, how):
            found.gateway.take(ShortMessage(card.msisdn, "9484", user_data))
        assert await waiting == NotDone(order.transaction_id, Cause.EXPIRED)

    in_the_air(tmp_path, work)


def test_the_cards_own_keys_and_a_new_counter_are_what_counts(tmp_path: Path) -> None:
    """The counter-proof: the same pretence with the right keys would be believed."""

    async def work(found: Air) -> None:
        ignoring = Behaviour(person=lambda: ScriptedPerson(delay=30, first_well=1))
        card, _ = await found.enrolled(found.phone(ignoring))
        order = text_order()
        waiting = asyncio.ensure_future(found.gateway.sign(card, order))
        await asyncio.sleep(0.2)
        for user_data in forged(found, order, "the card's own keys"):
            found.gateway.take(ShortMessage(card.msisdn, "9484", user_data))
        assert isinstance(await waiting, Signed)

    in_the_air(tmp_path, work)


def test_an_unsecured_error_report_ends_nothing_that_the_card_took(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=0.3, first_well=1))
        card, _ = await found.enrolled(found.phone(slow))
        waiting = asyncio.ensure_future(found.gateway.sign(card, text_order()))
        await asyncio.sleep(0.1)
        for status in packet.ResponseStatus:
            bare = packet.bare_response(card.tar, status)
            [user_data] = split(PacketKind.RESPONSE, bare, 0)
            found.gateway.take(ShortMessage(card.msisdn, "9484", user_data))
        assert isinstance(await waiting, Signed)

    in_the_air(tmp_path, work)


def test_an_answer_of_nobody_that_was_asked_is_dropped(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        [user_data] = split(PacketKind.RESPONSE, bytes(20), 0)
        found.gateway.take(ShortMessage("84999999999", "9484", user_data))
        [user_data] = split(PacketKind.COMMAND, bytes(20), 0)
        found.gateway.take(ShortMessage("84999999999", "9484", user_data))
        assert found.gateway.late == 0

    in_the_air(tmp_path, work)


def test_no_time_is_left_for_an_order_of_yesterday(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        card, _ = await found.enrolled()
        order = replace(text_order(), not_after=soon(-60))
        outcome = await found.gateway.sign(card, order)
        assert outcome == NotDone(order.transaction_id, Cause.EXPIRED)

    in_the_air(tmp_path, work)


def test_a_gateway_without_a_centre_reaches_nobody(tmp_path: Path) -> None:
    async def work() -> None:
        counters = CounterFile(tmp_path / "counters")
        gateway, card = Gateway(counters), CardIssuer(bytes(32)).card("84900000000")
        order = text_order()
        unreachable = NotDone(order.transaction_id, Cause.UNREACHABLE)
        assert await gateway.sign(card, order) == unreachable
        assert not await gateway.notify(card, "Đã ký")
        counters.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    "answer",
    [
        Enrolled(b"", KeyAlgorithm.P256, "8984849000000000999", bytes(91), bytes(64)),
        SignatureMade(b"", KeyAlgorithm.P256, bytes(64)),
    ],
    ids=["another identity", "another question"],
)
def test_an_answer_that_does_not_fit_the_question_is_a_fault(
    tmp_path: Path, answer: Enrolled | SignatureMade
) -> None:
    """Even under the card's own keys: it would be a card that went mad, or the wrong record."""

    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=30))
        card = found.phone(slow)
        order = EnrolOrder(os.urandom(16), "Sở Nội vụ", "C", bytes(32), CODE, soon(10))
        waiting = asyncio.ensure_future(found.gateway.enrol(card, order))
        await asyncio.sleep(0.2)
        message = encode_answer(replace(answer, transaction_id=order.transaction_id))
        sealed = packet.seal_command(spi.ANSWER, card.response_keys, card.tar, 2**20, message)
        for user_data in split(PacketKind.COMMAND, sealed, 99):
            found.gateway.take(ShortMessage(card.msisdn, "9484", user_data))
        assert await waiting == NotDone(order.transaction_id, Cause.CARD_FAULT)

    in_the_air(tmp_path, work)


def test_old_acquaintances_are_forgotten(tmp_path: Path) -> None:
    async def work() -> None:
        now = 1000.0
        counters = CounterFile(tmp_path / "counters")
        gateway = Gateway(counters, now=lambda: now)
        issuer = CardIssuer(bytes(32))
        for number in range(3):
            await gateway.profile(issuer.card(f"8490000000{number}"))
            now += 600
        assert list(gateway._closed) == ["84900000001", "84900000002"]  # noqa: SLF001 - no other sign
        counters.close()

    asyncio.run(work())


def test_a_cancellation_that_does_not_leave_is_no_error(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        slow = Behaviour(person=lambda: ScriptedPerson(delay=0.3, first_well=1))
        card, _ = await found.enrolled(found.phone(slow))
        order = text_order()
        waiting = asyncio.ensure_future(found.gateway.sign(card, order))
        await asyncio.sleep(0.1)
        await found.esme.stop()
        assert await found.gateway.cancel(order.transaction_id)
        assert await waiting == NotDone(order.transaction_id, Cause.CANCELLED)
        await asyncio.sleep(0.01)

    in_the_air(tmp_path, work)
