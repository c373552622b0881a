"""Gateway, message centre and phones on one loop, joined by SMPP on loopback."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sim_adapter.ota.counters import CounterFile
from sim_adapter.ota.esme import Esme, EsmeConfig
from sim_adapter.ota.gateway import Gateway, GatewayConfig
from sim_adapter.ota.keysets import CardIssuer, CardRecord
from sim_adapter.ota.orders import Enrolled, EnrolOrder, KeyAlgorithm, Mode, SignOrder
from sim_adapter.ota.smsc import MessageCentre, Weather
from sim_adapter.vsim.phones import Phones
from tests.support.sim_messages import CODE, TEXT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sim_adapter.vsim.numbers import Behaviour

PASSWORD = "geheim"
QUICK = GatewayConfig(hint_grace=0.3, resend_after=1.0, late_grace=0.2)


@dataclass
class Air:
    """All of it. ``number`` gives phone numbers that nobody used."""

    gateway: Gateway
    esme: Esme
    centre: MessageCentre
    phones: Phones
    issuer: CardIssuer
    port: int
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(10_000))

    def phone(self, behaviour: Behaviour | None = None) -> CardRecord:
        """A new phone: what the gateway knows of its card."""
        msisdn = f"849000{next(self.numbers):05d}"
        self.phones.phone(msisdn, behaviour)
        return self.issuer.card(msisdn)

    async def enrolled(
        self, card: CardRecord | None = None, algorithm: KeyAlgorithm = KeyAlgorithm.P256
    ) -> tuple[CardRecord, Enrolled]:
        """A card with a key, and what it said."""
        card = card or self.phone()
        order = EnrolOrder(
            secrets.token_bytes(16),
            "Sở Nội vụ",
            "C" * 26,
            bytes(32),
            CODE,
            soon(30),
            algorithm,
            modes=tuple(Mode),
        )
        found = await self.gateway.enrol(card, order)
        assert isinstance(found, Enrolled)
        return card, found

    def pages(self, card: CardRecord) -> list[str]:
        """What the person at this card has seen."""
        seen: list[str] = self.phones.phone(card.msisdn).handset.person.seen  # type: ignore[attr-defined]  # scripted
        return seen


def soon(seconds: float = 10) -> int:
    return int(time.time() + seconds)


def text_order(seconds: float = 10, **other: Any) -> SignOrder:
    facts: dict[str, Any] = {"mode": Mode.TEXT, "text": TEXT, "code": CODE}
    return SignOrder(secrets.token_bytes(16), **(facts | other), not_after=soon(seconds))


@contextlib.asynccontextmanager
async def air(
    folder: Path, *, weather: Weather | None = None, config: GatewayConfig = QUICK
) -> AsyncIterator[Air]:
    issuer = CardIssuer(bytes(range(32)))
    phones = Phones(issuer)
    centre = MessageCentre(phones, {"ota": PASSWORD}, weather, retry_every=0.05)
    phones.join(centre)
    port = await centre.start()
    counters = CounterFile(folder / "counters")
    gateway = Gateway(counters, config)
    esme = Esme(EsmeConfig("127.0.0.1", port, "ota", PASSWORD, pulse=0.2), gateway.take)
    gateway.use(esme)
    await esme.start()
    try:
        yield Air(gateway, esme, centre, phones, issuer, port)
    finally:
        await esme.stop()
        phones.power_off()
        await centre.stop()
        counters.close()
