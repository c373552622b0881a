"""What kind of value a signature is, told by the certificate that came with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sim_adapter.errors import InvalidInput

if TYPE_CHECKING:
    from sim_adapter.mss.model import Signature

Format = Literal["cms", "pkcs1", "ecdsa_raw", "ecdsa_der"]
_SEQUENCE = 0x30


def format_of(value: bytes, certificate: bytes | None) -> Format:
    """``cms`` without a certificate beside it, else by its key. ``InvalidInput`` for others.

    FiCom's PKCS1 element carries the bare value of whatever key the SIM has.
    """
    if certificate is None:
        return "cms"
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except Exception as error:  # noqa: BLE001 - X.509 libraries fail in many ways; all mean: no
        raise InvalidInput(f"the certificate beside the signature: {error}") from None
    if isinstance(key, rsa.RSAPublicKey):
        return "pkcs1"
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidInput("a key that is neither RSA nor of an elliptic curve")
    if len(value) == 2 * ((key.key_size + 7) // 8):
        return "ecdsa_raw"
    if value[:1] != bytes([_SEQUENCE]):
        raise InvalidInput("neither r and s nor a DER sequence of them")
    return "ecdsa_der"


def check(signature: Signature | None) -> None:
    """``InvalidInput`` when there is none, or nobody could say what it is."""
    if signature is None or not signature.value:
        raise InvalidInput("no signature")
    format_of(signature.value, signature.certificate)
