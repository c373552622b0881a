"""CMS SignedData (RFC 5652) around a signature that a SIM makes.

An MSSP has no key. It writes down what is to be signed (the signed attributes), has the card sign
their digest, and puts the parts together.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

if TYPE_CHECKING:
    from sim_adapter.ota.orders import Signed

_SHA256 = "sha256"


def signed_attributes(message_digest: bytes) -> cms.CMSAttributes:
    """Content type (id-data) and message digest, RFC 5652 cl. 11.1 and 11.2."""
    return cms.CMSAttributes(
        [
            {"type": "content_type", "values": [cms.ContentType("data")]},
            {"type": "message_digest", "values": [core.OctetString(message_digest)]},
        ]
    )


def digest_to_sign(attributes: cms.CMSAttributes) -> bytes:
    """SHA-256 over the attributes as a DER SET (RFC 5652 cl. 5.4)."""
    return hashlib.sha256(attributes.untag().dump()).digest()


def signed_data(
    attributes: cms.CMSAttributes, signature: bytes, certificate: bytes, content: bytes | None
) -> bytes:
    """The DER of a ContentInfo; ``content`` None makes it detached."""
    held = asn1_x509.Certificate.load(certificate)
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                "issuer_and_serial_number",
                cms.IssuerAndSerialNumber(
                    {"issuer": held.issuer, "serial_number": held.serial_number}
                ),
            ),
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": _SHA256}),
            "signed_attrs": attributes,
            "signature_algorithm": _signature_algorithm(held),
            "signature": signature,
        }
    )
    encapsulated: dict[str, object] = {"content_type": "data"}
    if content is not None:
        encapsulated["content"] = content
    inside = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": _SHA256})],
            "encap_content_info": encapsulated,
            "certificates": [held],
            "signer_infos": [signer],
        }
    )
    whole: bytes = cms.ContentInfo({"content_type": "signed_data", "content": inside}).dump()
    return whole


def value_for_cms(signed: Signed) -> bytes:
    """The card's value as CMS wants it: ECDSA as a DER sequence of r and s (RFC 5753)."""
    if len(signed.signature) != _EC_OCTETS:
        return signed.signature
    half = _EC_OCTETS // 2
    r, s = signed.signature[:half], signed.signature[half:]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


_EC_OCTETS = 64  # P-256: r and s; an RSA value is longer


def _signature_algorithm(certificate: asn1_x509.Certificate) -> algos.SignedDigestAlgorithm:
    name = "sha256_ecdsa" if certificate.public_key.algorithm == "ec" else "sha256_rsa"
    return algos.SignedDigestAlgorithm({"algorithm": name})
