"""Somebody else's time-stamping authority, in software, honest or not."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from remote_signing.algorithms import algorithm_named
from remote_signing.clock import SystemClock, as_datetime
from remote_signing.sam.config import AuthorityConfig
from remote_signing.sam.service_keys import ServiceKey
from remote_signing.sam.timestamps import Timestamps
from tests.support.soft_node import ActiveKey

if TYPE_CHECKING:
    from remote_signing.sam.hsm.signing import ActiveKey as HsmKey
    from remote_signing.sam.service_keys import ServiceKeys
    from remote_signing.sam.steady_clock import SteadyClock
    from remote_signing.sap import TimestampRequest

_STAMPS, _OTHER = ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING
_USAGES = {
    "right": ([_STAMPS], True),
    "two": ([_STAMPS, _OTHER], True),
    "not-critical": ([_STAMPS], False),
    "other": ([_OTHER], True),
}


class Foreign:
    """``usage`` names what its certificate is for; its clock is ``ahead_ms`` of ours."""

    def __init__(self, usage: str = "right", ahead_ms: int = 0) -> None:
        self._ahead_ms = ahead_ms
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _certificate("gốc", "gốc", root_key.public_key(), root_key)
        self.anchor = root.public_bytes(Encoding.DER)
        certificate = _certificate("TSA", "gốc", key.public_key(), root_key, usage)
        self._key = ServiceKey(
            algorithm_named("p256"),
            cast("HsmKey", ActiveKey(key)),
            certificate,
            certificate.public_bytes(Encoding.DER),
        )
        config = AuthorityConfig(
            policy_oid="1.2.3",
            practice_statement_url="http://pki.example/cps",
            crl_url="http://pki.example/ca.crl",
            ocsp_url="http://pki.example/ocsp",
            issuer_url="http://pki.example/ca.crt",
            timestamp_policy_oid="1.2.3.4",
            timestamp_accuracy_ms=1500,
        )
        self._stamps = Timestamps(
            config, cast("ServiceKeys", self), self.anchor, cast("SteadyClock", self)
        )

    def key(self, _purpose: str, _now_ms: int) -> ServiceKey:
        return self._key

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self._ahead_ms

    def stamp(self, request: TimestampRequest) -> bytes:
        answer = self._stamps.verbs["timestamp"](
            {
                "hash_algorithm_oid": request.hash_algorithm_oid,
                "digest": base64.b64encode(request.digest).decode(),
                "nonce": None if request.nonce is None else f"{request.nonce:x}",
                "policy_oid": request.policy_oid,
                "certificates": request.certificates,
            }
        )
        return base64.b64decode(cast("str", answer["token"]))


def _certificate(
    subject: str,
    issuer: str,
    public_key: ec.EllipticCurvePublicKey,
    key: ec.EllipticCurvePrivateKey,
    usage: str = "",
) -> x509.Certificate:
    now = as_datetime(SystemClock().now_ms()) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=10))
        .add_extension(x509.BasicConstraints(ca=not usage, path_length=None), critical=True)
    )
    if usage in _USAGES:
        purposes, critical = _USAGES[usage]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical)
    return builder.sign(key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
