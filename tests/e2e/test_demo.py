"""The README's demo command, as a newcomer types it; its PDF is judged here once more."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from asn1crypto import x509
from cryptography import x509 as pyca
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from remote_signing.sam.cluster import load_cluster
from tests.support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECONDS = 400
DEMO = "python3 -m remote_signing.bootstrap demo"


def demo(state: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = [sys.executable, *DEMO.split()[1:], "--state", str(state), *options]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_the_demo_signs_a_pdf_that_foreign_programs_accept(tmp_path: Path) -> None:
    state = tmp_path / "demo"
    done = demo(state)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("PASSED", "node-1 was lost; node-2 signed, once", "Verification successful"):
        assert word in done.stdout
    root = next(path for path in state.rglob("cluster.json"))
    anchor = load_cluster(root).root_certificate.public_bytes(Encoding.DER)
    with (state / "signed" / "signed.pdf").open("rb") as file:
        signature = PdfFileReader(file).embedded_signatures[0]
        context = ValidationContext(
            trust_roots=[x509.Certificate.load(anchor)], allow_fetching=False
        )
        status = validate_pdf_signature(signature, context)
        assert status.bottom_line
        signer = pyca.load_der_x509_certificate(status.signing_cert.dump())
    assert "Nguyễn Văn An" in signer.subject.rfc4514_string()
    for secret in state.rglob("*pin*"):
        assert secret.stat().st_mode & 0o077 == 0


def test_the_demo_with_a_sim_leaves_evidence_that_a_small_verifier_accepts(
    tmp_path: Path,
) -> None:
    state = tmp_path / "demo"
    done = demo(state, "--consent", "sim")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The SIM signed for exactly this digest." in done.stdout
    assert "node-1 was lost; node-2 signed, once" in done.stdout
    evidence = state / "signed" / "evidence.json"
    digest = json.loads(evidence.read_text("utf-8"))["documents"][0]["digest"]
    assert f"to be signed: {digest}" in done.stdout
    verifier = ROOT / "docs" / "verify-sim-consent" / "verify.py"
    other = ("0" if digest[0] != "0" else "1") + digest[1:]
    for value, status in ((digest, 0), (other, 1)):
        command = [sys.executable, str(verifier), str(evidence), "--digest", value]
        assert subprocess.run(command, capture_output=True, check=False).returncode == status
    for secret in (state / "secrets").iterdir():
        assert secret.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"not a PDF", b"%PDF-1.7\n%%EOF"])
def test_a_file_that_is_no_pdf_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wrong.pdf").write_bytes(content)
    done = demo(tmp_path / "demo", "--pdf", str(tmp_path / "wrong.pdf"))
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
