"""What a certificate's issuer says of it: stapled OCSP responses and CRLs, believed when signed.

The SAM calls nobody, so whoever asks for an activation brings them along. One that is malformed,
signed by another, about another certificate or from the future is no statement at all; the policy
(:mod:`.sim_trust`) decides what to do without one.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger(__name__)

STRONG: Final = ("sha256", "sha384", "sha512")
_WITHOUT_END = dt.timedelta(hours=24)  # how long a status without nextUpdate counts
_SKEW = dt.timedelta(minutes=5)
_DER = (serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
_SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
_POINT = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of the issuer: made at ``this_update``, to be relied on up to ``until``."""

    source: str
    revoked: bool
    this_update: dt.datetime
    until: dt.datetime


class _Unusable(ValueError):
    """Well-formed, and no statement about this certificate that counts."""


def statements(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    responses: Sequence[bytes],
    crls: Sequence[bytes],
    now: dt.datetime,
) -> list[Statement]:
    """The statements about ``certificate`` that its ``issuer`` vouches for, ``now`` or earlier."""
    found: list[Statement] = []
    for source, read, documents in (("ocsp", _ocsp, responses), ("crl", _crl, crls)):
        for document in documents:
            try:
                found += [
                    statement
                    for statement in read(certificate, issuer, document, now)
                    if statement.this_update <= now + _SKEW
                ]
            # A parser of others raises what it likes; none of it may end the worker.
            except Exception as error:  # noqa: BLE001 - as said
                log.info("unusable status", extra={"source": source, "cause": str(error)})
    return found


# OCSP (RFC 6960)


def _ocsp(
    certificate: x509.Certificate, issuer: x509.Certificate, document: bytes, now: dt.datetime
) -> Iterator[Statement]:
    response = ocsp.load_der_ocsp_response(document)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise _Unusable("the responder gave no answer")
    responder = _responder(response, issuer, now)
    algorithm = response.signature_hash_algorithm
    if algorithm is None or algorithm.name not in STRONG:
        raise _Unusable("digest of the response's signature")
    _verify(responder, response.signature, response.tbs_response_bytes, algorithm)
    for single in response.responses:
        if _is_about(single, certificate, issuer):
            yield Statement(
                source="ocsp",
                revoked=single.certificate_status is ocsp.OCSPCertStatus.REVOKED,
                this_update=single.this_update_utc,
                until=single.next_update_utc or single.this_update_utc + _WITHOUT_END,
            )


def _responder(
    response: ocsp.OCSPResponse, issuer: x509.Certificate, now: dt.datetime
) -> x509.Certificate:
    """The issuer itself, or a responder that it certified for this purpose (cl. 4.2.2.2)."""
    for candidate in (issuer, *response.certificates):
        if not _is_named(response, candidate):
            continue
        if candidate is not issuer:
            _check_delegation(candidate, issuer, now)
        return candidate
    raise _Unusable("not signed by the issuer or its responder")


def _is_named(response: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == candidate.subject
    # SHA-1 is what RFC 6960 cl. 4.2.1 names a responder by; the signature protects, not this.
    return response.responder_key_hash == _key_hash(candidate, hashes.SHA1())  # noqa: S303 - as said


def _check_delegation(
    responder: x509.Certificate, issuer: x509.Certificate, now: dt.datetime
) -> None:
    responder.verify_directly_issued_by(issuer)
    algorithm = responder.signature_hash_algorithm
    if algorithm is None or algorithm.name not in STRONG:
        raise _Unusable("digest of the responder's certificate")
    if not responder.not_valid_before_utc <= now <= responder.not_valid_after_utc:
        raise _Unusable("the responder's certificate is outside its time")
    uses = [x.value for x in responder.extensions if isinstance(x.value, x509.ExtendedKeyUsage)]
    if not any(ExtendedKeyUsageOID.OCSP_SIGNING in use for use in uses):
        raise _Unusable("a certificate that is not for OCSP")


def _is_about(
    single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    """Good or revoked, and of this certificate; "unknown" is no statement."""
    algorithm = single.hash_algorithm
    return (
        single.certificate_status is not ocsp.OCSPCertStatus.UNKNOWN
        and single.serial_number == certificate.serial_number
        and single.issuer_name_hash == _digest(algorithm, issuer.subject.public_bytes())
        and single.issuer_key_hash == _key_hash(issuer, algorithm)
    )


def _key_hash(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> bytes:
    """The digest of the key's bits, without the algorithm in front of them (cl. 4.1.1)."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return _digest(algorithm, key.public_bytes(*_DER))
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _digest(algorithm, key.public_bytes(*_POINT))
    raise _Unusable("kind of the issuer's key")


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    state = hashes.Hash(algorithm)
    state.update(data)
    return state.finalize()


def _verify(
    signer: x509.Certificate, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm
) -> None:
    key = signer.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(algorithm))
    else:
        raise _Unusable("kind of the responder's key")


# CRL (RFC 5280 cl. 5)


def _crl(
    certificate: x509.Certificate, issuer: x509.Certificate, document: bytes, _now: dt.datetime
) -> Iterator[Statement]:
    crl = x509.load_der_x509_crl(document)
    algorithm = crl.signature_hash_algorithm
    if algorithm is None or algorithm.name not in STRONG:
        raise _Unusable("digest of the list's signature")
    if crl.issuer != issuer.subject or not _may_sign_lists(issuer):
        raise _Unusable("a list of another issuer")
    key = issuer.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise _Unusable("kind of the issuer's key")
    if not crl.is_signature_valid(key):
        raise _Unusable("the list's signature does not verify")
    _check_scope(crl, certificate)
    yield Statement(
        source="crl",
        revoked=crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None,
        this_update=crl.last_update_utc,
        until=crl.next_update_utc or crl.last_update_utc + _WITHOUT_END,
    )


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    usages = [item.value for item in issuer.extensions if isinstance(item.value, x509.KeyUsage)]
    return all(usage.crl_sign for usage in usages)


def _check_scope(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> None:
    """Refuse a list that would not name the certificate even if it were revoked."""
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            partial = (
                value.only_contains_ca_certs
                or value.only_contains_attribute_certs
                or value.indirect_crl
                or value.only_some_reasons
                or value.relative_name
            )
            names = set(value.full_name or ())
            if partial or (names and not names & _points(certificate)):
                raise _Unusable("a list of other certificates")
        elif extension.critical:
            raise _Unusable("a critical extension of the list")


def _points(certificate: x509.Certificate) -> set[x509.GeneralName]:
    return {
        name
        for extension in certificate.extensions
        if isinstance(extension.value, x509.CRLDistributionPoints)
        for point in extension.value
        for name in point.full_name or ()
    }
