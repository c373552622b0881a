"""Credentials as their owners and permitted clients may see them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from remote_signing.rssp.credential_states import GONE
from remote_signing.rssp.models import credential, issued_certificate, subscriber

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.db import Database

ANY_AGENCY = "*"

_ANSWERING = ("sim", "passkey")


@dataclass(frozen=True, slots=True)
class CredentialView:
    """A credential as its owner and permitted clients see it. Times are ms; DER certificates.

    ``factors`` are (id, kind); ``chain`` is issuer first, up to the root. ``certificate_state``
    is ``good``, ``suspended`` or ``revoked``; None for a certificate of another authority.
    ``frozen``: by its owner, whatever else keeps it from use.
    """

    id: str
    subscriber_id: str
    agency_id: str
    algorithm: str
    state: str
    scal: str
    multisign: int
    description: str | None
    auth_mode: str
    factors: tuple[tuple[str, str], ...]
    public_key: bytes
    certificate: bytes | None
    certificate_serial: str | None
    not_before_ms: int | None
    not_after_ms: int | None
    chain: tuple[bytes, ...]
    locked: bool
    signer_active: bool = True
    certificate_state: str | None = None
    frozen: bool = False

    @property
    def typed_factors(self) -> tuple[tuple[str, str], ...]:
        """Those whose evidence a person types; SIM and passkey answer by themselves."""
        return tuple(factor for factor in self.factors if factor[1] not in _ANSWERING)

    def usable_at(self, now_ms: int) -> bool:
        """Whether it is enabled, its signer not suspended, and its certificate valid by time."""
        if self.not_before_ms is None or self.not_after_ms is None:
            return False
        enabled = self.state == "enabled" and self.signer_active
        return enabled and self.not_before_ms <= now_ms < self.not_after_ms


def visible(
    database: Database,
    credential_id: str,
    *,
    subscriber_id: str | None = None,
    agencies: tuple[str, ...] | None = None,
) -> CredentialView | None:
    """The credential, if it is this signer's or of these agencies (``"*"``: any). One statement.

    At least one of the limits must be given. Credentials that are destroyed or
    withdrawn are not seen.
    """
    if subscriber_id is None and agencies is None:
        return None
    query = _VIEW.where(credential.c.id == credential_id)
    if subscriber_id is not None:
        query = query.where(credential.c.subscriber_id == subscriber_id)
    if agencies is not None and ANY_AGENCY not in agencies:
        query = query.where(subscriber.c.agency_id.in_(agencies))
    row = database.one(query)
    return None if row is None else _view(row)


def of_subscriber(
    database: Database, subscriber_id: str, *, agencies: tuple[str, ...] | None = None
) -> list[CredentialView]:
    """The signer's credentials, oldest first, without destroyed ones. One statement.

    ``agencies`` limits to signers of these agencies (``"*"``: any), for clients of their own.
    """
    query = _VIEW.where(credential.c.subscriber_id == subscriber_id).order_by(credential.c.id)
    if agencies is not None and ANY_AGENCY not in agencies:
        query = query.where(subscriber.c.agency_id.in_(agencies))
    return [_view(row) for row in database.all(query)]


def newest_usable(database: Database, subscriber_id: str, now_ms: int) -> CredentialView | None:
    """The signer's youngest credential that can be used now. One statement."""
    found = of_subscriber(database, subscriber_id)
    usable = [item for item in found if item.usable_at(now_ms) and not item.locked]
    return usable[-1] if usable else None


def _view(row: Row[Any]) -> CredentialView:
    return CredentialView(
        id=row.id,
        subscriber_id=row.subscriber_id,
        agency_id=row.agency_id,
        algorithm=row.algorithm,
        state=row.state,
        scal=row.scal,
        multisign=row.multisign,
        description=row.description,
        auth_mode=row.auth_mode,
        factors=tuple((factor["id"], factor["kind"]) for factor in json.loads(row.factors)),
        public_key=row.public_key,
        certificate=row.certificate,
        certificate_serial=row.certificate_serial,
        not_before_ms=row.not_before,
        not_after_ms=row.not_after,
        chain=tuple(base64.b64decode(issuer) for issuer in json.loads(row.chain)),
        locked=row.failed_attempts >= row.attempt_limit,
        signer_active=row.signer_state == "active",
        certificate_state=row.certificate_state,
        frozen=row.frozen,
    )


_VIEW = (
    select(
        credential,
        subscriber.c.agency_id,
        subscriber.c.state.label("signer_state"),
        issued_certificate.c.state.label("certificate_state"),
    )
    .join_from(credential, subscriber)
    .outerjoin(
        issued_certificate,
        (issued_certificate.c.serial == credential.c.certificate_serial)
        & (issued_certificate.c.credential_id == credential.c.id),
    )
    .where(credential.c.state.not_in(GONE))
)
