"""Many consents through bad weather: exactly one evidence each, or none, and never a wrong one.

``REMOTE_SIGNING_DELIVERIES`` sets how many consents are asked for (10000 for the figure in the
report, some minutes); every short message then comes three times, each copy after its own delay.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sim_adapter.ota import packet, spi
from sim_adapter.ota.gateway import GatewayConfig
from sim_adapter.ota.messages import SignatureMade, encode_answer
from sim_adapter.ota.orders import Cause, KeyAlgorithm, Mode, Signed
from sim_adapter.ota.segments import PacketKind, split
from sim_adapter.ota.smpp import ShortMessage
from sim_adapter.ota.smsc import Weather
from tests.support.sim_air import Air, air, soon, text_order
from tests.support.sim_messages import consent

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from sim_adapter.ota.keysets import CardRecord
    from sim_adapter.ota.orders import Enrolled, SignOrder

CONSENTS = int(os.environ.get("REMOTE_SIGNING_DELIVERIES", "60"))
AT_A_TIME = 30
PATIENT = GatewayConfig(hint_grace=10, resend_after=30)


@dataclass
class Tally:
    """What came of it."""

    evidence: Counter[bytes] = field(default_factory=Counter)
    causes: Counter[Cause] = field(default_factory=Counter)
    bad_sent: int = 0
    bad_accepted: int = 0
    heard: list[ShortMessage] = field(default_factory=list)


def order_number(number: int) -> SignOrder:
    """Every other one is a structure, which takes several short messages."""
    shown = f"Ký văn bản số {number}"
    if number % 2:
        return text_order(60, text=shown)
    return text_order(60, text=shown, mode=Mode.STRUCTURE, structure=consent(shown))


def signed_by(order: SignOrder) -> bytes:
    return order.structure or order.text.encode()


def is_good(enrolled: Enrolled, outcome: Signed, signed: bytes) -> bool:
    key = load_der_public_key(enrolled.public_key)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(outcome.signature[at : at + 32], "big") for at in (0, 32))
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    return True


def disturb(found: Air, tally: Tally, card: CardRecord, transaction_id: bytes) -> None:
    """A forged answer about the open order, and two old ones again."""
    made = encode_answer(SignatureMade(transaction_id, KeyAlgorithm.P256, bytes(64)))
    stranger = found.issuer.card(card.msisdn, 7)
    sealed = packet.seal_command(spi.ANSWER, stranger.response_keys, card.tar, 2**39, made)
    [user_data] = split(PacketKind.COMMAND, sealed, 0)
    old = [one for one in tally.heard[-200:] if one.source == card.msisdn][:2]
    for message in (ShortMessage(card.msisdn, "9484", user_data), *old):
        tally.bad_sent += 1
        found.gateway.take(message)


async def consents_of(found: Air, tally: Tally, count: int) -> None:
    card, enrolled = await found.enrolled()
    for number in range(count):
        order = order_number(number)
        waiting = asyncio.ensure_future(found.gateway.sign(card, order))
        await asyncio.sleep(0.01)
        disturb(found, tally, card, order.transaction_id)
        outcome = await waiting
        if not isinstance(outcome, Signed):
            tally.causes[outcome.cause] += 1
            continue
        tally.evidence[outcome.transaction_id] += 1
        tally.bad_accepted += not is_good(enrolled, outcome, signed_by(order))
    pages = Counter(page for page in found.pages(card) if page.startswith("Ký văn bản số"))
    assert max(pages.values(), default=0) <= 1  # nobody was asked twice about one thing


async def storm(folder: Path, weather: Weather, consents: int, config: GatewayConfig) -> Tally:
    tally = Tally()
    async with air(folder, config=config) as found:
        take = found.esme._deliver  # noqa: SLF001 - an ear on the line

        def overheard(message: ShortMessage) -> None:
            tally.heard.append(message)
            take(message)

        found.esme._deliver = overheard  # noqa: SLF001 - as above
        found.centre.weather = weather
        shares = [len(range(at, consents, AT_A_TIME)) for at in range(min(AT_A_TIME, consents))]
        await asyncio.gather(*(consents_of(found, tally, share) for share in shares))
        await found.phones.idle()
    return tally


def test_tripled_and_reordered_deliveries_give_one_evidence_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weather = Weather(copies=3, longest_delay=0.08, chance=random.Random(1))  # noqa: S311 - weather
    began, burnt = time.monotonic(), time.process_time()
    tally = asyncio.run(storm(tmp_path, weather, CONSENTS, PATIENT))
    took = time.monotonic() - began
    with capsys.disabled():
        print(
            f"\n{CONSENTS} consents, {len(tally.heard)} deliveries to the gateway, "
            f"{tally.bad_sent} bad ones besides: {len(tally.evidence)} evidences, "
            f"{sum(tally.evidence.values()) - len(tally.evidence)} doubles, "
            f"{tally.bad_accepted} bad accepted, {took:.1f} s, "
            f"{1000 * (time.process_time() - burnt) / CONSENTS:.1f} ms CPU each"
        )
    assert tally.causes == Counter()
    assert len(tally.evidence) == CONSENTS
    assert set(tally.evidence.values()) == {1}
    assert tally.bad_accepted == 0


def test_losses_leave_one_evidence_or_none(tmp_path: Path) -> None:
    weather = Weather(loss=0.15, longest_delay=0.02, chance=random.Random(2))  # noqa: S311 - weather
    quick = GatewayConfig(hint_grace=0.5, resend_after=0.5, late_grace=0.2)

    async def lossy() -> Tally:
        tally = Tally()
        async with air(tmp_path, config=quick) as found:
            cards = [await found.enrolled() for _ in range(20)]
            found.centre.weather = weather
            orders = [replace(order_number(at), not_after=soon(3)) for at in range(len(cards))]
            outcomes = await asyncio.gather(
                *(
                    found.gateway.sign(card, order)
                    for (card, _), order in zip(cards, orders, strict=True)
                )
            )
            for (card, enrolled), order, outcome in zip(cards, orders, outcomes, strict=True):
                asked = found.pages(card).count(order.text)
                assert asked <= 1
                if isinstance(outcome, Signed):
                    assert asked == 1
                    assert is_good(enrolled, outcome, signed_by(order))
                    tally.evidence[outcome.transaction_id] += 1
                else:
                    tally.causes[outcome.cause] += 1
        return tally

    tally = asyncio.run(lossy())
    assert 0 < len(tally.evidence) < 20
    assert len(tally.evidence) + tally.causes.total() == 20
    assert set(tally.causes) <= {Cause.EXPIRED, Cause.CARD_REFUSED}
