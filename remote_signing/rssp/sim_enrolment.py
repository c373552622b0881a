"""A SIM becomes a factor: key made inside it, proof, certificate, pinned in the sealed record.

Every step is the registration authority's: the adapter has the SIM make a key and sign for it, the
SAM certifies what was proven and pins that certificate. A step that fails leaves nothing that could
sign: a key without a certificate, or a certificate that no record knows.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy import insert

from remote_signing.errors import SimRequestRefused, SimUnknown
from remote_signing.identifiers import new_id
from remote_signing.rssp import holder
from remote_signing.rssp.enrolment import Enrolment
from remote_signing.rssp.models import sim_card
from remote_signing.rssp.registration import Recipient
from remote_signing.sap import b64

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Row

    from remote_signing.rssp.config_sim import SimConfig
    from remote_signing.rssp.sim_client import Registration, SimAdapter
    from remote_signing.strict_json import JsonValue

_POLL = 0.5  # seconds
_DONE = "DONE"
_GOING = frozenset({"CREATED", "SENT"})


@dataclass(frozen=True, slots=True)
class NewSim:
    """Whose SIM it is and what it will sign with. ``replace`` makes a new key in a used SIM."""

    msisdn: str
    operator: str | None = None
    algorithm: str = "P256"
    replace: bool = False
    validity_days: int = 5 * 365
    lang: str = "vi"


@dataclass(frozen=True, slots=True)
class EnrolledSim:
    """A SIM that may be asked from now on. ``certificate`` is DER."""

    factor_id: str
    operator: str
    certificate: bytes


def _check_mode(adapter: SimAdapter, config: SimConfig, new: NewSim) -> None:
    """In mode text the signed message begins with the code, so not with an operator's words."""
    if config.mode != "text":
        return
    operator = adapter.profile(new.msisdn, new.operator).operator
    if adapter.texts(operator).question.prefix:
        raise SimRequestRefused(f"{operator} wants a prefix, which mode text has no place for")


class SimEnrolment(Enrolment):
    """What a registration authority does to SIMs."""

    def enrol(
        self, credential_id: str, new: NewSim, tell: Callable[[str], None] = lambda _code: None
    ) -> EnrolledSim:
        """Have the person at the phone make a key, and bind it.

        ``tell`` is given the code that the phone will show beside the relying party's name.
        Errors: ``SimUnknown`` (no adapter), ``SimRequestRefused`` (the cause of the operator),
        those of :class:`.Enrolment`.
        """
        adapter, config = self._adapter()
        _check_mode(adapter, config, new)
        row = self._record(credential_id)
        owner = holder.of_subscriber(self._services.database, row.subscriber_id)
        nonce = secrets.token_bytes(32)
        name = new_id(self._services.now_ms())
        made = self._made(adapter, config, name, self._wish(credential_id, new, nonce, tell))
        certificate = self._certified(row, owner.subject, made, nonce, new.validity_days)
        adapter.hand_over(name, certificate)
        profile = adapter.profile(new.msisdn, made.operator)
        card = {
            "credential_id": row.id,
            "subscriber_id": row.subscriber_id,
            "msisdn": new.msisdn,
            "operator": made.operator,
            "mode": config.mode,
            "certificate": certificate,
            "chain": "[]",
            "iccid": made.iccid or profile.iccid,
            "network": profile.network,
            "state": "active",
        }
        return self._bound(row, card)

    def _adapter(self) -> tuple[SimAdapter, SimConfig]:
        adapter, config = self._services.sim, self._services.config.sim
        if adapter is None or config is None:
            raise SimUnknown("rssp.toml has no table [sim]")
        return adapter, config

    def _wish(
        self, credential_id: str, new: NewSim, nonce: bytes, tell: Callable[[str], None]
    ) -> dict[str, object]:
        code = f"{secrets.randbelow(10_000):04d}"
        tell(code)
        operator = {} if new.operator is None else {"operator": new.operator}
        return operator | {
            "msisdn": new.msisdn,
            "credential_id": credential_id,
            "challenge": b64(nonce),
            "verification_code": code,
            "algorithm": new.algorithm,
            "replace": new.replace,
            "language": new.lang,
        }

    def _made(
        self, adapter: SimAdapter, config: SimConfig, name: str, wish: dict[str, object]
    ) -> Registration:
        deadline = self._services.now_ms() + config.patience * 1000
        order = wish | {
            "relying_party": config.relying_party,
            "mode": config.mode,
            "deadline": deadline,
        }
        found = adapter.register(name, order)
        while found.state in _GOING:
            time.sleep(_POLL)
            found = adapter.registration(name)
        if found.state != _DONE or found.public_key is None or found.proof is None:
            told = "no key" if found.outcome is None else found.outcome
            raise SimRequestRefused(f"the SIM made no key: {told}")
        return found

    def _certified(
        self,
        row: Row[Any],
        subject: dict[str, JsonValue],
        made: Registration,
        nonce: bytes,
        validity_days: int,
    ) -> bytes:
        public_key, proof = made.public_key or b"", made.proof or b""
        order = self._order(
            "certify_sim",
            row.subscriber_id,
            row.id,
            profile="sim",
            subject=subject,
            validity_days=validity_days,
            public_key_sha256=hashlib.sha256(public_key).hexdigest(),
            possession_nonce=nonce.hex(),
        )
        is_rsa = isinstance(load_der_public_key(public_key), rsa.RSAPublicKey)
        form = "pkcs1" if is_rsa else "ecdsa_raw"
        return self._services.sam.certify_sim(
            public_key, {"format": form, "value": b64(proof)}, order
        )

    def _bound(self, row: Row[Any], card: dict[str, Any]) -> EnrolledSim:
        """Pin the certificate in the sealed record and write down which number answers."""
        now = self._services.now_ms()
        factor_id = new_id(now)
        factor: dict[str, JsonValue] = {
            "id": factor_id,
            "kind": "sim",
            "mode": card["mode"],
            "certificate": b64(card["certificate"]),
            "chain": [],
        }
        order = self._order(
            "bind_factor",
            row.subscriber_id,
            row.id,
            factors=[factor],
            recipient=Recipient().public_key,
            if_version=row.sealed_version,
        )
        resealed = self._services.sam.bind_factor(row.sealed, order=order)
        known: dict[str, JsonValue] = {"id": factor_id, "kind": "sim"}
        serial = x509.load_der_x509_certificate(card["certificate"]).serial_number
        values = {
            "factors": json.dumps([*json.loads(row.factors), known]),
            "sealed": resealed.sealed,
            "sealed_version": resealed.version,
        }
        detail: dict[str, JsonValue] = {"factors": [known], "sim_serial": f"{serial:X}"}
        times = {"factor_id": factor_id, "checked_at": now, "created_at": now}
        self._store(
            row,
            "credential.factors_added",
            values,
            detail,
            lambda connection: connection.execute(insert(sim_card).values(card | times)),
        )
        return EnrolledSim(factor_id, card["operator"], card["certificate"])
