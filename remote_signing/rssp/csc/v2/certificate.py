"""What ``certInfo`` tells of a certificate (CSC API v2.2 cl. 11.7)."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography import x509

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_CACHED = 4096


@lru_cache(_CACHED)
def certificate_info(der: bytes) -> Mapping[str, object]:
    """The members of ``cert`` that ``certInfo`` adds, for a DER certificate.

    Names are RFC 4514 strings, the serial number is hexadecimal in whole bytes, times are
    ``YYYYMMDDHHMMSSZ``. ``policy`` is left out when the certificate names none.
    """
    certificate = x509.load_der_x509_certificate(der)
    serial = f"{certificate.serial_number:X}"
    members: dict[str, object] = {
        "issuerDN": certificate.issuer.rfc4514_string(),
        "serialNumber": serial.zfill(len(serial) + len(serial) % 2),
        "subjectDN": certificate.subject.rfc4514_string(),
        "validFrom": _generalized(certificate.not_valid_before_utc),
        "validTo": _generalized(certificate.not_valid_after_utc),
    }
    policies = _policies(certificate)
    if policies:
        members["policy"] = policies
    return MappingProxyType(members)


def _generalized(when: datetime) -> str:
    return when.strftime("%Y%m%d%H%M%SZ")


def _policies(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.CertificatePolicies)
    except x509.ExtensionNotFound:
        return []
    return [policy.policy_identifier.dotted_string for policy in extension.value]
