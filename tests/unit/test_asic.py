"""ASiC-E containers without a service, judged by xmlsec, openssl and the official schemas."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from remote_signing.rssp.documents import asic, formats
from tests.support.soft_signer import SoftSigner
from tests.support.xml_judges import canonical, found, schema_mistakes, signatures, xmlsec_says

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.rssp.documents.model import Unsealed

DOCUMENTS = {
    "Quyết định 01.txt": "Bổ nhiệm".encode(),
    "phụ-lục.xml": b"<r/>",
    "a+b&c.bin": bytes(range(256)) * 2000,
}
URIS = (
    "Quy%E1%BA%BFt%20%C4%91%E1%BB%8Bnh%2001.txt",
    "ph%E1%BB%A5-l%E1%BB%A5c.xml",
    "a%2Bb%26c.bin",
)
ASIC = {"asic": "http://uri.etsi.org/02918/v1.2.1#", "ds": "http://www.w3.org/2000/09/xmldsig#"}


@pytest.fixture(scope="module")
def signer() -> SoftSigner:
    return SoftSigner()


def laid(folder: Path) -> Path:
    folder.mkdir()
    for number, content in enumerate(DOCUMENTS.values()):
        (folder / str(number)).write_bytes(content)
    return folder


def made(signer: SoftSigner, folder: Path, **changes: Any) -> tuple[bytes, Unsealed | None]:
    """A container, at B-LTA with tokens that are none."""
    recipe = signer.recipe(envelope="Detached", names=tuple(DOCUMENTS), **changes)
    stages = formats.stages(recipe)
    prepared = stages.prepare(recipe, laid(folder))
    unsealed = stages.finish(recipe, prepared, signer.ending(recipe, prepared))
    if unsealed is not None:
        stages.seal(recipe, prepared, unsealed, b"token")
    assert stages.enveloped(recipe)
    return stages.result(recipe, folder).read_bytes(), unsealed


def read(container: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(container)) as opened:
        assert opened.testzip() is None
        return {each: opened.read(each) for each in opened.namelist()}


@pytest.mark.parametrize("kind", ["C", "X"])
def test_a_container_tells_its_kind_first_and_is_the_same_each_time(
    signer: SoftSigner, tmp_path: Path, kind: str
) -> None:
    container, _ = made(signer, tmp_path / "a", format=kind)
    # EN 319 162-1 cl. A.1: name at 30, content at 38, neither squeezed nor behind an extra field.
    assert container[30:69] == b"mimetypeapplication/vnd.etsi.asic-e+zip"
    with zipfile.ZipFile(io.BytesIO(container)) as opened:
        entries = opened.infolist()
    assert {each.date_time for each in entries} == {(2026, 11, 26, 1, 2, 2)}
    assert {each.compress_type for each in entries} == {zipfile.ZIP_STORED}
    assert {name: read(container)[name] for name in DOCUMENTS} == DOCUMENTS


def test_xades_in_a_container_is_accepted_and_a_changed_document_refused(
    signer: SoftSigner, tmp_path: Path
) -> None:
    content = read(made(signer, tmp_path / "a")[0])
    assert [name for name in content if name.startswith("META-INF/")] == [
        "META-INF/manifest.xml",
        "META-INF/signatures.xml",
    ]
    signed = content["META-INF/signatures.xml"]
    by_uri = dict(zip(URIS, DOCUMENTS.values(), strict=True))
    assert etree.fromstring(signed).tag == f"{{{ASIC['asic']}}}XAdESSignatures"
    assert schema_mistakes(signed) == []
    assert xmlsec_says(signed, signer.certificate, by_uri) == "+"
    assert xmlsec_says(signed, signer.certificate, by_uri | {URIS[2]: b"other"}) == "-"
    (signature,) = signatures(signed)
    kinds = [each.text for each in found(signature, ".//xades:MimeType")]
    assert kinds == ["text/plain", "text/xml", "application/octet-stream"]
    listed = etree.fromstring(content["META-INF/manifest.xml"])
    assert [each.values()[0] for each in listed] == ["/", *DOCUMENTS]


def test_the_archive_time_stamp_in_a_container_is_over_all_documents(
    signer: SoftSigner, tmp_path: Path
) -> None:
    container, unsealed = made(signer, tmp_path / "a", level="B-LTA")
    signed = read(container)["META-INF/signatures.xml"]
    assert schema_mistakes(signed) == []
    (signature,) = signatures(signed)
    hashed = hashlib.sha256(b"".join(DOCUMENTS.values()))
    parts = found(signature, ".//xades:SignedProperties")
    for name in ("SignedInfo", "SignatureValue", "KeyInfo"):
        parts += found(signature, f"ds:{name}")
    parts += found(signature, ".//xades:UnsignedSignatureProperties/xades:*")
    for part in parts:
        hashed.update(canonical(part))
    assert unsealed is not None
    assert unsealed.digest == hashed.digest()


def covered(manifest: bytes) -> tuple[str, dict[str, bytes]]:
    """What a manifest says is signed, and with what."""
    root = etree.fromstring(manifest)
    (signature,) = root.iterfind("asic:SigReference", ASIC)
    digests = {
        each.get("URI", ""): (each.findtext("ds:DigestValue", "", ASIC)).encode()
        for each in root.iterfind("asic:DataObjectReference", ASIC)
    }
    return signature.get("URI", ""), digests


def digest_of(content: bytes) -> bytes:
    return base64.b64encode(hashlib.sha256(content).digest())


def openssl_accepts(
    content: dict[str, bytes], manifest: bytes, signer: SoftSigner, at: Path
) -> bool:
    certificate = x509.load_der_x509_certificate(signer.certificate)
    (at / "root.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (at / "manifest").write_bytes(manifest)
    (at / "signature").write_bytes(content["META-INF/signature.p7s"])
    command = ["openssl", "cms", "-verify", "-cades", "-inform", "DER", "-in", "signature"]
    command += ["-content", "manifest", "-CAfile", "root.pem", "-purpose", "any", "-binary"]
    done = subprocess.run([*command, "-out", "found"], cwd=at, capture_output=True, check=False)
    return done.returncode == 0


def test_cades_in_a_container_is_over_the_digest_of_each_document(
    signer: SoftSigner, tmp_path: Path
) -> None:
    content = read(made(signer, tmp_path / "a", format="C")[0])
    manifest = content["META-INF/ASiCManifest.xml"]
    assert openssl_accepts(content, manifest, signer, tmp_path)
    assert not openssl_accepts(content, manifest.replace(b"/plain", b"/other"), signer, tmp_path)
    uri, digests = covered(manifest)
    assert content[uri] == content["META-INF/signature.p7s"]
    assert digests == {
        uri: digest_of(each) for uri, each in zip(URIS, DOCUMENTS.values(), strict=True)
    }


def test_the_archive_manifest_covers_everything_before_it(
    signer: SoftSigner, tmp_path: Path
) -> None:
    container, unsealed = made(signer, tmp_path / "a", format="C", level="B-LTA")
    content = read(container)
    archive = content["META-INF/ASiCArchiveManifest.xml"]
    uri, digests = covered(archive)
    assert content[uri] == b"token"
    assert unsealed is not None
    assert unsealed.digest == hashlib.sha256(archive).digest()
    further = {
        name: digest_of(content[name])
        for name in ("META-INF/ASiCManifest.xml", "META-INF/signature.p7s")
    }
    documents = {uri: digest_of(each) for uri, each in zip(URIS, DOCUMENTS.values(), strict=True)}
    assert digests == documents | further


GOOD = [("a.pdf",), ("Quyết định.docx", "b"), ("a.b.c", "a b", "[1] (2).txt")]
BAD: dict[str, tuple[str, ...]] = {
    "empty": ("",),
    "a folder": ("a/b",),
    "a folder elsewhere": ("a\\b",),
    "upwards": ("..",),
    "hidden": (".htaccess",),
    "a drive": ("c:a",),
    "a final dot": ("a.",),
    "a final space": ("a ",),
    "the kind's own name": ("MimeType",),
    "the folder of signatures": ("meta-inf",),
    "a device": ("CON.txt",),
    "a control character": ("a\x00b",),
    "text that turns": ("a\u202efdp.exe",),
    "decomposed": ("Quyê\u0301t.txt",),
    "half a pair": ("\ud800",),
    "too long": ("x" * 201,),
    "twice": ("a.pdf", "A.PDF"),
}


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_names_that_every_system_takes_are_fit(number: int) -> None:
    assert asic.fit_names(GOOD[number])


@pytest.mark.parametrize("case", BAD)
def test_other_names_are_not_fit(case: str) -> None:
    assert not asic.fit_names(BAD[case])
