"""Certificates of a real SAM's authority, and OpenSSL as a judge of what is said about them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from remote_signing.clock import SystemClock, as_datetime
from remote_signing.identifiers import new_id

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.sap import Order, SapClient
    from tests.support.registration import TestAuthority

_DER, _PEM = Encoding.DER, Encoding.PEM


@dataclass(frozen=True)
class Certified:
    """A credential with a certificate of the embedded authority, without a database."""

    credential_id: str
    sealed: bytes
    certificate: bytes

    @property
    def parsed(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.certificate)

    @property
    def serial(self) -> int:
        return self.parsed.serial_number

    @property
    def end_ms(self) -> int:
        return int(self.parsed.not_valid_after_utc.timestamp()) * 1000


def order(authority: TestAuthority, kind: str, credential_id: str, **members: object) -> Order:
    return authority.order(kind, credential_id, SystemClock().now_ms(), **members)


def revocation(authority: TestAuthority, signer: Certified) -> Order:
    return order(
        authority,
        "revoke",
        signer.credential_id,
        serial=f"{signer.serial:x}",
        not_after_ms=signer.end_ms,
    )


def certified(sam: SapClient, authority: TestAuthority) -> Certified:
    now_ms = SystemClock().now_ms()
    credential_id, pin, totp = (new_id(now_ms) for _ in range(3))
    created = sam.create_credential(
        order(
            authority,
            "create_credential",
            credential_id,
            owner="subscriber",
            algorithm="p256",
            scal="2",
            multisign=1,
            factors=[{"id": pin, "kind": "pin"}, {"id": totp, "kind": "totp"}],
        )
    )
    resealed = sam.certify(
        created.sealed,
        order(
            authority,
            "certify",
            credential_id,
            profile="official",
            subject={"common_name": "Nguyễn Văn An", "serial_number": credential_id},
            validity_days=30,
            public_key_sha256=hashlib.sha256(created.public_key).hexdigest(),
        ),
    )
    assert resealed.certificate is not None
    return Certified(credential_id, resealed.sealed, resealed.certificate)


class OpenSsl:
    """The program, with the authority's certificates as files in ``folder``."""

    def __init__(self, chain: tuple[bytes, ...], folder: Path) -> None:
        issuing, root = (x509.load_der_x509_certificate(der) for der in chain)
        self._program = shutil.which("openssl") or "openssl"
        self.folder = folder
        self.issuing = folder / "issuing.pem"
        self.root = folder / "root.pem"
        self.issuing.write_bytes(issuing.public_bytes(_PEM))
        self.root.write_bytes(root.public_bytes(_PEM))

    def run(self, *arguments: str, stdin: bytes = b"", status: int | None = 0) -> str:
        """What it writes, to either stream; it must end with ``status`` (None: any)."""
        done = subprocess.run(  # noqa: PLW1510 - the status is checked below, with the text
            [self._program, *arguments], input=stdin, capture_output=True, timeout=30
        )
        text = (done.stdout + done.stderr).decode()
        assert status is None or done.returncode == status, text
        return text

    def file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def path_is_good(self, certificate: bytes, *crls: bytes) -> bool:
        """``openssl verify -crl_check_all``."""
        pem = b"".join(x509.load_der_x509_crl(crl).public_bytes(_PEM) for crl in crls)
        signer = x509.load_der_x509_certificate(certificate).public_bytes(_PEM)
        text = self.run(
            *("verify", "-crl_check_all", "-CRLfile", self.file("crls.pem", pem)),
            *("-CAfile", str(self.root), "-untrusted", str(self.issuing)),
            self.file("signer.pem", signer),
            status=None,
        )
        return text.strip().endswith(": OK")

    def ocsp_says(self, certificate: bytes, response: bytes, digest: str = "sha1") -> str:
        """What ``openssl ocsp`` takes the response for, after it has verified it."""
        signer = x509.load_der_x509_certificate(certificate).public_bytes(_PEM)
        text = self.run(
            *("ocsp", "-respin", self.file("response.der", response)),
            *("-issuer", str(self.issuing), f"-{digest}"),
            *("-cert", self.file("signer.pem", signer)),
            *("-CAfile", str(self.root), "-verify_other", str(self.issuing), "-no_nonce"),
        )
        assert "Response verify OK" in text
        return next(line for line in text.splitlines() if "signer.pem: " in line).split(": ")[1]


def self_signed() -> bytes:
    """A certificate of nobody's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ai đó")])
    now = as_datetime(SystemClock().now_ms())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now.replace(year=now.year + 1))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(_DER)
