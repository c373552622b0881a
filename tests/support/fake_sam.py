"""A SAM in software, for races and faults that need no HSM. It checks what the real one checks.

It keeps no state, so any number of processes are one cluster; in particular it does not remember
one-time codes: what refuses their second use in these tests is the database. Faults are ordered
with :attr:`FakeSam.faults`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyotp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, hpke, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from remote_signing.algorithms import algorithm_named, resolve_scheme
from remote_signing.clock import as_datetime
from remote_signing.errors import (
    ChallengeExpired,
    EvidenceInsufficient,
    EvidenceInvalid,
    HashNotAuthorised,
    RecordRevoked,
    SadExpired,
    SadInvalid,
    SealBroken,
)
from remote_signing.identifiers import new_id
from remote_signing.sap import (
    Activated,
    Challenge,
    CreatedCredential,
    Resealed,
    SamStatus,
    Signed,
    SignedCrl,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remote_signing.clock import Clock
    from remote_signing.sap import (
        ChallengeRequest,
        Evidence,
        Order,
        RevokedCertificate,
        SignRequest,
    )

SAD_LIFETIME_MS = 300_000
_SEAL_KEY = b"only for tests"
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_DER = serialization.Encoding.DER
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_ISSUER_KEY = ec.generate_private_key(ec.SECP256R1())
_ISSUER = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA thử nghiệm")])


def seal(members: dict[str, Any]) -> bytes:
    text = json.dumps(members, sort_keys=True).encode()
    return hmac.digest(_SEAL_KEY, text, "sha256") + text


def unseal(sealed: bytes) -> dict[str, Any]:
    if not hmac.compare_digest(hmac.digest(_SEAL_KEY, sealed[32:], "sha256"), sealed[:32]):
        raise SealBroken("changed")
    members: dict[str, Any] = json.loads(sealed[32:])
    return members


class FakeSam:
    """The methods of :class:`remote_signing.sap.SapClient`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # verb → what its next calls run into, in order; None lets a call through
        self.faults: dict[str, list[Exception | None]] = defaultdict(list)
        # verb → called before its answer leaves
        self.before_answer: dict[str, Callable[[], None]] = {}
        self.calls: dict[str, int] = defaultdict(int)
        self.revoked: set[str] = set()
        self.journal: dict[str, int] = {}
        self.healthy = True

    def _enter(self, verb: str) -> None:
        self.calls[verb] += 1
        faults = self.faults[verb]
        fault = faults.pop(0) if faults else None
        if fault is not None:
            raise fault

    def _leave(self, verb: str) -> None:
        self.before_answer.get(verb, lambda: None)()

    def create_credential(self, order: Order) -> CreatedCredential:
        self._enter("create_credential")
        members = _payload(order)
        key = ec.generate_private_key(ec.SECP256R1())
        secrets, factors = _new_factors(members)
        record = {
            "credential_id": members["credential_id"],
            "version": 1,
            "algorithm": members["algorithm"],
            "scal": members["scal"],
            "key": key.private_bytes(
                _DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).hex(),
            "factors": factors,
        }
        request = x509.CertificateSigningRequestBuilder().subject_name(_ISSUER)
        return CreatedCredential(
            sealed=seal(record),
            version=1,
            public_key=key.public_key().public_bytes(_DER, _SPKI),
            csr=request.sign(key, hashes.SHA256()).public_bytes(_DER),
            secrets=secrets,
        )

    def certify(self, sealed: bytes, order: Order) -> Resealed:
        self._enter("certify")
        members, record = _payload(order), self._live(sealed)
        start = as_datetime(self._clock.now_ms() - 300_000)
        end = as_datetime(self._clock.now_ms() + members["validity_days"] * 86_400_000)
        subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, members["subject"]["common_name"])]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(_ISSUER)
            .public_key(_key(record).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .sign(_ISSUER_KEY, hashes.SHA256())
            .public_bytes(_DER)
        )
        return self._resealed(record, certificate=certificate)

    def install_certificate(self, sealed: bytes, certificate: bytes, order: Order) -> Resealed:
        self._enter("install_certificate")
        assert _payload(order)["certificate_sha256"] == hashlib.sha256(certificate).hexdigest()
        return self._resealed(self._live(sealed), certificate=certificate)

    def bind_factor(self, sealed: bytes, *, order: Order) -> Resealed:
        self._enter("bind_factor")
        members, record = _payload(order), self._live(sealed)
        secrets, factors = _new_factors(members)
        record["factors"] |= factors
        return self._resealed(record, secrets=secrets)

    def drop_factor(self, sealed: bytes, order: Order) -> Resealed:
        self._enter("drop_factor")
        record = self._live(sealed)
        gone = _payload(order)["factor_id"]
        del record["factors"][gone]
        self.revoked.add(gone)
        return self._resealed(record)

    @staticmethod
    def _resealed(
        record: dict[str, Any], certificate: bytes | None = None, secrets: bytes | None = None
    ) -> Resealed:
        record["version"] += 1
        return Resealed(seal(record), record["version"], certificate, secrets)

    def challenge(self, request: ChallengeRequest) -> Challenge:
        self._enter("challenge")
        token = seal(
            {
                "credential_id": request.credential_id,
                "activation_id": request.activation_id,
                "client_id": request.client_id,
                "hash_algorithm": request.hash_algorithm,
                "hashes": [value.hex() for value in request.hashes],
                "count": request.count,
                "display": hashlib.sha256(request.display_text.encode()).hexdigest(),
                "expires_at_ms": request.expires_at_ms,
                "nonce": new_id(time.time_ns() // 1_000_000),
            }
        )
        digest = hashlib.sha256(token).digest()
        self._leave("challenge")
        return Challenge(token, digest, f"{int.from_bytes(digest[:2]) % 10_000:04d}")

    def activate(self, sealed: bytes, challenge: bytes, evidence: Sequence[Evidence]) -> Activated:
        self._enter("activate")
        now = self._clock.now_ms()
        record, bound = self._live(sealed), unseal(challenge)
        assert bound["credential_id"] == record["credential_id"]
        if bound["expires_at_ms"] <= now:
            raise ChallengeExpired
        kinds = {item["kind"] for item in evidence}
        if len(kinds) < (1 if record["scal"] == "1" else 2) or len(kinds) != len(evidence):
            raise EvidenceInsufficient
        factor_id, step = self._check(record, evidence, now)
        sad = seal({"bound": bound, "expires_at_ms": now + SAD_LIFETIME_MS})
        self._leave("activate")
        return Activated(
            sad, now + SAD_LIFETIME_MS, hashlib.sha256(challenge).digest(), factor_id, step
        )

    def activate_all(
        self, sealed: bytes, challenges: Sequence[bytes], evidence: Sequence[Evidence]
    ) -> tuple[Activated, ...]:
        self._enter("activate_all")
        given = [self.activate(sealed, challenge, evidence) for challenge in challenges]
        self._leave("activate_all")
        return tuple(given)

    @staticmethod
    def _check(
        record: dict[str, Any], evidence: Sequence[Evidence], now: int
    ) -> tuple[str | None, int | None]:
        used: tuple[str | None, int | None] = (None, None)
        for item in evidence:
            factor = record["factors"].get(item["factor_id"])
            if factor is None or factor["kind"] != item["kind"]:
                raise EvidenceInsufficient
            if factor["kind"] == "pin" and factor["value"] != item["value"]:
                raise EvidenceInvalid("PIN", attempts_left=99)
            if factor["kind"] == "totp":
                steps = [now // 30_000 + shift for shift in (0, -1, 1)]
                codes = {pyotp.TOTP(factor["value"]).generate_otp(step): step for step in steps}
                if item["value"] not in codes:
                    raise EvidenceInvalid("TOTP", attempts_left=99)
                used = (item["factor_id"], codes[item["value"]])
        return used

    def sign(self, request: SignRequest) -> Signed:
        self._enter("sign")
        record, sad = self._live(request.sealed), unseal(request.sad)
        if sad["expires_at_ms"] <= self._clock.now_ms():
            raise SadExpired
        bound = sad["bound"]
        if (bound["credential_id"], bound["activation_id"], bound["client_id"]) != (
            record["credential_id"],
            request.activation_id,
            request.client_id,
        ):
            raise SadInvalid
        scheme = resolve_scheme(
            algorithm_named(record["algorithm"]),
            request.sign_algo,
            request.hash_algorithm_oid,
            request.sign_algo_params,
        )
        left = list(bound["hashes"])
        for value in request.hashes if left else ():
            if value.hex() not in left or bound["hash_algorithm"] != scheme.digest.name:
                raise HashNotAuthorised
            left.remove(value.hex())
        key, algorithm = _key(record), ec.ECDSA(Prehashed(scheme.digest.hash))
        signatures = tuple(key.sign(value, algorithm) for value in request.hashes)
        self._leave("sign")
        return Signed(signatures, "fake")

    def destroy(self, sealed: bytes, order: Order) -> int:
        self._enter("destroy")
        assert _payload(order)["credential_id"] == unseal(sealed)["credential_id"]
        self.revoked.add(unseal(sealed)["credential_id"])
        self._leave("destroy")
        return len(self.revoked)

    def revoke(self, order: Order) -> int:
        self._enter("revoke")
        self.revoked.add(_payload(order)["credential_id"])
        self._leave("revoke")
        return len(self.revoked)

    def sign_crl(self, revoked: Sequence[RevokedCertificate]) -> SignedCrl:
        """Numbers are the time's, as the real ones are; ``before_answer`` may change things."""
        self._enter("sign_crl")
        number = time.time_ns()
        now = as_datetime(self._clock.now_ms())
        builder = (
            x509.CertificateRevocationListBuilder(_ISSUER, now, now + timedelta(days=1))
        ).add_extension(x509.CRLNumber(number), critical=False)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial)
            entry = entry.revocation_date(as_datetime(each.at_ms))
            builder = builder.add_revoked_certificate(entry.build())
        crl = builder.sign(_ISSUER_KEY, hashes.SHA256()).public_bytes(_DER)
        self._leave("sign_crl")
        return SignedCrl(crl, number)

    def unlock(self, sealed: bytes, order: Order) -> Resealed:
        self._enter("unlock")
        assert _payload(order)["kind"] == "unlock"
        record = self._live(sealed)
        record["version"] += 1
        return Resealed(seal(record), record["version"])

    def status(self) -> SamStatus:
        self._enter("status")
        node: Any = {"name": "fake", "healthy": self.healthy, "workers": 1}
        return SamStatus("fake", (node,), len(self.revoked), b"", (b"issuing", b"root"))

    def close(self) -> None:
        self._enter("close")

    def _live(self, sealed: bytes) -> dict[str, Any]:
        record = unseal(sealed)
        if record["credential_id"] in self.revoked:
            raise RecordRevoked
        return record


def _payload(order: Order) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(base64.b64decode(order["payload"]))
    return members


def _new_factors(members: dict[str, Any]) -> tuple[bytes, dict[str, dict[str, str]]]:
    secrets: dict[str, dict[str, str]] = {"pins": {}, "totp": {}}
    factors = {}
    for factor in members["factors"]:
        value = "24681357" if factor["kind"] == "pin" else pyotp.random_base32()
        secrets["pins" if factor["kind"] == "pin" else "totp"][factor["id"]] = value
        factors[factor["id"]] = {"kind": factor["kind"], "value": value}
    key = X25519PublicKey.from_public_bytes(base64.b64decode(members["recipient"]))
    info = b"remote-signing/factor-secrets/v1|" + members["credential_id"].encode()
    return _SUITE.encrypt(json.dumps(secrets).encode(), key, info=info), factors


def _key(record: dict[str, Any]) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_der_private_key(bytes.fromhex(record["key"]), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
