"""A bare signature value, as XML and JSON carry it, checked against the key of a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from remote_signing.rssp.validation.model import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - compared, and then called weak
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3_256": hashes.SHA3_256(),
    "sha3_384": hashes.SHA3_384(),
    "sha3_512": hashes.SHA3_512(),
}
_WRONG: Final = Problem("SIG_CRYPTO_FAILURE", "signature_wrong")


@dataclass(frozen=True, slots=True)
class Method:
    """``curve``: the only one that goes with it (JWA); empty: any."""

    scheme: Literal["rsassa_pkcs1v15", "rsassa_pss", "ecdsa", "ed25519"]
    digest: str
    curve: str = ""


def check(method: Method, certificate: bytes, value: bytes, signed: bytes) -> Problem | None:
    """Whether ``value`` is a signature of ``signed`` under the key of ``certificate`` (DER)."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return Problem("CERTIFICATE_CHAIN_GENERAL_FAILURE", "certificate_malformed")
    try:
        fits = _verify(method, key, value, signed)
    except InvalidSignature:
        return _WRONG
    return None if fits else _WRONG


def _verify(method: Method, key: object, value: bytes, signed: bytes) -> bool:
    """False when the key is not of the method's kind."""
    if isinstance(key, ed25519.Ed25519PublicKey) and method.scheme == "ed25519":
        key.verify(value, signed)
        return True
    if method.digest not in _HASHES:
        return False
    digest = _HASHES[method.digest]
    if isinstance(key, ec.EllipticCurvePublicKey) and method.scheme == "ecdsa":
        key.verify(_der(key, value, method), signed, ec.ECDSA(digest))
        return True
    if isinstance(key, rsa.RSAPublicKey) and method.scheme in _PADDINGS:
        key.verify(value, signed, _PADDINGS[method.scheme](digest), digest)
        return True
    return False


_PADDINGS: Final[dict[str, Callable[[hashes.HashAlgorithm], padding.AsymmetricPadding]]] = {
    "rsassa_pkcs1v15": lambda _: padding.PKCS1v15(),
    # RFC 9231 cl. 2.3.10, RFC 7518 cl. 3.5: the salt is as long as the digest.
    "rsassa_pss": lambda digest: padding.PSS(padding.MGF1(digest), digest.digest_size),
}


def _der(key: ec.EllipticCurvePublicKey, value: bytes, method: Method) -> bytes:
    """Both numbers stand one after the other, each as long as the curve's order."""
    half = (key.curve.key_size + 7) // 8
    if len(value) != 2 * half or method.curve not in {"", key.curve.name}:
        raise InvalidSignature
    first, second = (int.from_bytes(value[at : at + half]) for at in (0, half))
    return encode_dss_signature(first, second)
