"""Verification by two programs that know nothing of this project: pyHanko and openssl.

Both trust the root CA alone and fetch nothing. What openssl gets is cut out of the PDF here, not by
pyHanko.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from remote_signing.demo.telling import DemoFailed

_SUB_FILTER = "/ETSI.CAdES.detached"
_BYTE_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a program says of a signature it accepts: who signed, in its own words."""

    program: str
    words: str


async def by_pyhanko(pdf: bytes, root: bytes) -> Accepted:
    """PAdES: intact, trusted, covering the whole file, by a certificate for commitments."""
    reader = PdfFileReader(io.BytesIO(pdf))
    signature = reader.embedded_signatures[-1]
    context = ValidationContext(
        trust_roots=[x509.Certificate.load(root)],
        allow_fetching=False,
        revocation_mode="soft-fail",  # baseline B-B carries no revocation data
    )
    status = await async_validate_pdf_signature(signature, context)
    problems = [
        text
        for text, is_wrong in (
            ("bottom line is no", not status.bottom_line),
            ("not intact", not status.intact),
            ("not trusted", not status.trusted),
            ("not the whole file", status.coverage != SignatureCoverageLevel.ENTIRE_FILE),
            ("not PAdES", signature.sig_object["/SubFilter"] != _SUB_FILTER),
        )
        if is_wrong
    ]
    if problems:
        raise DemoFailed(f"pyHanko: {', '.join(problems)}")
    subject = status.signing_cert.subject.human_friendly
    return Accepted("pyHanko", f"valid, whole file, {_SUB_FILTER[1:]}, by {subject}")


def by_openssl(pdf: bytes, root: bytes, folder: Path) -> Accepted:
    """``openssl cms -verify`` accepts the signature, and refuses it for a changed document."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise DemoFailed("there is no openssl on this machine")
    content, cms = cut_out(pdf)
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    for name, data in (
        ("signature.der", cms),
        ("content.bin", content),
        ("changed.bin", bytes(changed)),
        ("root.pem", _pem(root)),
    ):
        (folder / name).write_bytes(data)
    accepted = _verify(openssl, folder, "content.bin")
    if accepted.returncode != 0:
        raise DemoFailed(f"openssl refused the signature:\n{accepted.stderr}")
    if _verify(openssl, folder, "changed.bin").returncode == 0:
        raise DemoFailed("openssl accepted a changed document")
    version = _run([openssl, "version"], folder).stdout.strip()
    return Accepted("openssl", f"{accepted.stderr.strip()} ({version}); one bit changed: refused")


def cut_out(pdf: bytes) -> tuple[bytes, bytes]:
    """The bytes that the last signature of ``pdf`` covers, and its CMS in DER."""
    ranges = _BYTE_RANGE.findall(pdf)
    if not ranges:
        raise DemoFailed("the PDF holds no signature")
    start, length, second, rest = map(int, ranges[-1])
    content = pdf[start : start + length] + pdf[second : second + rest]
    cms = bytes.fromhex(pdf[start + length : second].strip().strip(b"<>").decode("ascii"))
    return content, cms[: _der_length(cms)]


def _der_length(data: bytes) -> int:
    """Of the one value at the beginning of ``data``; the rest of /Contents is filled with zeros."""
    first = data[1]
    if first < 0x80:  # noqa: PLR2004 - X.690 cl. 8.1.3: short form
        return 2 + first
    size = first & 0x7F
    return 2 + size + int.from_bytes(data[2 : 2 + size])


def _verify(openssl: str, folder: Path, content: str) -> subprocess.CompletedProcess[str]:
    # -cades: also that the signed attributes name this very certificate (ETSI EN 319 122-1).
    return _run(
        [
            *(openssl, "cms", "-verify", "-binary", "-cades", "-inform", "DER"),
            *("-in", "signature.der", "-content", content, "-out", "verified.bin"),
            *("-CAfile", "root.pem", "-no-CApath", "-no-CAstore"),
        ],
        folder,
    )


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - openssl from the PATH, on files made here
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def _pem(der: bytes) -> bytes:
    text = base64.encodebytes(der).decode("ascii")
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode("ascii")


def of_sim(evidence: Path, digest: bytes, issuer: bytes) -> list[str]:
    """What the small verifier says of a SIM's consent to ``digest``; ``DemoFailed``.

    ``issuer`` (DER) is whose certificates of SIMs it believes.
    """
    anchor = evidence.with_name("sim-issuer.pem")
    anchor.write_text(ssl.DER_cert_to_PEM_cert(issuer), encoding="ascii")
    script = Path(__file__).parents[2] / "docs" / "verify-sim-consent" / "verify.py"
    run = subprocess.run(  # noqa: S603 - our own script, on files made here
        [
            *(sys.executable, str(script), str(evidence)),
            *("--digest", digest.hex(), "--issuer", str(anchor)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise DemoFailed(f"the SIM's consent is refused: {run.stdout}{run.stderr}")
    return run.stdout.splitlines()
