"""A certification authority of somebody else, in software, and what pyHanko signs with it.

Nothing here is this project's code: what the validator is given comes from another program.
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from asn1crypto import crl as asn1_crl
from asn1crypto import keys as asn1_keys
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.ades.api import CAdESSignedAttrSpec
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.timestamps import DummyTimeStamper, TimeStamper
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from remote_signing.rssp.validation.model import Material
from remote_signing.rssp.validation.trust import Knowledge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

DER = Encoding.DER
START = datetime(2026, 1, 5, 2, 0, 0, tzinfo=UTC)
"""When everything was issued; signatures are made an hour later."""
SIGNED = START + timedelta(hours=1)


@dataclass
class Holder:
    """A key with its certificate."""

    key: Any
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(DER)

    @property
    def asn1(self) -> asn1_x509.Certificate:
        return asn1_x509.Certificate.load(self.der)

    @property
    def asn1_key(self) -> asn1_keys.PrivateKeyInfo:
        return asn1_keys.PrivateKeyInfo.load(
            self.key.private_bytes(DER, PrivateFormat.PKCS8, NoEncryption())
        )


def name(common: str, organisation: str = "Bộ Nội vụ") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


_CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}


def new_key(kind: str) -> CertificateIssuerPrivateKeyTypes:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


@dataclass
class ForeignPki:
    """Root, issuing authority, time-stamping authority and one signer."""

    days: int = 90  # of the signer's certificate; authorities and time stamps live ten years
    kind: str = "p256"
    label: str = ""  # of the authorities' names
    root: Holder = field(init=False)
    issuing: Holder = field(init=False)
    signer: Holder = field(init=False)
    stamper: Holder = field(init=False)

    def __post_init__(self) -> None:
        self.root = self._issued(None, f"Root CA{self.label}", 3650, is_authority=True)
        self.issuing = self._issued(self.root, f"Issuing CA{self.label}", 3600, is_authority=True)
        self.signer = self.issue("Nguyễn Văn An", self.days)
        self.stamper = self._issued(
            self.issuing, "TSA", 3500, kind="rsa2048", purposes=[ExtendedKeyUsageOID.TIME_STAMPING]
        )

    def issue(self, common: str, days: int = 90, **more: Any) -> Holder:
        return self._issued(self.issuing, common, days, **{"kind": self.kind} | more)

    def _issued(  # noqa: PLR0913 - a certificate has so many facts
        self,
        issuer: Holder | None,
        common: str,
        days: int,
        *,
        kind: str = "p256",
        is_authority: bool = False,
        purposes: list[x509.ObjectIdentifier] | None = None,
        start: datetime = START,
    ) -> Holder:
        key = new_key(kind)
        by = name(common) if issuer is None else issuer.certificate.subject
        builder = (
            x509.CertificateBuilder(by, name(common), key.public_key(), x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not is_authority,
                    content_commitment=not is_authority,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=is_authority,
                    crl_sign=is_authority,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=True)
        signing = key if issuer is None else issuer.key
        return Holder(key, builder.sign(signing, hashes.SHA256()))

    def crl(
        self,
        issuer: Holder | None = None,
        revoked: Sequence[tuple[Holder, datetime]] = (),
        at: datetime = START,
        days: int = 30,
    ) -> bytes:
        issuer = issuer or self.issuing
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(at)
            .next_update(at + timedelta(days=days))
        )
        for holder, moment in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(holder.certificate.serial_number)
                .revocation_date(moment)
                .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
                .build()
            )
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(DER)

    def ocsp(self, holder: Holder, at: datetime = START, days: int = 30) -> bytes:
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=holder.certificate,
            issuer=self.issuing.certificate,
            algorithm=hashes.SHA1(),  # noqa: S303 - what identifies a certificate in OCSP
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=at,
            next_update=at + timedelta(days=days),
            revocation_time=None,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.issuing.certificate)
        return builder.sign(self.issuing.key, hashes.SHA256()).public_bytes(DER)

    def knowledge(self, *crls: bytes) -> Knowledge:
        """Our side trusts the root, and knows these CRLs."""
        return Knowledge((self.root.der,), Material(crls=crls))

    @property
    def fresh(self) -> tuple[bytes, bytes]:
        """CRLs of both authorities, in force when signatures are made."""
        return self.crl(), self.crl(self.root)

    # ------------------------------------------------------------------ what pyHanko makes with it

    def stamps(self, at: datetime = SIGNED) -> DummyTimeStamper:
        store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # unannotated
        store.register_multiple([self.issuing.asn1])
        return DummyTimeStamper(self.stamper.asn1, self.stamper.asn1_key, store, fixed_dt=at)

    def pen(self, holder: Holder | None = None, **more: Any) -> signers.SimpleSigner:
        store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # unannotated
        store.register_multiple([self.issuing.asn1])
        holder = holder or self.signer
        return signers.SimpleSigner(holder.asn1, holder.asn1_key, store, **more)

    def pdf(
        self,
        document: bytes,
        level: str = "B-B",
        at: datetime = SIGNED,
        holder: Holder | None = None,
        **more: Any,
    ) -> bytes:
        """``document`` with a PAdES signature of this level, made at ``at``."""
        known = None
        if level in {"B-LT", "B-LTA"}:
            known = ValidationContext(
                trust_roots=[self.root.asn1],
                other_certs=[self.issuing.asn1],
                crls=[asn1_crl.CertificateList.load(each) for each in self.fresh],
                ocsps=[asn1_ocsp.OCSPResponse.load(self.ocsp(holder or self.signer))],
                allow_fetching=False,
                moment=at,
            )
        settings: dict[str, Any] = {
            "field_name": "ChuKy",
            "md_algorithm": "sha256",
            "subfilter": fields.SigSeedSubFilter.PADES,
            "embed_validation_info": known is not None,
            "use_pades_lta": level == "B-LTA",
            "validation_context": known,
            "cades_signed_attr_spec": CAdESSignedAttrSpec(),
        }
        metadata = signers.PdfSignatureMetadata(**settings | more)
        stamper = None if level == "B-B" else self.stamps(at + timedelta(seconds=5))
        signer = signers.PdfSigner(metadata, self.pen(holder), timestamper=stamper)
        writer = IncrementalPdfFileWriter(io.BytesIO(document))
        out = io.BytesIO()
        asyncio.run(signer.async_sign_pdf(writer, output=out))
        return out.getvalue()

    def cms(  # noqa: PLR0913 - a signature has so many facts
        self,
        content: bytes,
        level: str = "B-B",
        at: datetime = SIGNED,
        holder: Holder | None = None,
        *,
        detached: bool = False,
        spec: CAdESSignedAttrSpec | None = None,
        times: Iterator[datetime] | None = None,
    ) -> bytes:
        """A CAdES signature at B-B or B-T; ``times`` are those of its time stamps in turn."""
        stamper: TimeStamper | None = None
        if level != "B-B":
            stamper = self.stamps(at + timedelta(seconds=5))
        if stamper is not None and times is not None:
            stamper = InTurn(self, times)
        spec = spec or CAdESSignedAttrSpec()
        work = self.pen(holder).async_sign_general_data(
            content,
            "sha256",
            detached=detached,
            timestamper=stamper,
            use_cades=True,
            signed_attr_settings=PdfCMSSignedAttributes(signing_time=at, cades_signed_attrs=spec),
        )
        return bytes(asyncio.run(work).dump())


class InTurn(TimeStamper):
    """Tells these times, one after the other."""

    def __init__(self, pki: ForeignPki, times: Iterator[datetime]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # unannotated
        self._pki, self._times = pki, times

    async def async_request_tsa_response(self, req: Any) -> Any:
        return await self._pki.stamps(next(self._times)).async_request_tsa_response(req)
