"""Credentials are made, certified and changed here, each time by a registration authority's order.

The order goes to the SAM, which alone can change a sealed record; what comes back is stored only if
nobody changed the record meanwhile, together with its event. Secrets of new factors come back
encrypted to the authority.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography import x509
from sqlalchemy import bindparam, insert, select, update

from remote_signing.algorithms import algorithm_named
from remote_signing.errors import ActivationConflict, CredentialUnknown, InvalidInput
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, factor_passkeys, holder, issued_certificates
from remote_signing.rssp.credentials import FROZEN
from remote_signing.rssp.models import credential, sim_card
from remote_signing.rssp.registration import Recipient, new_factors

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.registration import FactorSecrets, RegistrationAuthority
    from remote_signing.sap import Order, Resealed
    from remote_signing.strict_json import JsonValue

Detail = dict[str, "JsonValue"]
_State = tuple[issued_certificates.State, str | None]  # of a certificate, and the reason

_SWITCHED = ("enabled", "disabled")  # between these :meth:`Enrolment.set_state` may choose
_GONE = ("destroyed", "withdrawn")  # not seen any more, whatever happens to the certificate


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a signer gets. ``multisign`` is the most signatures of one authorisation."""

    subscriber_id: str
    algorithm: str = "p256"
    scal: str = "2"
    multisign: int = 100
    description: str | None = None
    validity_days: int = 5 * 365
    factors: tuple[str, ...] = ("pin", "totp")


@dataclass(frozen=True, slots=True)
class Created:
    """A key without a certificate. ``secrets`` are shown to the signer once and kept nowhere."""

    credential_id: str
    csr: bytes
    secrets: FactorSecrets = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issued(Created):
    """A credential ready for use."""

    certificate: bytes


class Enrolment:
    """What a registration authority does to credentials.

    Errors are those of the SAM, ``CredentialUnknown``, and ``ActivationConflict`` when somebody
    else changed the credential in the meantime: nothing was stored, the step may be taken again.
    """

    def __init__(self, services: Services, authority: RegistrationAuthority) -> None:
        self._services = services
        self._authority = authority

    def issue(self, new: NewCredential) -> Issued:
        """:meth:`create`, then :meth:`certify`."""
        created = self.create(new)
        certificate = self.certify(created.credential_id, new.validity_days)
        return Issued(created.credential_id, created.csr, created.secrets, certificate)

    def create(self, new: NewCredential) -> Created:
        """Make a key in the HSM and the row of a credential, disabled until it is certified."""
        algorithm_named(new.algorithm)
        # Before a key is made: the records must suffice for a certificate.
        holder.of_subscriber(self._services.database, new.subscriber_id)
        now = self._services.now_ms()
        credential_id, recipient = new_id(now), Recipient()
        factors = new_factors(new.factors, now)
        order = self._order(
            "create_credential",
            new.subscriber_id,
            credential_id,
            owner=new.subscriber_id,
            algorithm=new.algorithm,
            scal=new.scal,
            multisign=new.multisign,
            factors=factors,
            recipient=recipient.public_key,
        )
        created = self._services.sam.create_credential(order)
        secrets = recipient.open(created.secrets, credential_id)
        self._insert(
            new,
            {
                "id": credential_id,
                "factors": json.dumps(factors),
                "public_key": created.public_key,
                "sealed": created.sealed,
                "sealed_version": created.version,
                "created_at": now,
            },
        )
        return Created(credential_id, created.csr, secrets)

    def certify(self, credential_id: str, validity_days: int) -> bytes:
        """Enable a credential with a certificate (DER) of the embedded CA for its key."""
        row = self._record(credential_id)
        owner = holder.of_subscriber(self._services.database, row.subscriber_id)
        order = self._order(
            "certify",
            row.subscriber_id,
            credential_id,
            profile=owner.profile,
            subject=owner.subject,
            validity_days=validity_days,
            public_key_sha256=hashlib.sha256(row.public_key).hexdigest(),
        )
        resealed = self._services.sam.certify(row.sealed, order)
        certificate = resealed.certificate or b""
        chain = self._services.sam.status().chain
        values = _certificate_values(certificate, chain) | _sealed(resealed) | {"state": "enabled"}
        detail: Detail = {
            "certificate_sha256": hashlib.sha256(certificate).hexdigest(),
            "validity_days": validity_days,
        }
        self._store(
            row,
            "credential.certified",
            values,
            detail,
            lambda connection: issued_certificates.record(connection, certificate, credential_id),
        )
        return certificate

    def install_certificate(
        self, credential_id: str, certificate: bytes, chain: tuple[bytes, ...]
    ) -> None:
        """Enable a credential with a certificate (DER) that another CA issued for its key."""
        row = self._record(credential_id)
        fingerprint = hashlib.sha256(certificate).hexdigest()
        order = self._order(
            "install_certificate",
            row.subscriber_id,
            credential_id,
            certificate_sha256=fingerprint,
        )
        resealed = self._services.sam.install_certificate(row.sealed, certificate, order)
        values = _certificate_values(certificate, chain) | _sealed(resealed) | {"state": "enabled"}
        self._store(row, "credential.certified", values, {"certificate_sha256": fingerprint})

    def add_factors(self, credential_id: str, kinds: tuple[str, ...]) -> FactorSecrets:
        """Give a credential further factors (``pin``, ``totp``); their secrets, told this once."""
        row, recipient = self._record(credential_id), Recipient()
        factors = new_factors(kinds, self._services.now_ms())
        order = self._order(
            "bind_factor",
            row.subscriber_id,
            credential_id,
            factors=factors,
            recipient=recipient.public_key,
            if_version=row.sealed_version,
        )
        resealed = self._services.sam.bind_factor(row.sealed, order=order)
        values = {"factors": json.dumps(json.loads(row.factors) + factors)} | _sealed(resealed)
        self._store(row, "credential.factors_added", values, {"factors": factors})
        return recipient.open(resealed.secrets or b"", credential_id)

    def drop_factor(self, credential_id: str, factor_id: str) -> None:
        """Take a factor away for ever: the SAM puts its id on the revocation list."""
        row = self._record(credential_id)
        order = self._order("drop_factor", row.subscriber_id, credential_id, factor_id=factor_id)
        resealed = self._services.sam.drop_factor(row.sealed, order)
        kept = [factor for factor in json.loads(row.factors) if factor["id"] != factor_id]
        values = {"factors": json.dumps(kept)} | _sealed(resealed)

        def also(connection: Connection) -> None:
            gone = update(sim_card).where(sim_card.c.factor_id == factor_id)
            connection.execute(gone.values(state="dropped"))
            factor_passkeys.drop(connection, factor_id, self._services.now_ms())

        self._store(row, "credential.factor_dropped", values, {"factor_id": factor_id}, also)

    def destroy(self, credential_id: str) -> None:
        """Make a credential unusable for ever; also its older records, wherever they are kept."""
        row = self._record(credential_id)
        detail: Detail = {}
        if row.state != "revoked":  # else the SAM has it on its list already
            order = self._order("destroy", row.subscriber_id, credential_id)
            detail["revocation_list"] = self._services.sam.destroy(row.sealed, order)
        values = {"state": "destroyed", "sealed": b""}
        self._store(row, "credential.destroyed", values, detail)

    def unlock(self, credential_id: str) -> None:
        """Forget the failed attempts, in the SAM and here (Decree 68/2024: recovery)."""
        row = self._record(credential_id)
        order = self._order("unlock", row.subscriber_id, credential_id)
        values = _sealed(self._services.sam.unlock(row.sealed, order)) | {"failed_attempts": 0}
        self._store(row, "credential.unlocked", values, {})

    def revoke(self, credential_id: str, reason: str) -> None:
        """Revoke a credential's certificate for ever (RFC 5280): it signs nothing any more.

        ``reason`` is one of :data:`issued_certificates.REASONS`. The SAM is told first: what was
        lost after that is made up for by revoking once more.
        """
        row = self._issued(credential_id)
        if reason not in issued_certificates.REASONS:
            raise InvalidInput(f"no such reason: {reason!r}", parameter="reason")
        serial: str = row.certificate_serial
        order = self._order(
            "revoke",
            row.subscriber_id,
            credential_id,
            serial=serial.lower(),
            not_after_ms=row.not_after,
        )
        number = self._services.sam.revoke(order)
        values = {} if row.state in _GONE else {"state": "revoked"}
        detail: Detail = {"serial": serial, "reason": reason, "revocation_list": number}
        self._change(row, "credential.revoked", values, detail, ("revoked", reason))

    def suspend(self, credential_id: str) -> None:
        """Put a certificate on hold: it signs nothing until :meth:`resume` or :meth:`revoke`."""
        row = self._issued(credential_id)
        detail: Detail = {"serial": row.certificate_serial}
        state: _State = ("suspended", issued_certificates.HOLD)
        self._change(row, "credential.suspended", _unless_frozen(row, "suspended"), detail, state)

    def resume(self, credential_id: str) -> None:
        """End a suspension."""
        row = self._issued(credential_id)
        detail: Detail = {"serial": row.certificate_serial}
        values = _unless_frozen(row, "enabled")
        self._change(row, "credential.resumed", values, detail, ("good", None))

    def set_state(self, credential_id: str, state: str) -> None:
        """Make a credential ``enabled`` or ``disabled`` (suspension; the key is untouched)."""
        row = self._record(credential_id)
        changeable = row.state in _SWITCHED and row.certificate is not None
        if state not in _SWITCHED or not changeable:
            raise InvalidInput(f"cannot become {state!r}", parameter="state")
        self._store(row, f"credential.{state}", {"state": state}, {})

    def _insert(self, new: NewCredential, made: dict[str, Any]) -> None:
        row = {
            **made,
            "subscriber_id": new.subscriber_id,
            "algorithm": new.algorithm,
            "state": "disabled",
            "scal": new.scal,
            "multisign": new.multisign,
            "description": new.description,
            # TS 119 432 cl. 5.3.2: at SCAL2 nobody types a code into a portal.
            "auth_mode": "oauth2code" if new.scal == "2" else "explicit",
            "attempt_limit": self._services.config.policy.attempt_limit,
        }
        detail: Detail = {
            "algorithm": new.algorithm,
            "factors": json.loads(made["factors"]),
            "public_key_sha256": hashlib.sha256(made["public_key"]).hexdigest(),
            "scal": new.scal,
        }
        event = self._event("credential.created", new.subscriber_id, made["id"], detail)
        with self._services.database.transaction() as connection:
            connection.execute(insert(credential), row)
            audit.record(connection, event, self._services.now_ms())

    def _order(
        self, kind: str, subscriber_id: str, credential_id: str, **members: JsonValue
    ) -> Order:
        """An order for the SAM, on record before the SAM can obey it."""
        now = self._services.now_ms()
        event = self._event("credential.ordered", subscriber_id, credential_id, {"verb": kind})
        with self._services.database.transaction() as connection:
            audit.record(connection, event, now)
        return self._authority.order(kind, credential_id, now, members)

    def _record(self, credential_id: str) -> Row[Any]:
        row = self._services.database.one(_RECORD, {"the_credential": credential_id})
        if row is None or row.state == "destroyed":
            raise CredentialUnknown(f"no credential {credential_id!r}")
        return row

    def _issued(self, credential_id: str) -> Row[Any]:
        """A credential, even a destroyed one, whose certificate is the embedded authority's."""
        row = self._services.database.one(_RECORD, {"the_credential": credential_id})
        serial = None if row is None else row.certificate_serial
        found = serial and issued_certificates.find(self._services.database, int(serial, 16))
        if row is None or not found or bytes(found.certificate) != row.certificate:
            raise CredentialUnknown(f"no credential {credential_id!r} with a certificate of ours")
        return row

    def _change(
        self,
        row: Row[Any],
        kind: str,
        values: dict[str, Any],
        detail: Detail,
        state: _State,
    ) -> None:
        """:meth:`_store`, and the certificate's state in the same transaction."""
        change = issued_certificates.Change(
            row.id, row.certificate_serial, state[0], self._services.now_ms(), state[1]
        )
        self._store(
            row,
            kind,
            {"state": row.state, **values},
            detail,
            lambda connection: issued_certificates.change(connection, change),
        )

    def _store(
        self,
        row: Row[Any],
        kind: str,
        values: dict[str, Any],
        detail: Detail,
        also: Callable[[Connection], object] | None = None,
    ) -> None:
        """Write a change with its event, if the record is still the one that the SAM was given.

        ``also`` is what else belongs to the change, in the same transaction.
        """
        unchanged = (
            credential.c.id == row.id,
            credential.c.sealed_version == row.sealed_version,
            credential.c.state == row.state,
        )
        event = self._event(kind, row.subscriber_id, row.id, detail)
        with self._services.database.transaction() as connection:
            statement = update(credential).where(*unchanged).values(values)
            if connection.execute(statement).rowcount == 0:
                raise ActivationConflict("the credential was changed by somebody else meanwhile")
            if also is not None:
                also(connection)
            audit.record(connection, event, self._services.now_ms())

    def _event(
        self, kind: str, subscriber_id: str, credential_id: str, detail: Detail
    ) -> audit.Event:
        return audit.Event(
            kind,
            f"ra:{self._authority.key_id}",
            subscriber_id=subscriber_id,
            credential_id=credential_id,
            detail=detail,
        )


def _certificate_values(certificate: bytes, chain: tuple[bytes, ...]) -> dict[str, Any]:
    parsed = x509.load_der_x509_certificate(certificate)
    return {
        "certificate": certificate,
        "certificate_serial": f"{parsed.serial_number:X}",
        "not_before": _ms(parsed.not_valid_before_utc),
        "not_after": _ms(parsed.not_valid_after_utc),
        "chain": json.dumps([base64.b64encode(issuer).decode("ascii") for issuer in chain]),
    }


def _unless_frozen(row: Row[Any], state: str) -> dict[str, Any]:
    # A certificate's hold comes and goes beside a freeze, which ends by :mod:`.freezing` alone.
    return {} if row.state == FROZEN else {"state": state}


def _sealed(resealed: Resealed) -> dict[str, Any]:
    return {"sealed": resealed.sealed, "sealed_version": resealed.version}


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


_RECORD = select(credential).where(credential.c.id == bindparam("the_credential"))
