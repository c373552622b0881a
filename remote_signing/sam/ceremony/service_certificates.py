"""Certificates of the services beside the authorities, and the root's CRL.

The OCSP responder is a delegated one (RFC 6960 cl. 4.2.2.2): the issuing authority's own key
signs certificates and CRLs only. Nobody asks for the status of its certificate (``nocheck``), so
that lives for a year. The certificate for time stamps has that one purpose, critical (RFC 3161
cl. 2.3), and lives as long as signers' certificates do.
"""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from remote_signing.clock import as_datetime
from remote_signing.sam.authority import addresses

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from remote_signing.sam.config import AuthorityConfig
    from remote_signing.sam.service_keys import Purpose

YEAR = dt.timedelta(days=397)  # a year, and a month to notice
_LIFETIMES = {"responder": YEAR, "timestamps": dt.timedelta(days=5 * 366)}
_NAMES = {"responder": "OCSP", "timestamps": "Dấu thời gian"}
_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def service_certificate(  # noqa: PLR0913, PLR0917 - a certificate has as many parts
    purpose: Purpose,
    config: AuthorityConfig,
    issuer: x509.Certificate,
    issuing_key: EllipticCurvePrivateKey,
    public_key: bytes,
    now_ms: int,
) -> x509.Certificate:
    """A certificate of the issuing authority for a service's ``public_key`` (SPKI DER)."""
    key = cast("CertificatePublicKeyTypes", serialization.load_der_public_key(public_key))
    start = as_datetime(now_ms).replace(microsecond=0)
    end = min(start + _LIFETIMES[purpose], issuer.not_valid_after_utc)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(purpose, issuer, start))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(secrets.randbits(158) | 1 << 158)  # RFC 5280 cl. 4.1.2.2; positive
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
    )
    for extension, critical in _purpose(purpose, config):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuing_key, hashes.SHA384())


def root_crl(
    root: x509.Certificate, root_key: EllipticCurvePrivateKey, now_ms: int
) -> x509.CertificateRevocationList:
    """The root's CRL. It names nothing: who revokes the issuing authority ends the cluster."""
    start = as_datetime(now_ms).replace(microsecond=0)
    identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(root.subject)
        .last_update(start)
        .next_update(start + YEAR)
        .add_extension(x509.CRLNumber(now_ms), critical=False)
        .add_extension(authority, critical=False)
    )
    return builder.sign(root_key, hashes.SHA384())


def _name(purpose: Purpose, issuer: x509.Certificate, start: dt.datetime) -> x509.Name:
    """The issuer's country and organisation, and a name that tells one key from the next."""
    kept = [
        attribute
        for attribute in issuer.subject
        if attribute.oid in {NameOID.COUNTRY_NAME, NameOID.ORGANIZATION_NAME}
    ]
    common_name = f"{_NAMES[purpose]} {start:%Y%m%d%H%M%S}"
    return x509.Name([*kept, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _purpose(purpose: Purpose, config: AuthorityConfig) -> list[tuple[x509.ExtensionType, bool]]:
    if purpose == "responder":
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
        return [(usage, False), (x509.OCSPNoCheck(), False)]
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    return [(usage, True), *((extension, False) for extension in addresses(config))]
