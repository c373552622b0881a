"""The embedded certification authority: end-entity certificates, signed by a key in the HSM.

A certificate is made from a registration-authority order only (:mod:`.orders`): the SAM itself
builds the bytes that the issuing key signs, so nobody outside can have others signed. Profiles
follow RFC 5280 and what is known of the government's own certificates: names in UTF-8, several
organisational units in descending order, title and official e-mail.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from remote_signing import strict_json
from remote_signing.clock import as_datetime
from remote_signing.errors import OrderInvalid
from remote_signing.sam.orders import Members, integer, text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from remote_signing.sam.config import AuthorityConfig
    from remote_signing.sam.hsm import Node

# What tells one holder from another of the same name (RFC 5280 cl. 4.1.2.6), per profile: the
# registration authority's number of a person (ETSI EN 319 412-2 cl. 4.2.4), the identifier of a
# legal person (EN 319 412-3 cl. 4.2.1).
_NEEDED = {
    "official": ("common_name", "serial_number"),
    "organisation": ("common_name", "organization", "organization_identifier"),
    "sim": ("common_name", "serial_number"),
}
# Decree 68/2024 Art. 9: five years for a subscriber's first certificate; two may be leap years.
_LONGEST_DAYS = 5 * 365 + 2
_BACKDATED = dt.timedelta(minutes=5)  # relying parties' clocks differ
_SERIAL_DOMAIN = b"certificate serial number"
_UNITS = 8
_DER = serialization.Encoding.DER
# Attribute, its OID and its upper bound. RFC 5280 appendix A.1 has 64 for names; X.520 dropped the
# bounds in 2008, and names of Vietnamese agencies are longer (docs/decisions/0009).
_BEFORE_UNITS = (
    ("locality", NameOID.LOCALITY_NAME, 128),
    ("organization", NameOID.ORGANIZATION_NAME, 128),
)
_UNIT = ("unit", NameOID.ORGANIZATIONAL_UNIT_NAME, 128)
_AFTER_UNITS = (
    ("common_name", NameOID.COMMON_NAME, 128),
    ("title", NameOID.TITLE, 128),
    ("serial_number", NameOID.SERIAL_NUMBER, 64),
    ("organization_identifier", NameOID.ORGANIZATION_IDENTIFIER, 64),
    ("email", NameOID.EMAIL_ADDRESS, 255),
)
_ASCII_ONLY = (
    NameOID.EMAIL_ADDRESS,
    NameOID.SERIAL_NUMBER,
    NameOID.ORGANIZATION_IDENTIFIER,
)


def _key_usage(*, digital_signature: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
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
    keys sign what a person or an organisation stands for, nothing else. A SIM's key has
    digitalSignature besides, which operators ask of a key that signs on the phone.

    Whichever host follows one order, and however often, what it signs is the same: the times and
    the serial number are the order's. So there is never a second certificate that nobody knows of.
    """
    subject = _subject(order)
    start, end = _validity(order, issuer)
    key = cast("CertificatePublicKeyTypes", serialization.load_der_public_key(public_key))
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(_serial_number(node, order))
        .not_valid_before(start)
        .not_valid_after(end)
    )
    usage = _key_usage(digital_signature=order["profile"] == "sim")
    extensions = [(usage, True), *_extensions(config, issuer, key), *_other_names(subject)]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(node.authority_key("rs-ca-issuing"), hashes.SHA384())
    return certificate.public_bytes(_DER)


def _serial_number(node: Node, order: Members) -> int:
    """The order's own: positive, of fixed size (RFC 5280 cl. 4.1.2.2), and known to nobody before.

    An HMAC under a key of the cluster is unpredictable to those without it, whoever wrote the
    order: nobody chooses bytes that the issuing key will sign.
    """
    drawn = node.mac(_SERIAL_DOMAIN, strict_json.canonical(order))
    return int.from_bytes(drawn) >> (256 - 158) | 1 << 158


def _validity(order: Members, issuer: x509.Certificate) -> tuple[dt.datetime, dt.datetime]:
    """Nested in the issuer's own (some validators judge by the shell model)."""
    days = integer(order, "validity_days", 1, _LONGEST_DAYS)
    issued = as_datetime(integer(order, "issued_at_ms", 0, 2**52))
    start = max(issued - _BACKDATED, issuer.not_valid_before_utc)
    end = min(start + dt.timedelta(days=days), issuer.not_valid_after_utc)
    if not issuer.not_valid_before_utc <= issued < end:
        raise OrderInvalid("outside the issuing certificate's validity")
    return start, end


def _subject(order: Members) -> Members:
    profile = str(order.get("profile"))
    needed = _NEEDED.get(profile)
    # A key in a SIM is certified by its own kind of order, which has its own proof.
    if needed is None or (profile == "sim") != (order.get("kind") == "certify_sim"):
        raise OrderInvalid("no such certificate profile")
    subject = order.get("subject")
    if not isinstance(subject, dict):
        raise OrderInvalid("subject is not an object")
    for name in needed:
        text(subject, name)
    return subject


def _name(subject: Members) -> x509.Name:
    units = subject.get("organizational_units", [])
    if not isinstance(units, list) or len(units) > _UNITS:
        raise OrderInvalid("organizational_units is not a short list")
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")]
    for form in _BEFORE_UNITS:
        attributes += _attribute(subject, *form)
    for unit in units:
        attributes += _attribute({"unit": unit}, *_UNIT)
    for form in _AFTER_UNITS:
        attributes += _attribute(subject, *form)
    return x509.Name(attributes)


def _other_names(subject: Members) -> list[tuple[x509.ExtensionType, bool]]:
    """RFC 5280 cl. 4.1.2.6: an e-mail address stands here, whether or not also in the name."""
    if subject.get("email") is None:
        return []
    return [(x509.SubjectAlternativeName([x509.RFC822Name(text(subject, "email", 255))]), False)]


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
