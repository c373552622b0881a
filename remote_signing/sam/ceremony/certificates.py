"""The cluster's certification authority: a root, and one issuing authority below it (RFC 5280).

Keys are ECDSA P-384 in the HSM, signatures SHA-384, names UTF-8 (Vietnamese as it is written).
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from remote_signing.clock import as_datetime
from remote_signing.sam.ceremony.refusal import CeremonyRefused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

_DAYS_A_YEAR = 365.25
_LONGEST_NAME = {NameOID.ORGANIZATION_NAME: 128, NameOID.COMMON_NAME: 64}  # docs/decisions/0009
_KEY_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class AuthorityNames:
    """How the CA is called and how long it lives. The root's URLs go into the issuing one."""

    organization: str
    root_common_name: str
    issuing_common_name: str
    root_years: int = 20
    issuing_years: int = 10
    root_crl_url: str | None = None
    root_certificate_url: str | None = None

    def check(self) -> None:
        """``CeremonyRefused`` when these make no valid certificates."""
        _name(self.organization, self.root_common_name)
        _name(self.organization, self.issuing_common_name)
        if self.root_common_name == self.issuing_common_name:
            raise CeremonyRefused("root and issuing authority have the same name")
        if not 0 < self.issuing_years <= self.root_years:
            raise CeremonyRefused("the issuing authority cannot live longer than the root")


def root_certificate(
    names: AuthorityNames, key: EllipticCurvePrivateKey, now_ms: int
) -> x509.Certificate:
    """The self-signed root; below it one level of authorities."""
    name = _name(names.organization, names.root_common_name)
    builder = _builder(name, name, key.public_key(), now_ms, names.root_years)
    constraints = x509.BasicConstraints(ca=True, path_length=1)
    builder = builder.add_extension(constraints, critical=True)
    return builder.sign(key, hashes.SHA384())


def issuing_certificate(
    names: AuthorityNames,
    root: x509.Certificate,
    root_key: EllipticCurvePrivateKey,
    public_key: EllipticCurvePublicKey,
    now_ms: int,
) -> x509.Certificate:
    """The authority that issues signers' certificates, and no further authorities."""
    name = _name(names.organization, names.issuing_common_name)
    builder = _builder(name, root.subject, public_key, now_ms, names.issuing_years)
    identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    policy = x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)  # any policy
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
        (x509.CertificatePolicies([policy]), False),
        *((extension, False) for extension in _addresses(names)),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(root_key, hashes.SHA384())


def _name(organization: str, common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")]
    for oid, value in (
        (NameOID.ORGANIZATION_NAME, organization),
        (NameOID.COMMON_NAME, common_name),
    ):
        if not 0 < len(value.strip()) <= _LONGEST_NAME[oid]:
            raise CeremonyRefused(f"a name has 1 to {_LONGEST_NAME[oid]} characters: {value!r}")
        attributes.append(x509.NameAttribute(oid, value))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: EllipticCurvePublicKey,
    now_ms: int,
    years: int,
) -> x509.CertificateBuilder:
    start = as_datetime(now_ms).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(secrets.randbits(158) | 1 << 158)  # RFC 5280 cl. 4.1.2.2; positive
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=int(years * _DAYS_A_YEAR)))
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _addresses(names: AuthorityNames) -> list[x509.ExtensionType]:
    """Where a relying party finds the root's CRL and certificate, when that is known."""
    found: list[x509.ExtensionType] = []
    if names.root_crl_url:
        crl = [x509.UniformResourceIdentifier(names.root_crl_url)]
        point = x509.DistributionPoint(crl, None, None, None)
        found.append(x509.CRLDistributionPoints([point]))
    if names.root_certificate_url:
        location = x509.UniformResourceIdentifier(names.root_certificate_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
        found.append(x509.AuthorityInformationAccess([access]))
    return found
