"""Which numbers a credential's SIM factors answer at, and when they must not be asked.

A SIM that was replaced, got another certificate or whose number moved to another operator is
suspended until it is enrolled anew: the person who holds the number may be somebody else by then.
That is a precaution of ours; the SAM relies on the pinned certificate alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from remote_signing.errors import RemoteSigningError, SimAdapterAway, SimUnknown
from remote_signing.rssp import audit
from remote_signing.rssp.models import sim_card
from remote_signing.rssp.sim import words

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.sim_client import Profile

_log = logging.getLogger(__name__)
ACTIVE, SUSPENDED, DROPPED = "active", "suspended", "dropped"
# Outcomes of a question after which the number is not asked again before a new enrolment.
GONE = frozenset({"UNKNOWN_CLIENT", "NO_KEY_FOUND", "NO_CERT_FOUND", "REVOKED_CERTIFICATE"})


@dataclass(frozen=True, slots=True)
class SimOffer:
    """A SIM as the consent page offers it; ``cause`` says why it is not asked at present."""

    factor_id: str
    number: str
    is_active: bool
    cause: str | None


def offers(services: Services, credential_id: str, lang: str) -> list[SimOffer]:
    """The credential's SIMs. One statement; none where no adapter is configured."""
    if services.sim is None:
        return []
    return [
        SimOffer(
            row.factor_id,
            words.masked(row.msisdn),
            row.state == ACTIVE,
            None if row.state == ACTIVE else words.say(row.reason or "", lang),
        )
        for row in of_credential(services, credential_id)
    ]


def of_credential(services: Services, credential_id: str) -> list[Row[Any]]:
    """The rows of a credential's SIMs, oldest first, without dropped ones. One statement."""
    query = select(sim_card).where(
        sim_card.c.credential_id == credential_id, sim_card.c.state != DROPPED
    )
    return list(services.database.all(query.order_by(sim_card.c.factor_id)))


def get(services: Services, factor_id: str) -> Row[Any]:
    """The row of one SIM; ``SimUnknown``."""
    row = services.database.one(select(sim_card).where(sim_card.c.factor_id == factor_id))
    if row is None:
        raise SimUnknown(f"no SIM {factor_id!r}")
    return row


def set_state(
    services: Services, row: Row[Any], state: str, reason: str | None, actor: str
) -> bool:
    """Suspend or resume, with its event; False when it is so already. One transaction."""
    event = audit.Event(
        f"sim.{'resumed' if state == ACTIVE else 'suspended'}",
        actor,
        subscriber_id=row.subscriber_id,
        credential_id=row.credential_id,
        detail={"factor_id": row.factor_id, "reason": reason},
    )
    change = update(sim_card).where(
        sim_card.c.factor_id == row.factor_id, sim_card.c.state.not_in([state, DROPPED])
    )
    with services.database.transaction() as connection:
        done = connection.execute(change.values(state=state, reason=reason)).rowcount == 1
        if done:
            audit.record(connection, event, services.now_ms())
    return done


def check(services: Services, row: Row[Any]) -> str | None:
    """:func:`examine` where a question follows; the reason, or None.

    An operator that gives no answer suspends nothing: the question itself will tell.
    """
    if services.sim is None:
        return None
    try:
        return examine(services, row)
    except RemoteSigningError as error:
        _log.warning("no profile of a SIM", extra={"factor": row.factor_id, "cause": error.cause})
        return None


def examine(services: Services, row: Row[Any]) -> str | None:
    """Ask the operator whose SIM it is now and suspend what changed; the reason, or None.

    ``SimAdapterAway``, ``SimRequestRefused``: nobody was asked, or the operator told nothing.
    """
    if services.sim is None:
        raise SimAdapterAway("no table [sim] in rssp.toml")
    profile = services.sim.profile(row.msisdn, row.operator)
    reason = changed(row, profile)
    if reason is not None:
        _log.error("alarm: a SIM has changed", extra={"factor": row.factor_id, "reason": reason})
        set_state(services, row, SUSPENDED, reason, "system")
        return reason
    told = update(sim_card).where(sim_card.c.factor_id == row.factor_id)
    services.database.run(told.values(checked_at=services.now_ms()))
    if not profile.is_known:
        raise SimAdapterAway(f"its operator tells nothing of it: {profile.outcome.name}")
    return None


def changed(row: Row[Any], profile: Profile) -> str | None:
    """What is not as it was at enrolment. What an operator does not tell is no change."""
    if not profile.is_known:
        return "number_without_sim_pki" if profile.outcome.name in GONE else None
    if row.iccid is not None and profile.iccid not in {None, row.iccid}:
        return "iccid_changed"
    if row.network is not None and profile.network not in {None, row.network}:
        return "network_changed"
    if profile.leaves and row.certificate not in profile.leaves:
        return "certificate_changed"
    return None
