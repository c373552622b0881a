"""The embedded certification authority: end-entity certificates, signed by a key in the HSM.

A certificate is made from a registration-authority order only (:mod:`.orders`): the SAM itself
builds the bytes that the issuing key signs, so nobody outside can have others signed. Profiles
follow RFC 5280 and what is known of the government's own certificates: names in UTF-8, several
organisational units in descending order, title and official e-mail.
"""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from remote_signing.clock import as_datetime
from remote_signing.errors import OrderInvalid
from remote_signing.sam.orders import Members, integer, text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from remote_signing.sam.config import AuthorityConfig
    from remote_signing.sam.hsm import Node

PROFILES = ("official", "organisation")
_LONGEST_DAYS = 5 * 366  # Decree 68/2024 Art. 9: a subscriber's first certificate, five years
_BACKDATED = dt.timedelta(minutes=5)  # relying parties' clocks differ
_UNITS = 8
_DER = serialization.Encoding.DER
# Attribute, its OID and its upper bound (RFC 5280 appendix A.1; organisations: what is in use).
_BEFORE_UNITS = (
    ("locality", NameOID.LOCALITY_NAME, 128),
    ("organization", NameOID.ORGANIZATION_NAME, 128),
)
_UNIT = ("unit", NameOID.ORGANIZATIONAL_UNIT_NAME, 128)
_AFTER_UNITS = (
    ("common_name", NameOID.COMMON_NAME, 64),
    ("title", NameOID.TITLE, 64),
    ("serial_number", NameOID.SERIAL_NUMBER, 64),
    ("email", NameOID.EMAIL_ADDRESS, 255),
)
_ASCII_ONLY = (NameOID.EMAIL_ADDRESS, NameOID.SERIAL_NUMBER)
_KEY_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=True,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def issue(
    node: Node, config: AuthorityConfig, issuer: x509.Certificate, order: Members, public_key: bytes
) -> bytes:
    """A certificate (DER) for ``public_key`` (SPKI DER) as the verified ``order`` says.

    ``order`` members: profile, subject, validity_days. Key usage is contentCommitment alone: these
    keys sign what a person or an organisation stands for, nothing else.
    """
    if order.get("profile") not in PROFILES:
        raise OrderInvalid("no such certificate profile")
    days = integer(order, "validity_days", 1, _LONGEST_DAYS)
    start = as_datetime(integer(order, "issued_at_ms", 0, 2**52)) - _BACKDATED
    end = min(start + dt.timedelta(days=days), issuer.not_valid_after_utc)
    key = cast("CertificatePublicKeyTypes", serialization.load_der_public_key(public_key))
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(order))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(
            secrets.randbits(158) | 1 << 158
        )  # RFC 5280 cl. 4.1.2.2; positive, fixed size
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for extension, critical in _extensions(config, issuer, key):
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(node.authority_key("rs-ca-issuing"), hashes.SHA384())
    return certificate.public_bytes(_DER)


def _subject(order: Members) -> x509.Name:
    subject = order.get("subject")
    if not isinstance(subject, dict):
        raise OrderInvalid("subject is not an object")
    units = subject.get("organizational_units", [])
    if not isinstance(units, list) or len(units) > _UNITS:
        raise OrderInvalid("organizational_units is not a short list")
    text(subject, "common_name")
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")]
    for form in _BEFORE_UNITS:
        attributes += _attribute(subject, *form)
    for unit in units:
        attributes += _attribute({"unit": unit}, *_UNIT)
    for form in _AFTER_UNITS:
        attributes += _attribute(subject, *form)
    return x509.Name(attributes)


def _attribute(
    subject: Members, name: str, oid: x509.ObjectIdentifier, longest: int
) -> list[x509.NameAttribute[str]]:
    if subject.get(name) is None:
        return []
    value = text(subject, name, longest)
    if oid in _ASCII_ONLY and not value.isascii():
        raise OrderInvalid(f"{name} is not ASCII")
    return [x509.NameAttribute(oid, value)]


def _extensions(
    config: AuthorityConfig, issuer: x509.Certificate, key: CertificatePublicKeyTypes
) -> list[tuple[x509.ExtensionType, bool]]:
    issuer_key = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    qualifiers: list[str | x509.UserNotice] = [config.practice_statement_url]
    policy = x509.PolicyInformation(x509.ObjectIdentifier(config.policy_oid), qualifiers)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key)
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_KEY_USAGE, True),
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
        (identifier, False),
        (x509.CertificatePolicies([policy]), False),
        *((extension, False) for extension in addresses(config)),
    ]


def addresses(config: AuthorityConfig) -> list[x509.ExtensionType]:
    """Where a relying party finds the issuing authority's OCSP, certificate and CRL."""
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (AuthorityInformationAccessOID.OCSP, config.ocsp_url),
            (AuthorityInformationAccessOID.CA_ISSUERS, config.issuer_url),
        )
    ]
    points = [
        x509.DistributionPoint([x509.UniformResourceIdentifier(config.crl_url)], None, None, None)
    ]
    return [x509.AuthorityInformationAccess(access), x509.CRLDistributionPoints(points)]
