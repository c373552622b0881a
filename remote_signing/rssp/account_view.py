"""What a signer's account holds: certificates, what approves with each, and what happened last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from remote_signing.rssp import credentials, factor_passkeys, pin_records
from remote_signing.rssp.credential_states import FROZEN
from remote_signing.rssp.models import audit_event, sim_card

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.db import Database
    from remote_signing.rssp.deps import Services

_MOST_EVENTS = 20
# What changes who may come in or sign. Signing itself is the history's.
SHOWN: Final = (
    *("session.opened", "session.refused", "account.activated", "account_code.issued"),
    *("account_code.refused", "subscriber.password_set", "subscriber.changed"),
    *("login.password", "openid.bound", "openid.unbound"),
    *("sign_in_passkey.added", "sign_in_passkey.dropped", "sign_in_passkey.copied"),
    *("credential.certified", "credential.factors_added", "credential.factor_dropped"),
    *("credential.pin_changed", "credential.frozen", "credential.unfrozen", "credential.unlocked"),
    *("credential.disabled", "credential.enabled", "credential.rule_changed"),
    *("credential.suspended", "credential.resumed", "credential.revoked", "credential.destroyed"),
)
_OWN = "account.activated"
_PASSWORDS = (_OWN, "subscriber.password_set", "subscriber.registered")


@dataclass(frozen=True, slots=True)
class PasswordAge:
    """Since when (Unix milliseconds), and whether its owner chose it or the operator set it."""

    is_own: bool
    since_ms: int


@dataclass(frozen=True, slots=True)
class Holding:
    """A credential with the names of its passkeys and the numbers of its SIMs.

    ``may_choose_pin``: the registration authority lets its owner choose a PIN with a code.
    """

    credential: CredentialView
    state: str
    passkeys: tuple[str, ...]
    sims: tuple[str, ...]
    may_choose_pin: bool

    def has(self, kind: str) -> bool:
        """Whether there is a factor of that kind."""
        return any(factor[1] == kind for factor in self.credential.factors)


def holdings(services: Services, subscriber_id: str) -> list[Holding]:
    """The signer's credentials, oldest first. Four statements."""
    passkeys = factor_passkeys.of_subscriber(services.database, subscriber_id)
    sims = _sims(services.database, subscriber_id)
    now, offered = services.now_ms(), pin_records.offered(services, subscriber_id)
    return [
        Holding(
            credential=each,
            state=_state(each, now),
            passkeys=tuple(row.name for row in passkeys if row.credential_id == each.id),
            sims=tuple(row.msisdn for row in sims if row.credential_id == each.id),
            may_choose_pin=each.id in offered,
        )
        for each in credentials.of_subscriber(services.database, subscriber_id)
    ]


def last_events(database: Database, subscriber_id: str) -> list[Row[Any]]:
    """What changed who may come in or sign, youngest first. One statement."""
    row = audit_event.c
    query = (
        select(row.kind, row.at)
        .where(row.subscriber_id == subscriber_id, row.kind.in_(SHOWN))
        .order_by(row.number.desc())
        .limit(_MOST_EVENTS)
    )
    return list(database.all(query))


def password_age(database: Database, subscriber_id: str) -> PasswordAge | None:
    """From the record; None when that is older than the audit table. One statement."""
    row = audit_event.c
    query = (
        select(row.kind, row.at)
        .where(row.subscriber_id == subscriber_id, row.kind.in_(_PASSWORDS))
        .order_by(row.number.desc())
        .limit(1)
    )
    found = database.one(query)
    return None if found is None else PasswordAge(found.kind == _OWN, found.at)


def _state(view: CredentialView, now_ms: int) -> str:
    """The one word that matters to its owner."""
    if "revoked" in {view.state, view.certificate_state}:
        return "revoked"
    if view.frozen:
        return FROZEN
    if view.certificate_state == "suspended":
        return "suspended"
    if view.state != "enabled":
        return view.state
    if view.locked:
        return "locked"
    return "valid" if view.usable_at(now_ms) else "expired"


def _sims(database: Database, subscriber_id: str) -> list[Row[Any]]:
    card = sim_card.c
    query = select(card.credential_id, card.msisdn).where(
        card.subscriber_id == subscriber_id, card.state != "dropped"
    )
    return list(database.all(query))
