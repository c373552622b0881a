"""Whether a SIM's signature covers a consent: raw or in CMS, RSA or ECDSA, one pinned certificate.

Pure functions over bytes. What does not fit is ``EvidenceInvalid`` with the reason as its private
cause; nothing else comes out, whatever the input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from remote_signing.algorithms import DIGESTS
from remote_signing.errors import EvidenceInvalid
from remote_signing.sam import cms, der

if TYPE_CHECKING:
    from collections.abc import Container

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificatePublicKeyTypes,
        PublicKeyTypes,
    )

    from remote_signing.algorithms import Digest
    from remote_signing.sam.consent_structure import ConsentStructure
    from remote_signing.sam.sealed import SimMode

RAW_FORMATS: Final = ("pkcs1", "ecdsa_der", "ecdsa_raw")
FORMATS: Final = ("cms", *RAW_FORMATS)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_SHORTEST_RSA = 2048
_SHA256 = DIGESTS["sha256"]

SimKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def acceptable_key(key: CertificatePublicKeyTypes | PublicKeyTypes) -> SimKey | None:
    """``key`` when it is of a kind and size that a SIM may sign with."""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _SHORTEST_RSA:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    return None


def check_consent(  # noqa: PLR0913, PLR0917 - the facts that make up one check
    certificate: x509.Certificate,
    known: Container[bytes],
    structure: ConsentStructure,
    mode: SimMode,
    form: str,
    signature: bytes,
) -> None:
    """Refuse a ``signature`` that is not one of the certificate's key over ``structure``.

    ``known`` are the certificates (DER) that a CMS may carry.
    """
    key = acceptable_key(certificate.public_key())
    if key is None:
        raise EvidenceInvalid("key of the pinned certificate")
    if form != "cms":
        if not any(verifies(key, form, signature, data) for data in structure.contents(mode)):
            raise EvidenceInvalid(f"{form} signature does not verify")
        return
    try:
        message = cms.read(signature)
        _check_signer(message, certificate, known)
    except der.DerInvalid as error:
        raise EvidenceInvalid(f"CMS: {error}") from None
    _check_content(message, structure, mode)
    if not _verifies(key, message.kind, message.signature, message.attributes, message.digest):
        raise EvidenceInvalid("CMS signature does not verify")


def verifies(key: SimKey, form: str, signature: bytes, data: bytes) -> bool:
    """Whether ``signature`` in the raw format ``form`` is over the SHA-256 of ``data``."""
    if form == "pkcs1":
        return _verifies(key, "rsa", signature, data, _SHA256)
    if form == "ecdsa_raw":
        half = (key.key_size + 7) // 8
        if len(signature) != 2 * half:
            return False
        r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
        signature = encode_dss_signature(r, s)
    return _verifies(key, "ec", signature, data, _SHA256)


def _verifies(key: SimKey, kind: cms.Kind, signature: bytes, data: bytes, digest: Digest) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), digest.hash)
            return kind == "rsa"
        # OpenSSL re-encodes an ECDSA signature and compares: DER in one spelling only.
        key.verify(signature, data, ec.ECDSA(digest.hash))
    except InvalidSignature:
        return False
    return kind == "ec"


def _check_signer(
    message: cms.SignedMessage, certificate: x509.Certificate, known: Container[bytes]
) -> None:
    # As the certificate spells them; a version is always there in one with extensions.
    fields = der.items(der.read(certificate.tbs_certificate_bytes, der.SEQUENCE))
    _version, serial, _algorithm, issuer, *_ = fields
    names = [der.write(der.SEQUENCE, issuer.encoded, serial.encoded)]
    names += [
        extension.value.digest
        for extension in certificate.extensions
        if isinstance(extension.value, x509.SubjectKeyIdentifier)
    ]
    if message.signer not in names:
        raise EvidenceInvalid("CMS names another signer than the pinned certificate")
    if not all(embedded in known for embedded in message.certificates):
        raise EvidenceInvalid("CMS carries a certificate that is not of the pinned chain")


def _check_content(message: cms.SignedMessage, structure: ConsentStructure, mode: SimMode) -> None:
    contents = structure.contents(mode)
    if message.content is not None:
        attached = (structure.digest,) if mode == "digest" else contents
        contents = tuple(data for data in attached if data == message.content)
    if message.message_digest not in {_hash(message.digest, data) for data in contents}:
        raise EvidenceInvalid("CMS is over something else")


def _hash(digest: Digest, data: bytes) -> bytes:
    state = hashes.Hash(digest.hash)
    state.update(data)
    return state.finalize()


def load_key(public_key: bytes) -> SimKey | None:
    """The key in ``public_key`` (SPKI DER) when a SIM may sign with it."""
    try:
        key = serialization.load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return acceptable_key(key)
