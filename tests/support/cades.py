"""What pyHanko and OpenSSL say of a CAdES signature, also of one beside others in the same CMS."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING, Any

from asn1crypto import cms, parser
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from pyhanko.sign.ades.report import AdESPassed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.documents import DocumentPortal

STAMP, ARCHIVE_STAMP = "signature_time_stamp_token", "0.4.0.1733.2.4"
_UNSIGNED = {
    "B-B": [],
    "B-T": [STAMP],
    "B-LT": [STAMP],
    "B-LTA": [STAMP, ARCHIVE_STAMP],
}


def accepted(
    portal: DocumentPortal, message: bytes, levels: list[str], document: bytes, folder: Path
) -> None:
    """Exactly as many signatures are in ``message``, at these levels, all over ``document``."""
    signed = cms.ContentInfo.load(message)["content"]
    detached = signed["encap_content_info"]["content"].native is None
    found = []
    for number, info in enumerate(signed["signer_infos"]):
        kinds = [each["type"].native for each in info["unsigned_attrs"] or []]
        found.append(kinds)
        name = info["digest_algorithm"]["algorithm"].native
        digest = hashlib.new(name, document).digest() if detached else None
        # pyHanko takes status out of PDFs only; that ours is in the message is told below.
        level = "B-T" if kinds else "B-B"
        assert portal.judge.cms(alone(message, number), level, digest) == AdESPassed.OK
    assert sorted(found) == sorted(_UNSIGNED[level] for level in levels)
    assert openssl_accepts(portal, message, document if detached else None, folder) == document
    complete = {"B-LT", "B-LTA"}.intersection(levels)
    assert len(signed["crls"] or []) >= (4 if complete else 0)


def alone(message: bytes, number: int) -> Any:
    """The SignedData with one of its signatures only, as pyHanko wants it."""
    signed = cms.ContentInfo.load(message)["content"]
    fields = ("version", "digest_algorithms", "encap_content_info", "certificates", "crls")
    # Put together from bytes: asn1crypto writes what it has read anew, which takes seconds here.
    parts = [signed[name].dump() for name in fields]
    parts.append(parser.emit(0, 1, 17, signed["signer_infos"][number].dump()))
    return cms.SignedData.load(parser.emit(0, 1, 16, b"".join(parts)))


def openssl_accepts(
    portal: DocumentPortal, message: bytes, content: bytes | None, folder: Path
) -> bytes:
    """The content, when every signature in ``message`` is good and leads to our root."""
    (folder / "message.p7m").write_bytes(message)
    root = load_der_x509_certificate(portal.app.state.status.root_certificate())
    (folder / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    command = ["openssl", "cms", "-verify", "-cades", "-inform", "DER", "-in", "message.p7m"]
    if content is not None:
        (folder / "content").write_bytes(content)
        command += ["-content", "content"]
    command += ["-CAfile", "root.pem", "-purpose", "any", "-binary", "-out", "found"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "found").read_bytes()
