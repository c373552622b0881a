from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from remote_signing.clock import FixedClock
from remote_signing.sam.ceremony.certificates import (
    AuthorityNames,
    issuing_certificate,
    root_certificate,
)
from remote_signing.sam.ceremony.refusal import CeremonyRefused

NAMES = AuthorityNames("Ban Cơ yếu Chính phủ", "Chứng thực gốc", "Chứng thực cấp phát")
NOW_MS = FixedClock().now_ms()


def made(names: AuthorityNames) -> tuple[x509.Certificate, x509.Certificate]:
    root_key, issuing_key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    root = root_certificate(names, root_key, NOW_MS)
    return root, issuing_certificate(names, root, root_key, issuing_key.public_key(), NOW_MS)


def test_the_root_certifies_itself_and_the_issuing_authority() -> None:
    root, issuing = made(NAMES)
    root.verify_directly_issued_by(root)
    issuing.verify_directly_issued_by(root)
    assert issuing.signature_algorithm_oid.dotted_string == "1.2.840.10045.4.3.3"  # SHA-384
    assert 1 << 158 <= root.serial_number < 1 << 159


def test_only_one_level_of_authorities_stands_below_the_root() -> None:
    root, issuing = made(NAMES)
    for certificate, depth in ((root, 1), (issuing, 0)):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(ca=True, path_length=depth)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        assert usage.value.key_cert_sign
        assert usage.value.crl_sign
        assert not usage.value.digital_signature


def test_names_are_vietnamese_in_utf8() -> None:
    root, issuing = made(NAMES)
    assert issuing.issuer == root.subject
    assert [(each.oid, each.value) for each in issuing.subject] == [
        (NameOID.COUNTRY_NAME, "VN"),
        (NameOID.ORGANIZATION_NAME, "Ban Cơ yếu Chính phủ"),
        (NameOID.COMMON_NAME, "Chứng thực cấp phát"),
    ]
    assert "Chứng thực cấp phát".encode() in issuing.subject.public_bytes()


def test_the_issuing_authority_points_at_the_root() -> None:
    names = replace(NAMES, root_crl_url="http://pki/r.crl", root_certificate_url="http://pki/r.crt")
    root, issuing = made(names)
    points = issuing.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert points[0].full_name == [x509.UniformResourceIdentifier("http://pki/r.crl")]
    access = issuing.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert access[0].access_method == AuthorityInformationAccessOID.CA_ISSUERS
    authority = issuing.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    subject = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert authority.key_identifier == subject.key_identifier


def test_addresses_that_are_not_known_are_left_out() -> None:
    _, issuing = made(NAMES)
    oids = {extension.oid for extension in issuing.extensions}
    assert x509.CRLDistributionPoints.oid not in oids
    assert x509.AuthorityInformationAccess.oid not in oids


def test_validity_is_as_long_as_asked_for() -> None:
    root, issuing = made(replace(NAMES, root_years=20, issuing_years=10))
    assert root.not_valid_after_utc - root.not_valid_before_utc == dt.timedelta(days=7305)
    assert issuing.not_valid_after_utc - issuing.not_valid_before_utc == dt.timedelta(days=3652)


@pytest.mark.parametrize(
    "change",
    [
        {"organization": ""},
        {"organization": "x" * 129},
        {"root_common_name": " "},
        {"issuing_common_name": "x" * 65},
        {"issuing_common_name": NAMES.root_common_name},
        {"issuing_years": 0},
        {"issuing_years": 21},
    ],
)
def test_names_and_lives_that_make_no_authority_are_refused(change: dict[str, object]) -> None:
    NAMES.check()
    with pytest.raises(CeremonyRefused):
        replace(NAMES, **change).check()  # type: ignore[arg-type]  # a table of single changes
