"""How strong the cryptography of a signature is (ETSI TS 119 312)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from remote_signing.rssp.validation.model import BROKEN, STRONG

_SHORTEST_RSA = 2048
_SHORTEST_EC = 256


@dataclass(frozen=True, slots=True)
class Strength:
    """``key``: such as ``RSA 3072`` or ``EC secp256r1``; empty when there is no certificate."""

    key: str
    scheme: str
    digest: str
    enough: bool


def strength(certificate: bytes | None, scheme: str, digest: str) -> Strength:
    """Of a signature with ``scheme`` and ``digest`` under the key of ``certificate`` (DER)."""
    key, enough = _key(certificate)
    return Strength(key, scheme, digest, enough and digest.replace("-", "_") in STRONG)


def _key(certificate: bytes | None) -> tuple[str, bool]:
    if certificate is None:
        return "", False
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (*BROKEN, Exception):  # noqa: BLE001 - UnsupportedAlgorithm and whatever else it says
        return "", False
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}", key.key_size >= _SHORTEST_RSA
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}", key.curve.key_size >= _SHORTEST_EC
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return type(key).__name__.removesuffix("PublicKey"), True
    return type(key).__name__.removesuffix("PublicKey"), False
