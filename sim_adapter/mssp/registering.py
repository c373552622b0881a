"""Keys made in cards, and what cards tell about themselves."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sim_adapter.mss import codes
from sim_adapter.mss.model import KeyOrder, MssFault, Possession, SimCertificate, SimProfile
from sim_adapter.ota.errors import TextUnfit
from sim_adapter.ota.orders import (
    TRANSACTION_ID_OCTETS,
    TS_102_204_CODES,
    EnrolOrder,
    KeyAlgorithm,
    Mode,
    NotDone,
)

if TYPE_CHECKING:
    from sim_adapter.mssp.subscribers import Network, Subscriber
    from sim_adapter.ota.gateway_port import SimGateway

_PATIENCE = 15.0  # seconds for a card to tell about itself
_CHALLENGE = 32
# Of a text the operator may make a CMS, whose attributes the card signs as a digest. A key for
# structures never signs a digest, so what it signed is what its card has read and shown.
_MODES = {
    "structure": (Mode.STRUCTURE,),
    "digest": (Mode.DIGEST,),
    "text": (Mode.DIGEST, Mode.TEXT),
}


async def enrol(
    gateway: SimGateway, subscriber: Subscriber, order: KeyOrder, now: int
) -> tuple[bytes, Possession]:
    """Have the card make a key; its public part and the proof. ``MssFault`` when it does not."""
    if len(order.challenge) != _CHALLENGE:
        raise MssFault(codes.WRONG_DATA_LENGTH, "a challenge has 32 octets")
    asked = EnrolOrder(
        transaction_id=secrets.token_bytes(TRANSACTION_ID_OCTETS),
        relying_party=order.relying_party,
        credential_id=order.credential_id,
        challenge=order.challenge,
        code=order.code,
        not_after=now + order.timeout,
        algorithm=KeyAlgorithm[order.algorithm],
        replace=order.replace,
        modes=_MODES[order.mode],
    )
    try:
        outcome = await gateway.enrol(subscriber.card, asked)
    except TextUnfit as error:
        raise MssFault(codes.INAPPROPRIATE_DATA, str(error)) from None
    if isinstance(outcome, NotDone):
        raise MssFault(TS_102_204_CODES[outcome.cause], outcome.cause.name)
    return outcome.public_key, Possession(outcome.proof, outcome.iccid)


async def profile_of(gateway: SimGateway, subscriber: Subscriber, network: Network) -> SimProfile:
    """What the card and the books say; ``MssFault`` when the card does not answer."""
    outcome = await gateway.profile(subscriber.card, _PATIENCE)
    if isinstance(outcome, NotDone):
        raise MssFault(TS_102_204_CODES[outcome.cause], outcome.cause.name)
    held = subscriber.certificate
    state = "REVOKED" if subscriber.is_revoked else "ACTIVE"
    algorithm = "RSA" if outcome.algorithm is KeyAlgorithm.RSA2048 else "EC"
    return SimProfile(
        state="INACTIVE" if outcome.algorithm is None else "ACTIVE",
        pin_blocked=outcome.pin_tries == 0,
        certificates=() if held is None else (SimCertificate(state, algorithm, (held,)),),
        iccid=outcome.iccid,
        mcc=network.mcc,
        mnc=network.mnc,
        network=network.name,
    )
