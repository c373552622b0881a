"""The certificates of the embedded CA, octet by octet, and as openssl sees them."""

from __future__ import annotations

import datetime as dt
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from remote_signing.errors import OrderInvalid
from remote_signing.sam import authority
from remote_signing.sam.config import AuthorityConfig
from tests.support.soft_node import SoftNode

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.sam.hsm import Node

NOW = dt.datetime(2026, 11, 25, 3, 0, tzinfo=dt.UTC)
CONFIG = AuthorityConfig(
    policy_oid="1.3.6.1.4.1.55555.1.7",
    practice_statement_url="http://pki.example/cps",
    crl_url="http://pki.example/issuing.crl",
    ocsp_url="http://pki.example/ocsp",
    issuer_url="http://pki.example/issuing.crt",
)
EMAIL = "an.nguyen@moha.example.vn"
OFFICIAL = {
    "common_name": "Nguyễn Văn An",
    "organization": "Bộ Nội vụ",
    "organizational_units": ["Cục Văn thư và Lưu trữ nhà nước", "Văn phòng"],
    "locality": "Hà Nội",
    "title": "Chánh Văn phòng",
    "email": EMAIL,
    "serial_number": "01mcc5rm00ptkspa6cztggafdc",
}
ORGANISATION = {
    "common_name": "Bộ Nội vụ",
    "organization": "Bộ Nội vụ",
    "organization_identifier": "GO:VN-G09",
    "locality": "Hà Nội",
}


@dataclass
class Desk:
    """An issuing CA with its key in a node, and a signer's key."""

    node: SoftNode
    issuer: x509.Certificate
    key: ec.EllipticCurvePublicKey

    def issue(self, **changes: object) -> x509.Certificate:
        order: dict[str, Any] = {
            "profile": "official",
            "subject": OFFICIAL,
            "validity_days": 365,
            "issued_at_ms": int(NOW.timestamp() * 1000),
        }
        public_key = self.key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        node = cast("Node", self.node)
        der = authority.issue(node, CONFIG, self.issuer, order | changes, public_key)
        return x509.load_der_x509_certificate(der)


def issuer_from(node: SoftNode, start: dt.datetime, end: dt.datetime) -> x509.Certificate:
    key = node.issuing_key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA thử nghiệm")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(**{bit: bit in {"key_cert_sign", "crl_sign"} for bit in USAGE_BITS})
    return (
        x509.CertificateBuilder(name, name, key.public_key(), 7, start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA384())
    )


USAGE_BITS = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


@pytest.fixture
def desk() -> Desk:
    node = SoftNode()
    issuer = issuer_from(node, NOW - dt.timedelta(days=1), NOW + dt.timedelta(days=3650))
    return Desk(node, issuer, ec.generate_private_key(ec.SECP256R1()).public_key())


def test_every_extension_is_there_and_no_other(desk: Desk) -> None:
    certificate = desk.issue()
    subject_key = x509.SubjectKeyIdentifier.from_public_key(desk.key)
    issuer_key = desk.issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    url = x509.UniformResourceIdentifier
    access = x509.AccessDescription
    committed = {bit: bit == "content_commitment" for bit in USAGE_BITS}
    points = x509.DistributionPoint([url(CONFIG.crl_url)], None, None, None)
    policy = x509.PolicyInformation(
        x509.ObjectIdentifier(CONFIG.policy_oid), [CONFIG.practice_statement_url]
    )
    assert {(each.value, each.critical) for each in certificate.extensions} == {
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.KeyUsage(**committed), True),
        (subject_key, False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), False),
        (x509.CertificatePolicies([policy]), False),
        (
            x509.AuthorityInformationAccess(
                [
                    access(AuthorityInformationAccessOID.OCSP, url(CONFIG.ocsp_url)),
                    access(AuthorityInformationAccessOID.CA_ISSUERS, url(CONFIG.issuer_url)),
                ]
            ),
            False,
        ),
        (x509.CRLDistributionPoints([points]), False),
        (x509.SubjectAlternativeName([x509.RFC822Name(EMAIL)]), False),
    }


def test_without_an_address_there_is_no_alternative_name(desk: Desk) -> None:
    certificate = desk.issue(profile="organisation", subject=ORGANISATION)
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_an_official_stands_in_the_agency_from_the_top_down(desk: Desk) -> None:
    assert desk.issue().subject.rfc4514_string() == (
        "1.2.840.113549.1.9.1=an.nguyen@moha.example.vn,2.5.4.5=01mcc5rm00ptkspa6cztggafdc,"
        "2.5.4.12=Chánh Văn phòng,CN=Nguyễn Văn An,OU=Văn phòng,"
        "OU=Cục Văn thư và Lưu trữ nhà nước,O=Bộ Nội vụ,L=Hà Nội,C=VN"
    )


def test_an_organisation_is_a_legal_person_with_its_identifier(desk: Desk) -> None:
    certificate = desk.issue(profile="organisation", subject=ORGANISATION)
    assert certificate.subject.rfc4514_string() == (
        "2.5.4.97=GO:VN-G09,CN=Bộ Nội vụ,O=Bộ Nội vụ,L=Hà Nội,C=VN"
    )


def test_names_are_utf8_and_what_must_be_ascii_is(desk: Desk) -> None:
    der = desk.issue().public_bytes(serialization.Encoding.DER)
    subject = asn1.Certificate.load(der).subject
    values = {part[0]["type"].native: part[0]["value"] for part in subject.chosen}
    kinds = {name: type(getattr(value, "chosen", value)).__name__ for name, value in values.items()}
    assert kinds == {
        "country_name": "PrintableString",
        "locality_name": "UTF8String",
        "organization_name": "UTF8String",
        "organizational_unit_name": "UTF8String",
        "common_name": "UTF8String",
        "title": "UTF8String",
        "serial_number": "PrintableString",
        "email_address": "EmailAddress",
    }


def test_serial_numbers_are_positive_and_of_twenty_octets_one_for_each_order(desk: Desk) -> None:
    numbers = {desk.issue(order_id=str(each)).serial_number for each in range(20)}
    assert len(numbers) == 20
    assert {number.bit_length() for number in numbers} == {159}


def test_serial_number_is_the_orders_own_and_unknown_without_the_key_of_the_cluster(
    desk: Desk,
) -> None:
    own = desk.issue().serial_number
    assert desk.issue().serial_number == own
    desk.node.secret = bytes(32)
    assert desk.issue().serial_number != own


def test_validity_begins_a_little_before_and_ends_after_the_days_ordered(desk: Desk) -> None:
    certificate = desk.issue(validity_days=30)
    assert certificate.not_valid_before_utc == NOW - dt.timedelta(minutes=5)
    assert certificate.not_valid_after_utc == certificate.not_valid_before_utc + dt.timedelta(30)


def test_validity_is_nested_in_the_issuers(desk: Desk) -> None:
    start, end = NOW - dt.timedelta(seconds=30), NOW + dt.timedelta(days=10)
    desk.issuer = issuer_from(desk.node, start, end)
    certificate = desk.issue()
    assert certificate.not_valid_before_utc == start
    assert certificate.not_valid_after_utc == end


@pytest.mark.parametrize("days", [-1, 11])
def test_outside_the_issuers_validity_nothing_is_issued(desk: Desk, days: int) -> None:
    desk.issuer = issuer_from(desk.node, NOW, NOW + dt.timedelta(days=10))
    moment = NOW + dt.timedelta(days=days)
    with pytest.raises(OrderInvalid):
        desk.issue(issued_at_ms=int(moment.timestamp() * 1000))


@pytest.mark.parametrize(
    "changes",
    [
        {"validity_days": 0},
        {"validity_days": 5 * 365 + 3},
        {"subject": {}},
        {"subject": {name: OFFICIAL[name] for name in ("common_name", "organization")}},
        {"profile": "organisation"},
        {"subject": OFFICIAL | {"common_name": "x" * 129}},
        {"subject": OFFICIAL | {"email": "ă@gov.vn"}},
        {"subject": OFFICIAL | {"serial_number": "số 1"}},
        {"subject": OFFICIAL | {"organizational_units": ["x"] * 9}},
        {"subject": OFFICIAL | {"organizational_units": "Văn phòng"}},
        {"subject": OFFICIAL | {"organizational_units": [""]}},
    ],
    ids=range(11),
)
def test_an_order_that_makes_no_proper_certificate_is_refused(
    desk: Desk, changes: dict[str, Any]
) -> None:
    with pytest.raises(OrderInvalid):
        desk.issue(**changes)


@pytest.mark.parametrize("profile", ["official", "organisation"])
def test_openssl_accepts_the_certificate_by_its_strictest_rules(
    desk: Desk, tmp_path: Path, profile: str
) -> None:
    subject = OFFICIAL if profile == "official" else ORGANISATION
    files = {"issuer": desk.issuer, "leaf": desk.issue(profile=profile, subject=subject)}
    for name, certificate in files.items():
        (tmp_path / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp()))]
    command += ["-CAfile", str(tmp_path / "issuer"), str(tmp_path / "leaf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, f"{tmp_path / 'leaf'}: OK"), done.stderr
