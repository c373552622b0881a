"""Checks exported evidence: did this SIM sign exactly this digest?

    python verify.py evidence.json --digest 2cf24dba… [--issuer ca.pem]

Needs the package cryptography and nothing of the service: it is for whoever does not want to take
the service's word. The format of the evidence and what each mode proves: docs/sim-consent.md.
With --issuer the certificate must be of that authority, which may certify, and both must have been
valid from the question to its end. Without it the certificate is only shown, not judged. Revocation
is not looked at, nor who certified the authority: whoever names it believes it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

FORMAT = "remote-signing/sim-evidence/v1"
DIGESTS = {
    "608648016503040201": hashes.SHA256(),
    "608648016503040202": hashes.SHA384(),
    "608648016503040203": hashes.SHA512(),
}
SEQUENCE = 0x30
CONTENT_TYPE, MESSAGE_DIGEST = "2a864886f70d010903", "2a864886f70d010904"
SIGNED_DATA, DATA = "2a864886f70d010702", "2a864886f70d010701"


class Wrong(Exception):
    """The evidence does not show what it should; the text says why."""


def demand(holds: object, otherwise: str) -> None:
    """Go on only if it holds."""
    if not holds:
        raise Wrong(otherwise)


# DER: a value is (tag, content, all of its bytes)


def values(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """The values that stand in ``data`` one after the other."""
    found, at = [], 0
    while at < len(data):
        demand(len(data) >= at + 2, "DER is cut short")
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, start = int.from_bytes(data[start : start + size]), start + size
        demand(start + length <= len(data), "DER is cut short")
        found.append((tag, data[start : start + length], data[at : start + length]))
        at = start + length
    return found


def wrap(tag: int, content: bytes) -> bytes:
    """The value with that tag and content."""
    size = len(content)
    if size < 0x80:  # noqa: PLR2004 - the short form of a length
        return bytes([tag, size]) + content
    count = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | count]) + size.to_bytes(count) + content


def oid(dotted: str) -> bytes:
    """The content of an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(arc & 0x7F | 0x80)
        out += bytes(reversed(digits))
    return bytes(out)


# The structure


class Structure:
    """What was signed, taken apart."""

    def __init__(self, encoded: bytes) -> None:
        outer = values(encoded)
        demand(len(outer) == 1 and outer[0][0] == SEQUENCE, "the structure is not one SEQUENCE")
        members = values(outer[0][1])
        demand(len(members) == 13, "the structure has other members")  # noqa: PLR2004 - as the format says
        content = [member[1] for member in members]
        demand(content[0] == b"remote-signing/sim-consent", "not a SIM's consent")
        demand(content[1] == b"\x01", "another version of the structure")
        self.encoded = encoded
        self.digest = hashlib.sha256(encoded).digest()
        self.service, self.activation = content[2].decode(), content[3].decode()
        self.credential = content[4].decode()
        self.documents = members[5]
        self.count = int.from_bytes(content[6])
        coding, text = values(content[7])
        self.text = text[1].decode("ascii" if coding[1] == b"\x04" else "utf-16-be")
        self.code = content[8].decode()
        self.not_before, self.expires = (int.from_bytes(content[n]) for n in (10, 11))
        self.certificate_sha256 = content[12]

    def check_documents(self, documents: list[dict[str, str]]) -> None:
        """Demand that the structure names exactly these documents, in this order."""
        listed = wrap(
            SEQUENCE,
            b"".join(
                wrap(
                    SEQUENCE,
                    wrap(0x0C, document["label"].encode())
                    + wrap(0x06, oid(document["algorithm"]))
                    + wrap(0x04, bytes.fromhex(document["digest"])),
                )
                for document in documents
            ),
        )
        tag, content, encoded = self.documents
        same = listed == encoded if tag == SEQUENCE else hashlib.sha256(listed).digest() == content
        demand(same and len(documents) == self.count, "the structure names other documents")


# The signature


def verify(key: object, signature: bytes, data: bytes, digest: hashes.HashAlgorithm) -> None:
    """Demand that the signature is the key's over the data."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(digest))
        else:
            demand(holds=False, otherwise="kind of key")
    except InvalidSignature:
        demand(holds=False, otherwise="the signature does not verify")


def check_cms(key: object, cms: bytes, mode: str, structure: Structure, signed: bytes) -> None:
    """Demand that the CMS is over what was to be signed, by this key."""
    kind, content = values(values(cms)[0][1])
    demand(kind[1].hex() == SIGNED_DATA, "not CMS SignedData")
    members = values(values(content[1])[0][1])
    signers = values(members[-1][1])
    demand(len(signers) == 1, "not one signer")
    _, _, algorithm, attributes, _, signature = values(signers[0][1])
    digest = DIGESTS.get(values(algorithm[1])[0][1].hex())
    demand(digest is not None, "digest algorithm of the CMS")
    found = {}
    for _, attribute, _ in values(attributes[1]):
        name, contents = values(attribute)
        demand(name[1].hex() not in found, "an attribute twice")
        found[name[1].hex()] = [value[1] for value in values(contents[1])]
    demand(found.get(CONTENT_TYPE) == [bytes.fromhex(DATA)], "contentType")
    attached = values(members[2][1])[1:]
    if attached:
        carried = values(attached[0][1])[0][1]
        wanted = structure.digest if mode == "digest" else signed
        demand(carried == wanted, "the CMS carries something else")
        signed = carried
    demand(found.get(MESSAGE_DIGEST) == [digest_of(signed, digest)], "messageDigest")
    verify(key, signature[1], wrap(0x31, attributes[1]), digest)


def digest_of(data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    """The digest of the data."""
    state = hashes.Hash(algorithm)
    state.update(data)
    return state.finalize()


def check_signature(key: object, evidence: dict, structure: Structure) -> None:
    """Demand a signature over the structure, its digest, or the text that carries its bits."""
    mode, form = evidence["mode"], evidence["signature"]["format"]
    demand(mode in {"structure", "digest", "text"}, "mode")
    signature = base64.b64decode(evidence["signature"]["value"], validate=True)
    candidates = [structure.encoded]
    if mode == "text":
        bits = base64.b32encode(structure.digest)[:20].decode()
        message = f"{structure.code} {structure.text} #{bits}"
        candidates = [message.encode(), message.encode("utf-16-be")]
    if form == "ecdsa_raw":
        half = len(signature) // 2
        r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
        signature = encode_dss_signature(r, s)
    failures = []
    for signed in candidates:
        try:
            if form == "cms":
                check_cms(key, signature, mode, structure, signed)
            else:
                verify(key, signature, signed, hashes.SHA256())
        except Wrong as wrong:
            failures.append(wrong)
        else:
            return
    raise failures[0]


# Whose certificate it is


def check_issued(certificate: x509.Certificate, pem: bytes, structure: Structure) -> None:
    """Demand that an authority certified the signer, and that both were valid at the time.

    When within the question the SIM signed is told by nobody; so both must outlast it.
    """
    authority = x509.load_pem_x509_certificate(pem)
    found = [extension.value for extension in authority.extensions]
    constraints = [each for each in found if isinstance(each, x509.BasicConstraints)]
    usages = [each for each in found if isinstance(each, x509.KeyUsage)]
    may_certify = constraints and all(each.ca for each in constraints)
    may_certify = may_certify and all(each.key_cert_sign for each in usages)
    demand(may_certify, "the issuer is no authority that may certify")
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        demand(holds=False, otherwise="the certificate is not of this issuer")
    first, last = moments(structure)
    for one, name in ((certificate, "certificate"), (authority, "issuer's certificate")):
        is_valid = one.not_valid_before_utc <= first and last <= one.not_valid_after_utc
        demand(is_valid, f"the {name} was not valid for as long as the question was")


def moments(structure: Structure) -> tuple[datetime, datetime]:
    """When the SIM was asked, and until when it could answer."""
    asked, ended = structure.not_before / 1000, structure.expires / 1000
    return datetime.fromtimestamp(asked, UTC), datetime.fromtimestamp(ended, UTC)


def check(evidence: dict, digest: str, issuer: Path | None) -> list[str]:
    """What the evidence shows, line by line; ``Wrong`` when it does not show it."""
    demand(evidence.get("format") == FORMAT, "another format of evidence")
    structure = Structure(base64.b64decode(evidence["structure"], validate=True))
    encoded = base64.b64decode(evidence["certificate"], validate=True)
    demand(hashlib.sha256(encoded).digest() == structure.certificate_sha256, "certificate")
    certificate = x509.load_der_x509_certificate(encoded)
    structure.check_documents(evidence["documents"])
    labels = [one["label"] for one in evidence["documents"] if one["digest"] == digest.lower()]
    demand(labels, "the SIM did not sign for this digest")
    check_signature(certificate.public_key(), evidence, structure)
    if issuer is not None:
        check_issued(certificate, issuer.read_bytes(), structure)
    first, last = (moment.isoformat() for moment in moments(structure))
    return [
        f"signer       {certificate.subject.rfc4514_string()}",
        f"issuer       {certificate.issuer.rfc4514_string()}"
        + ("" if issuer else " (not checked)"),
        f"service      {structure.service}",
        f"activation   {structure.activation} of credential {structure.credential}",
        f"digest       {digest.lower()} ({labels[0] or 'no label'})",
        f"documents    {structure.count}",
        f"text         {structure.text}",
        f"code         {structure.code}",
        f"asked        {first}, good until {last}",
        f"mode         {evidence['mode']}",
    ]


def main(arguments: list[str]) -> int:
    """0 when the SIM signed for the digest, 1 when not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("evidence", type=Path)
    parser.add_argument("--digest", required=True, help="hex of what the credential's key signed")
    parser.add_argument("--issuer", type=Path, help="PEM of the authority that certified the SIM")
    given = parser.parse_args(arguments)
    try:
        lines = check(json.loads(given.evidence.read_bytes()), given.digest, given.issuer)
    except Wrong as wrong:
        sys.stderr.write(f"NOT SHOWN: {wrong}\n")
        return 1
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        sys.stderr.write(f"NOT SHOWN: malformed evidence ({type(error).__name__})\n")
        return 1
    sys.stdout.write("\n".join([*lines, "The SIM signed for exactly this digest.", ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
