"""Time-stamp tokens as octets (RFC 3161, RFC 5652, RFC 5816): what is always the same is made once.

asn1crypto takes 9 ms of processor time for a token, ten times what the key does (measured). So it
encodes the parts that a key's tokens share, and what differs is put between them here: five short
values, each of a type whose DER is a line of code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asn1crypto import algos, cms, core, tsp, x509

from remote_signing.clock import as_datetime

if TYPE_CHECKING:
    from remote_signing.algorithms import Digest

_INTEGER, _OCTETS, _SEQUENCE, _SET, _TIME = 0x02, 0x04, 0x30, 0x31, 0x18
_EXPLICIT_0 = 0xA0  # also the implicit [0] of a set
_SIGNATURES = {"ec": "sha256_ecdsa", "rsa": "sha256_rsa"}
_SIGNED_DATA: bytes = cms.ContentType("signed_data").dump()
_TST_INFO: bytes = cms.ContentType("tst_info").dump()
_SHA256: bytes = algos.DigestAlgorithm({"algorithm": "sha256"}).dump()
_MESSAGE_DIGEST: bytes = cms.CMSAttributeType("message_digest").dump()
_CONTENT_TYPE: bytes = cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}).dump()


@dataclass(frozen=True, slots=True)
class Stamp:
    """What one TSTInfo says beside the policy and the accuracy."""

    digest: Digest
    imprint: bytes
    serial: int
    now_ms: int
    nonce: int | None


class TokenForm:
    """The tokens of one key: ``kind`` is ``ec`` or ``rsa``, certificates are DER."""

    def __init__(self, kind: str, certificate: bytes, issuer: bytes) -> None:
        parsed = x509.Certificate.load(certificate)
        sid = {"issuer": parsed.issuer, "serial_number": parsed.serial_number}
        self._sid: bytes = cms.IssuerAndSerialNumber(sid).dump()
        self._signing_certificate = _signing_certificate(parsed)
        algorithm = algos.SignedDigestAlgorithm({"algorithm": _SIGNATURES[kind]})
        self._algorithm: bytes = algorithm.dump()
        self._certificates = _tlv(_EXPLICIT_0, *sorted((certificate, issuer)))

    def attributes(self, info: bytes) -> bytes:
        """The signed attributes over a TSTInfo: the DER of a SET, which is what is signed."""
        digest = _tlv(_OCTETS, hashlib.sha256(info).digest())
        message_digest = _tlv(_SEQUENCE, _MESSAGE_DIGEST, _tlv(_SET, digest))
        return _tlv(_SET, *sorted((_CONTENT_TYPE, message_digest, self._signing_certificate)))

    def token(
        self, info: bytes, attributes: bytes, signature: bytes, *, with_certificates: bool
    ) -> bytes:
        """ContentInfo with the SignedData, version 3 as its content is no plain data."""
        signer = _tlv(
            _SEQUENCE,
            _integer(1),
            self._sid,
            _SHA256,
            bytes([_EXPLICIT_0]) + attributes[1:],  # [0] IMPLICIT SET
            self._algorithm,
            _tlv(_OCTETS, signature),
        )
        signed = _tlv(
            _SEQUENCE,
            _integer(3),
            _tlv(_SET, _SHA256),
            _tlv(_SEQUENCE, _TST_INFO, _tlv(_EXPLICIT_0, _tlv(_OCTETS, info))),
            self._certificates if with_certificates else b"",
            _tlv(_SET, signer),
        )
        return _tlv(_SEQUENCE, _SIGNED_DATA, _tlv(_EXPLICIT_0, signed))


class InfoForm:
    """TSTInfo under one policy, with one accuracy.

    Without ``ordering``: several workers and hosts do not wait for each other.
    """

    def __init__(self, policy_oid: str, accuracy_ms: int) -> None:
        self._policy: bytes = core.ObjectIdentifier(policy_oid).dump()
        self._accuracy: bytes = tsp.Accuracy(_accuracy(accuracy_ms)).dump()

    def info(self, stamp: Stamp) -> bytes:
        """The DER of one TSTInfo; times in whole seconds, which every reader understands."""
        algorithm: bytes = algos.DigestAlgorithm({"algorithm": stamp.digest.oid}).dump()
        time = f"{as_datetime(stamp.now_ms):%Y%m%d%H%M%SZ}".encode("ascii")
        return _tlv(
            _SEQUENCE,
            _integer(1),
            self._policy,
            _tlv(_SEQUENCE, algorithm, _tlv(_OCTETS, stamp.imprint)),
            _integer(stamp.serial),
            _tlv(_TIME, time),
            self._accuracy,
            b"" if stamp.nonce is None else _integer(stamp.nonce),
        )


def _tlv(tag: int, *parts: bytes) -> bytes:
    """Tag, length, value (X.690 cl. 8.1, 10.1)."""
    value = b"".join(parts)
    size = len(value)
    if size < 0x80:  # noqa: PLR2004 - the short form
        return bytes([tag, size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + value


def _integer(value: int) -> bytes:
    """An INTEGER that is not negative; a leading nought keeps it so."""
    return _tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def _accuracy(milliseconds: int) -> dict[str, int]:
    """Without members that are nought (RFC 3161 cl. 2.4.2: a millis of 1 to 999)."""
    seconds, rest = divmod(milliseconds, 1000)
    parts = {"seconds": seconds, "millis": rest}
    return {name: value for name, value in parts.items() if value}


def _signing_certificate(certificate: x509.Certificate) -> bytes:
    """The attribute signingCertificateV2 with an ESSCertIDv2 (RFC 5816 cl. 2.2.1)."""
    issuer = x509.GeneralName("directory_name", certificate.issuer)
    identifier = {
        "cert_hash": hashlib.sha256(certificate.dump()).digest(),
        "issuer_serial": {"issuer": [issuer], "serial_number": certificate.serial_number},
    }
    value = tsp.SigningCertificateV2({"certs": [tsp.ESSCertIDv2(identifier)]})
    attribute = cms.CMSAttribute({"type": "signing_certificate_v2", "values": [value]})
    encoded: bytes = attribute.dump()
    return encoded
