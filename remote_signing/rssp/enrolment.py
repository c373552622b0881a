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
from remote_signing.rssp import audit, credential_states, factor_passkeys, holder
from remote_signing.rssp import issued_certificates as issued
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

_SWITCHED = ("enabled", "disabled")  # between these :meth:`Enrolment.set_state` may choose


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
        """Give a credential a certificate (DER) of the embedded CA for its key.

        The first one enables it; a further one leaves its state as it is. ``InvalidInput`` when it
        is withdrawn or revoked, or a certificate of it on hold.
        """
        row = self._certifiable(credential_id)
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
        values = _certificate_values(row, certificate, chain) | _sealed(resealed)
        detail: Detail = {
            "certificate_sha256": hashlib.sha256(certificate).hexdigest(),
            "validity_days": validity_days,
        }

        def also(connection: Connection) -> None:
            if issued.is_on_hold(connection, credential_id):
                raise ActivationConflict("put on hold by somebody else meanwhile")
            issued.record(connection, certificate, credential_id)

        self._store(row, "credential.certified", values, detail, also)
        return certificate

    def install_certificate(
        self, credential_id: str, certificate: bytes, chain: tuple[bytes, ...]
    ) -> None:
        """As :meth:`certify`, with a certificate (DER) that another CA issued for its key."""
        row = self._certifiable(credential_id)
        fingerprint = hashlib.sha256(certificate).hexdigest()
        order = self._order(
            "install_certificate",
            row.subscriber_id,
            credential_id,
            certificate_sha256=fingerprint,
        )
        resealed = self._services.sam.install_certificate(row.sealed, certificate, order)
        values = _certificate_values(row, certificate, chain) | _sealed(resealed)
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

    def revoke(self, credential_id: str, reason: str) -> str:
        """Revoke all certificates of a key for ever (RFC 5280): it signs nothing any more.

        ``reason`` is one of :data:`issued_certificates.REASONS`; the credential's state that
        results. The SAM is told first: what was lost after that is made up for by revoking again.
        """
        if reason not in issued.REASONS:
            raise InvalidInput(f"no such reason: {reason!r}", parameter="reason")
        row, certificates = self._issued(credential_id, "revoked")
        detail: Detail = {"reason": reason}
        for each in certificates:
            members = {"serial": each.serial.lower(), "not_after_ms": each.not_after}
            order = self._order("revoke", row.subscriber_id, credential_id, **members)
            detail["revocation_list"] = self._services.sam.revoke(order)
        return self._change(row, certificates, "revoked", reason, detail)

    def suspend(self, credential_id: str) -> str:
        """Put a key's certificates on hold: it signs nothing until :meth:`resume`; its state."""
        return self._change(*self._issued(credential_id, "suspended"), "suspended", issued.HOLD)

    def resume(self, credential_id: str) -> str:
        """End a hold; the credential's state that results: what else keeps it from use stays."""
        return self._change(*self._issued(credential_id, "good"), "good")

    def set_state(self, credential_id: str, state: str) -> str:
        """Make a credential ``enabled`` or ``disabled`` (the key is untouched); its state then.

        What is enabled again may still be frozen, or a certificate of it on hold.
        """
        row = self._record(credential_id)
        changeable = row.state in _SWITCHED and row.certificate is not None
        if state not in _SWITCHED or not changeable:
            raise InvalidInput(f"cannot become {state!r}", parameter="state")
        return self._store(row, f"credential.{state}", {"state": state}, {})

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

    def _certifiable(self, credential_id: str) -> Row[Any]:
        row = self._record(credential_id)
        certificates = issued.of_credential(self._services.database, credential_id)
        # A new certificate would be good while the key itself is on hold.
        if row.state in {"withdrawn", "revoked"} or issued.changeable(certificates, "good"):
            raise InvalidInput(f"{row.state}, or a certificate is on hold", parameter="state")
        return row

    def _issued(self, credential_id: str, wanted: issued.State) -> tuple[Row[Any], list[Row[Any]]]:
        """A credential, even a destroyed one, and what of its certificates can become ``wanted``.

        Also of those before the one that it has now: a key's certificates share its fate.
        """
        row = self._services.database.one(_RECORD, {"the_credential": credential_id})
        certificates = issued.of_credential(self._services.database, credential_id)
        if row is None or not certificates:
            raise CredentialUnknown(f"no credential {credential_id!r} with a certificate of ours")
        return row, issued.changeable(certificates, wanted)

    def _change(
        self,
        row: Row[Any],
        certificates: list[Row[Any]],
        state: issued.State,
        reason: str | None = None,
        more: Detail | None = None,
    ) -> str:
        """:meth:`_store`, and the certificates' state in the same transaction."""
        serials = tuple(each.serial for each in certificates)
        change = issued.Change(row.id, serials, state, self._services.now_ms(), reason)
        return self._store(
            row,
            f"credential.{'resumed' if state == 'good' else state}",
            {"state": row.state},
            {"serials": list(serials), **(more or {})},
            lambda connection: issued.change(connection, change),
        )

    def _store(
        self,
        row: Row[Any],
        kind: str,
        values: dict[str, Any],
        detail: Detail,
        also: Callable[[Connection], object] | None = None,
    ) -> str:
        """Write a change with its event, if the record is still the one that the SAM was given.

        ``also`` is what else belongs to the change, in the same transaction. The state that
        results, which the event tells when it is another one.
        """
        unchanged = (
            credential.c.id == row.id,
            credential.c.sealed_version == row.sealed_version,
            credential.c.state == row.state,
        )
        with self._services.database.transaction() as connection:
            statement = update(credential).where(*unchanged).values(values)
            if connection.execute(statement).rowcount == 0:
                raise ActivationConflict("the credential was changed by somebody else meanwhile")
            if also is not None:
                also(connection)
            state = credential_states.derive(connection, row.id)
            told = detail if state == row.state else {**detail, "state": state}
            event = self._event(kind, row.subscriber_id, row.id, told)
            audit.record(connection, event, self._services.now_ms())
        return state

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


def _certificate_values(
    row: Row[Any], certificate: bytes, chain: tuple[bytes, ...]
) -> dict[str, Any]:
    parsed = x509.load_der_x509_certificate(certificate)
    return {
        # The first one ends that there was none; whatever else the state says stays.
        "state": "enabled" if row.certificate is None else row.state,
        "certificate": certificate,
        "certificate_serial": f"{parsed.serial_number:X}",
        "not_before": _ms(parsed.not_valid_before_utc),
        "not_after": _ms(parsed.not_valid_after_utc),
        "chain": json.dumps([base64.b64encode(issuer).decode("ascii") for issuer in chain]),
    }


def _sealed(resealed: Resealed) -> dict[str, Any]:
    return {"sealed": resealed.sealed, "sealed_version": resealed.version}


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


_RECORD = select(credential).where(credential.c.id == bindparam("the_credential"))
