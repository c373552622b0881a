"""One worker's verbs on a node in software, with a registration authority and signers."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pyotp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from remote_signing.clock import FixedClock, as_datetime
from remote_signing.identifiers import new_id
from remote_signing.sam.activation import Activation
from remote_signing.sam.attempts import AttemptJournal
from remote_signing.sam.config import (
    AuthorityConfig,
    NodeConfig,
    PasskeyConfig,
    SamConfig,
    SimConfig,
)
from remote_signing.sam.counters import PasskeyCounters
from remote_signing.sam.enrolment import Enrolment
from remote_signing.sam.factors import EvidenceCheck
from remote_signing.sam.passkey_enrolment import PasskeyEnrolment
from remote_signing.sam.passkeys import Passkeys
from remote_signing.sam.pin_choice import PinChoice
from remote_signing.sam.revocation import RevocationList
from remote_signing.sam.sim_consent import SimConsent
from remote_signing.sap import b64
from tests.support.registration import TestAuthority
from tests.support.soft_node import SoftNode

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.sam.hsm import Node
    from remote_signing.strict_json import JsonValue

ECDSA_SHA256 = "1.2.840.10045.4.3.2"
Values = dict[str, "JsonValue"]


def unb64(value: object) -> bytes:
    return base64.b64decode(cast("str", value))


@dataclass
class Sam:
    """One worker's verbs, and what a registration authority and a signer hold."""

    folder: Path
    node: SoftNode = field(default_factory=SoftNode)
    clock: FixedClock = field(default_factory=FixedClock)
    ra: TestAuthority = field(default_factory=TestAuthority)
    sim: SimConfig | None = None
    passkey: PasskeyConfig | None = None

    def __post_init__(self) -> None:
        self.config = SamConfig(
            nodes=(
                NodeConfig(
                    name="soft",
                    module=self.folder,
                    token_label="soft",
                    pin_file=self.folder,
                ),
            ),
            cluster_file=self.folder,
            state_folder=self.folder,
            socket=self.folder,
            allowed_uids=frozenset(),
            registration_keys=self.ra.pinned,
            authority=AuthorityConfig(
                policy_oid="1.3.6.1.4.1.55555.1",
                practice_statement_url="http://pki.example/cps",
                crl_url="http://pki.example/ca.crl",
                ocsp_url="http://pki.example/ocsp",
                issuer_url="http://pki.example/ca.crt",
            ),
            attempt_limit=3,
        )
        node = cast("Node", self.node)
        self.issuer = self._issuer()
        self.journal = AttemptJournal(self.folder, self.config.attempt_limit)
        self.revoked = RevocationList(self.folder, node)
        sim = SimConsent.from_config(self.sim, self.issuer)
        passkeys = Passkeys(self.passkey, PasskeyCounters(self.folder))
        evidence = EvidenceCheck(node, self.journal, self.revoked, sim, passkeys)
        activation = Activation(self.config, evidence, self.clock)
        enrolment = Enrolment(self.config, evidence, self.issuer, self.clock)
        passkey_enrolment = PasskeyEnrolment(evidence, self.clock)
        pins = PinChoice(self.config, evidence, self.clock)
        self.handlers = {
            **activation.verbs,
            **enrolment.verbs,
            **passkey_enrolment.verbs,
            **pins.verbs,
        }

    def _issuer(self) -> x509.Certificate:
        key = self.node.issuing_key
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA thử nghiệm")])
        now = as_datetime(self.clock.now_ms())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now.replace(year=now.year - 1))
            .not_valid_after(now.replace(year=now.year + 9))
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA384())
        )

    def call(self, verb: str, **arguments: object) -> dict[str, object]:
        return self.handlers[verb](cast("Values", arguments))

    def order(self, kind: str, credential_id: str, **members: object) -> object:
        return self.ra.order(kind, credential_id, self.clock.now_ms(), **members)

    def otp(self, credential: Enrolled, steps: int = 0) -> str:
        moment = self.clock.now_ms() // 1000 + 30 * steps
        return pyotp.TOTP(credential.totp_secret).at(moment)


@dataclass(frozen=True)
class Enrolled:
    credential_id: str
    sealed: str
    pin_id: str
    totp_id: str
    pin: str
    totp_secret: str
    public_key: bytes

    def evidence(self, otp: str, pin: str | None = None) -> list[dict[str, str]]:
        return [
            {"factor_id": self.pin_id, "kind": "pin", "value": pin or self.pin},
            {"factor_id": self.totp_id, "kind": "totp", "value": otp},
        ]


def enrol(
    sam: Sam, scal: str = "2", multisign: int = 10, kinds: tuple[str, ...] = ("pin", "totp")
) -> Enrolled:
    credential_id, pin_id, totp_id = (new_id(sam.clock.now_ms()) for _ in range(3))
    ids = {"pin": pin_id, "totp": totp_id}
    factors = [{"id": ids[kind], "kind": kind} for kind in kinds]
    order = sam.order(
        "create_credential",
        credential_id,
        owner="subscriber",
        algorithm="p256",
        scal=scal,
        multisign=multisign,
        factors=factors,
    )
    made = sam.call("create_credential", order=order)
    secrets = sam.ra.open(unb64(made["secrets"]), credential_id)
    return Enrolled(
        credential_id,
        cast("str", made["sealed"]),
        pin_id,
        totp_id,
        secrets["pins"].get(pin_id, ""),
        secrets["totp"].get(totp_id, ""),
        unb64(made["public_key"]),
    )


DIGESTS = [hashlib.sha256(bytes([number])).digest() for number in range(3)]


def challenge(sam: Sam, official: Enrolled, **changes: object) -> dict[str, object]:
    arguments: dict[str, object] = {
        "credential_id": official.credential_id,
        "activation_id": new_id(sam.clock.now_ms()),
        "client_id": "portal",
        "hash_algorithm": "sha256",
        "hashes": [b64(value) for value in DIGESTS],
        "count": len(DIGESTS),
        "display_text": "Quyết định số 12/QĐ-BNV",
        "expires_at_ms": sam.clock.now_ms() + 300_000,
        **changes,
    }
    return {"activation_id": arguments["activation_id"], **sam.call("challenge", **arguments)}


def activate(sam: Sam, official: Enrolled, asked: dict[str, object], otp: str = "") -> str:
    answer = sam.call(
        "activate",
        sealed=official.sealed,
        challenge=asked["challenge"],
        evidence=official.evidence(otp or sam.otp(official)),
    )
    return cast("str", answer["sad"])


def sign(
    sam: Sam, official: Enrolled, asked: dict[str, object], sad: str, **changes: object
) -> list[bytes]:
    arguments: dict[str, object] = {
        "sealed": official.sealed,
        "sad": sad,
        "activation_id": asked["activation_id"],
        "client_id": "portal",
        "hashes": [b64(value) for value in DIGESTS],
        "sign_algo": ECDSA_SHA256,
        "hash_algorithm_oid": None,
        "sign_algo_params": None,
        **changes,
    }
    answer = sam.call("sign", **arguments)
    return [unb64(value) for value in cast("list[str]", answer["signatures"])]
