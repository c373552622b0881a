"""SIM keys and their authorities in software: certificates, signatures, CMS, OCSP, CRLs.

CMS is written with asn1crypto, which nobody here wrote, so that our reader is judged by another.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from asn1crypto import cms as asn1_cms
from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from remote_signing.clock import FixedClock, as_datetime

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = as_datetime(FixedClock().now_ms())
DAY = dt.timedelta(days=1)
DER = serialization.Encoding.DER
SPKI = (DER, serialization.PublicFormat.SubjectPublicKeyInfo)
CRL_URL = "http://ca.example/sim.crl"

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def key_usage(**on: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: on.get(name, False) for name in names})


SIGNER = key_usage(content_commitment=True, digital_signature=True)
AUTHORITY = key_usage(key_cert_sign=True, crl_sign=True)
_CA: tuple[tuple[x509.ExtensionType, bool], ...] = (
    (x509.BasicConstraints(ca=True, path_length=None), True),
    (AUTHORITY, True),
)


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Issuer:
    """An authority; ``parent`` None makes it a root."""

    name: str = "Chứng thực SIM thử nghiệm"
    parent: Issuer | None = None
    key: Key = field(default_factory=p256)
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = _CA
    not_before: dt.datetime = NOW - 900 * DAY
    not_after: dt.datetime = NOW + 900 * DAY

    def __post_init__(self) -> None:
        maker = self.parent or self
        self.certificate = maker.issue(
            self.key,
            name=self.name,
            extensions=self.extensions,
            not_before=self.not_before,
            not_after=self.not_after,
        )

    @property
    def subject(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(DER)

    def issue(  # noqa: PLR0913 - a test changes one of them
        self,
        key: Key,
        *,
        name: str = "Nguyễn Văn An",
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = ((SIGNER, True),),
        not_before: dt.datetime = NOW - 30 * DAY,
        not_after: dt.datetime = NOW + 365 * DAY,
        digest: hashes.HashAlgorithm | None = None,
    ) -> x509.Certificate:
        public: Any = key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        chosen: Any = digest or hashes.SHA256()
        return builder.sign(self.key, chosen)

    def crl(
        self,
        *revoked: x509.Certificate,
        at: dt.datetime = NOW,
        until: dt.datetime = NOW + DAY,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
        signer: Issuer | None = None,
        digest: Any = None,
    ) -> bytes:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.subject)
        builder = builder.last_update(at).next_update(until)
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(at).build())
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        made = builder.sign((signer or self).key, digest or hashes.SHA256())
        return made.public_bytes(DER)

    def ocsp(  # noqa: PLR0913 - a test changes one of them
        self,
        certificate: x509.Certificate,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        *,
        at: dt.datetime = NOW,
        until: dt.datetime | None = NOW + DAY,
        responder: x509.Certificate | None = None,
        responder_key: Key | None = None,
        by_key: bool = False,
        embedded: Sequence[x509.Certificate] = (),
        digest: Any = None,
    ) -> bytes:
        is_revoked = status is ocsp.OCSPCertStatus.REVOKED
        encoding = ocsp.OCSPResponderEncoding.HASH if by_key else ocsp.OCSPResponderEncoding.NAME
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=certificate,
                issuer=self.certificate,
                algorithm=hashes.SHA1(),  # noqa: S303 - names the certificate, protects nothing
                cert_status=status,
                this_update=at,
                next_update=until,
                revocation_time=at if is_revoked else None,
                revocation_reason=None,
            )
            .responder_id(encoding, responder or self.certificate)
        )
        if embedded:
            builder = builder.certificates(list(embedded))
        key: Any = responder_key or self.key
        return builder.sign(key, digest or hashes.SHA256()).public_bytes(DER)

    def responder(
        self,
        key: Key,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.OCSP_SIGNING,
        **more: Any,
    ) -> x509.Certificate:
        uses = ((x509.ExtendedKeyUsage([purpose]), False),)
        return self.issue(key, name="OCSP", extensions=uses, **more)


@dataclass
class SimCard:
    """A key in a SIM and the certificate for it."""

    issuer: Issuer
    key: Key = field(default_factory=p256)
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.certificate = self.issuer.issue(self.key)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(DER)

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(*SPKI)

    def sign(self, data: bytes, digest: Any = None) -> bytes:
        """PKCS#1 v1.5, or ECDSA in DER."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), digest or hashes.SHA256())
        return self.key.sign(data, ec.ECDSA(digest or hashes.SHA256()))

    def sign_raw(self, data: bytes) -> bytes:
        """ECDSA as r and s."""
        half = (self.key.key_size + 7) // 8
        r, s = decode_dss_signature(self.sign(data))
        return r.to_bytes(half) + s.to_bytes(half)

    def cms(self, content: bytes, **changes: Any) -> bytes:
        return Cms(self, content, **changes).encoded()


@dataclass
class Cms:
    """SignedData over ``content``, with every way to get it wrong."""

    card: SimCard
    content: bytes
    attached: bool = True
    digest: str = "sha256"
    by_key_id: bool = False
    certificates: Sequence[bytes] | None = None
    # What replaces a part; None leaves it out.
    message_digest: bytes | None = None
    attributes: Sequence[dict[str, Any]] | None = None
    shown_content: bytes | None = None
    signature_algorithm: str | None = None
    content_type: str = "data"
    # What is added to a finished part.
    signers: int = 1
    info: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def default_attributes(self) -> list[dict[str, Any]]:
        digest = self.message_digest or hashlib.new(self.digest, self.content).digest()
        return [
            {"type": "content_type", "values": ["data"]},
            {"type": "message_digest", "values": [digest]},
        ]

    def encoded(self) -> bytes:
        found: bytes = asn1_cms.ContentInfo(
            {"content_type": "signed_data", "content": self.signed_data()}
        ).dump()
        return found

    def signed_data(self) -> asn1_cms.SignedData:
        shown = self.content if self.shown_content is None else self.shown_content
        content: dict[str, Any] = {"content_type": self.content_type}
        if self.attached:
            octets = core.ParsableOctetString if self.by_key_id else core.OctetString
            content["content"] = octets(shown)
        embedded = [self.card.der] if self.certificates is None else self.certificates
        members: dict[str, Any] = {
            "version": "v3" if self.by_key_id else "v1",
            "digest_algorithms": [{"algorithm": self.digest}],
            "encap_content_info": content,
            "signer_infos": [self.signer_info()] * self.signers,
        }
        if embedded:
            members["certificates"] = [asn1_x509.Certificate.load(item) for item in embedded]
        return asn1_cms.SignedData(members | self.data)

    def signer_info(self) -> dict[str, Any]:
        own = asn1_x509.Certificate.load(self.card.der)
        attributes = asn1_cms.CMSAttributes(
            self.default_attributes() if self.attributes is None else self.attributes
        )
        is_rsa = isinstance(self.card.key, rsa.RSAPrivateKey)
        algorithm = self.signature_algorithm or f"{self.digest}_{'rsa' if is_rsa else 'ecdsa'}"
        chosen = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
        signer = asn1_cms.SignerIdentifier(
            {"subject_key_identifier": own.key_identifier}
            if self.by_key_id
            else {
                "issuer_and_serial_number": asn1_cms.IssuerAndSerialNumber(
                    {"issuer": own.issuer, "serial_number": own.serial_number}
                )
            }
        )
        return {
            "version": "v3" if self.by_key_id else "v1",
            "sid": signer,
            "digest_algorithm": {"algorithm": self.digest},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": algorithm},
            "signature": self.card.sign(attributes.dump(), chosen.get(self.digest)),
        } | self.info
