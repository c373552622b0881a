"""XML, JSON and containers: good signatures of other programs, and attacks on what is signed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import cms, core
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from remote_signing.rssp.validation.trust import Knowledge
from tests.support.foreign_pki import ForeignPki, Holder
from tests.support.foreign_xml import DS, ENVELOPED, EXCLUSIVE, SHA256, Reference, XmlPen, c14n
from tests.support.validation import Desk, told

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS = Path(__file__).parents[1] / "data" / "validation"
OF_THE_VECTORS = datetime(2026, 11, 26, 3, 40, tzinfo=UTC)
PASSED = ("TOTAL-PASSED", None)
XML = "<VanBan Id='van-ban'><So>12/QĐ-UBND</So><NoiDung>Bổ nhiệm</NoiDung></VanBan>".encode()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def pki() -> ForeignPki:
    return ForeignPki()


@pytest.fixture(scope="module")
def known(pki: ForeignPki) -> Knowledge:
    """XML and JSON here bring the signer's own certificate and no other."""
    known = pki.knowledge(*pki.fresh)
    return replace(known, material=replace(known.material, certificates=(pki.issuing.der,)))


@pytest.fixture
def pen(pki: ForeignPki) -> XmlPen:
    return XmlPen(pki.signer)


# --------------------------------------------------------------------- what this service signed


@pytest.mark.parametrize(
    "name",
    [
        *("enveloped-B-LTA.xml", "enveloping-B-LTA.xml", "detached-B-LTA.xml"),
        *("attached-B-LTA.jws", "detached-B-LTA.jws"),
        *("xades-B-LTA.asice", "cades-B-LTA.asice", "attached-B-LTA.p7m"),
    ],
)
def test_b_lta_of_every_format_passes_on_what_is_in_it(desk: Desk, name: str) -> None:
    kind = {".jws": "json", ".p7m": "cms"}.get(name[-4:], "xml")
    root = VECTORS / f"root-of-{kind}.der"
    beside = VECTORS / f"{name}.content"
    content = beside.read_bytes() if beside.exists() else None
    data = (VECTORS / name).read_bytes()
    anchors = Knowledge((root.read_bytes(),))
    found = desk.one(data, anchors, OF_THE_VECTORS, content)
    assert told(found) == PASSED
    assert found["level"] == "B-LTA"
    assert [each["kind"] for each in found["time_stamps"]] == ["signature", "archive"]
    assert found["decree"]["attached"]["status"] is True
    if content is not None:
        other = desk.one(data, anchors, OF_THE_VECTORS, content + b" ")
        assert told(other) == ("TOTAL-FAILED", "HASH_FAILURE")


@pytest.mark.parametrize("lost", ["certificates", "crls", "unsigned_attrs"])
def test_archive_time_stamp_over_what_was_taken_away_proves_nothing(desk: Desk, lost: str) -> None:
    message = cms.ContentInfo.load((VECTORS / "attached-B-LTA.p7m").read_bytes())
    signed = message["content"]
    holder = signed["signer_infos"][0] if lost == "unsigned_attrs" else signed
    holder[lost] = list(holder[lost])[1:]
    anchors = Knowledge(((VECTORS / "root-of-cms.der").read_bytes(),))
    found = desk.one(message.dump(), anchors, OF_THE_VECTORS)
    archive = found["time_stamps"][-1]
    assert (archive["kind"], archive["reason"]) == ("archive", "stamp_not_supported")
    assert found["level"] != "B-LTA"


@pytest.mark.parametrize("old", ["0.4.0.1733.2.4", "0.4.0.19122.1.5"], ids=["kind", "index"])
def test_archive_time_stamp_of_another_kind_proves_nothing(desk: Desk, old: str) -> None:
    data = (VECTORS / "attached-B-LTA.p7m").read_bytes()
    oid = core.ObjectIdentifier(old).dump()
    assert oid in data
    other = data.replace(oid, oid[:-1] + b"\x7f")
    found = desk.one(
        other, Knowledge(((VECTORS / "root-of-cms.der").read_bytes(),)), OF_THE_VECTORS
    )
    assert found["level"] != "B-LTA"
    assert "PASSED" not in [e["indication"] for e in found["time_stamps"] if e["kind"] == "archive"]


# ------------------------------------------------------------------------------------------ XML


def test_enveloped_xml_signature_passes(desk: Desk, known: Knowledge, pen: XmlPen) -> None:
    found = desk.one(pen.enveloped(XML), known)
    assert told(found) == PASSED
    assert (found["format"], found["level"]) == ("XAdES", "B-B")
    assert found["times"]["claimed"] == "2026-01-05T03:00:00Z"
    assert found["integrity"]["covers"] == [{"name": "", "whole": True}]


def test_changed_xml_fails(desk: Desk, known: Knowledge, pen: XmlPen) -> None:
    data = pen.enveloped(XML).replace(b"12/Q", b"13/Q")
    assert told(desk.one(data, known)) == ("TOTAL-FAILED", "HASH_FAILURE")


def test_changed_signed_info_fails(desk: Desk, known: Knowledge, pen: XmlPen) -> None:
    data = pen.enveloped(XML).replace(b"</ds:SignedInfo>", b" </ds:SignedInfo>")
    assert told(desk.one(data, known)) == ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")


def test_xml_that_is_moved_away_from_its_id_is_not_what_was_signed(
    desk: Desk, known: Knowledge, pen: XmlPen
) -> None:
    """Signature wrapping: the signed element is kept somewhere, another one takes its place."""
    part = b"<a Id='x'>good</a>"
    signature = pen.signature(Reference("#x", c14n(part)))
    for wrapped in (
        b"<r><a Id='x'>bad</a><w>" + part + b"</w>" + signature + b"</r>",  # the same Id twice
        b"<r><a ID='x'>bad</a><w>" + part + b"</w>" + signature + b"</r>",  # by another name
    ):
        found = desk.one(wrapped, known)
        assert found["indication"] == "INDETERMINATE"
        assert found["reasons"] == ["reference_unsafe"]
    # Moved aside with its Id, it is signed as ever, but it is only a part: never the document.
    aside = b"<r><a>bad</a><w>" + part + b"</w>" + signature + b"</r>"
    found = desk.one(aside, known)
    assert told(found) == ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")
    assert found["integrity"]["covers"] == [{"name": "a", "whole": False}]


def test_what_an_xpath_selects_is_not_believed(desk: Desk, known: Knowledge, pen: XmlPen) -> None:
    xpath = (
        '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
        "<ds:XPath>{}</ds:XPath></ds:Transform>"
    )
    usual = pen.enveloped(XML, (xpath.format("not(ancestor-or-self::ds:Signature)"),))
    assert told(desk.one(usual, known)) == PASSED
    nothing = pen.enveloped(XML, (xpath.format("ancestor-or-self::So"),))
    assert desk.one(nothing, known)["reasons"] == ["reference_unsafe"]
    xslt = pen.enveloped(XML, ("http://www.w3.org/TR/1999/REC-xslt-19991116",))
    assert desk.one(xslt, known)["reasons"] == ["reference_unsafe"]


def test_signed_properties_count_only_when_they_are_signed(
    desk: Desk, known: Knowledge, pen: XmlPen
) -> None:
    for bent in (replace(pen, with_properties=False), replace(pen, target="#other")):
        found = desk.one(bent.enveloped(XML), known)
        assert (found["format"], found["level"]) == ("XML", None)
        assert found["times"]["claimed"] is None
        assert found["warnings"] == ["certificate_not_signed"]


def test_certificate_that_was_exchanged_is_no_signers(
    desk: Desk, known: Knowledge, pki: ForeignPki, pen: XmlPen
) -> None:
    other = pki.issue("Kẻ mạo danh")
    found = desk.one(replace(pen, certificate=other.der).enveloped(XML), known)
    assert told(found) == ("INDETERMINATE", "NO_SIGNING_CERTIFICATE_FOUND")
    assert found["signer"] is None


def test_missing_file_of_a_detached_xml_signature_is_asked_for(
    desk: Desk, known: Knowledge, pen: XmlPen
) -> None:
    signature = pen.signature(Reference("van-ban.xml", XML))
    assert told(desk.one(signature, known, content=XML)) == PASSED
    assert told(desk.one(signature, known, content=b"x")) == ("TOTAL-FAILED", "HASH_FAILURE")
    assert desk.refused(signature) == "content_missing"


def test_signature_of_its_own_properties_alone_signs_no_document(
    desk: Desk, known: Knowledge, pen: XmlPen
) -> None:
    found = desk.one(b"<r>" + pen.signature() + b"</r>", known)
    assert told(found) == ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")


def test_manifest_inside_a_signature_is_not_taken_for_what_it_lists(
    desk: Desk, known: Knowledge, pen: XmlPen
) -> None:
    reference = Reference("#van-ban", c14n(XML), kind=f"{DS}Manifest")
    found = desk.one(b"<r>" + XML + pen.signature(reference) + b"</r>", known)
    assert found["reasons"] == ["reference_unsafe"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((SHA256.encode(), b"http://www.w3.org/2001/04/xmldsig-more#md5"), "not_supported"),
        ((b"#ecdsa-sha256", b"#hmac-sha256"), "not_supported"),
        ((b"<ds:SignatureValue>", b"<ds:SignatureValue>*"), "malformed"),
        ((b"</ds:SignedInfo>", b"</ds:SignedInfo><ds:SignedInfo/>"), "malformed"),
        ((EXCLUSIVE.encode(), b"urn:other"), "reference_unsafe"),
    ],
    ids=["digest", "mac", "value", "second", "canonical"],
)
def test_xml_signature_that_is_not_as_the_standard_has_it(
    desk: Desk, known: Knowledge, pen: XmlPen, change: tuple[bytes, bytes], reason: str
) -> None:
    found = desk.one(pen.enveloped(XML).replace(*change), known)
    assert found["indication"] != "TOTAL-PASSED"
    assert found["reasons"][0] == reason


def test_inherited_xml_attributes_are_not_guessed(
    desk: Desk, known: Knowledge, pen: XmlPen
) -> None:
    part = b"<a Id='x'/>"
    inclusive = Reference("#x", c14n(part))
    data = b"<r xml:lang='vi'>" + part + pen.signature(inclusive) + b"</r>"
    assert desk.one(data, known)["reasons"] == ["reference_unsafe"]


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE r [<!ENTITY a 'b'>]><r>&a;</r>",
        b"<?xml version='1.0'?><!DOCTYPE r SYSTEM 'http://x.example/'><r/>",
        b"<r/>\0<!\0D\0",
    ],
    ids=["entity", "external", "wide"],
)
def test_xml_with_a_document_type_is_refused(desk: Desk, data: bytes) -> None:
    assert desk.refused(data) == "xml_with_dtd"


def test_broken_and_deep_xml_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.refused(b"<r>") == "damaged"
    assert desk.refused(b"<a>" * 5000 + b"</a>" * 5000) == "damaged"
    assert desk.refused(b"<a>" * 257 + b"</a>" * 257) == "too_heavy"
    monkeypatch.setattr("remote_signing.rssp.validation.xml_tree._MOST_ELEMENTS", 10)
    assert desk.refused(b"<a>" + b"<b/>" * 10 + b"</a>") == "too_heavy"


def test_long_text_in_xml_is_no_obstacle(desk: Desk, known: Knowledge, pen: XmlPen) -> None:
    data = pen.enveloped(b"<r><a>" + b"x" * 11_000_000 + b"</a></r>")
    assert told(desk.one(data, known)) == PASSED


def test_xml_without_a_signature_is_told_so(desk: Desk) -> None:
    assert desk.report(XML, Knowledge())["indication"] == "NOT-SIGNED"


# ----------------------------------------------------------------------------------------- JSON


def key_of(holder: Holder) -> ECKey:
    return ECKey.import_key(holder.key)


def header(holder: Holder, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(holder.der).digest()
    members = {
        "alg": "ES256",
        "iat": 1767582000,
        "x5c": [base64.b64encode(holder.der).decode()],
        "x5t#S256": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }
    return {name: value for name, value in (members | changes).items() if value is not None}


@pytest.fixture
def compact(pki: ForeignPki) -> Callable[..., bytes]:
    """A JWS that joserfc makes."""

    def made(payload: bytes = b"{}", **changes: Any) -> bytes:
        registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
        members = header(pki.signer, **changes)
        text = jws.serialize_compact(members, payload, key_of(pki.signer), registry=registry)
        return text.encode("ascii")

    return made


def test_json_signature_passes(desk: Desk, known: Knowledge, compact: Callable[..., bytes]) -> None:
    found = desk.one(compact(), known)
    assert told(found) == PASSED
    assert (found["format"], found["level"]) == ("JAdES", "B-B")
    assert found["times"]["claimed"] == "2026-01-05T03:00:00Z"
    plain = desk.one(compact(**{"x5t#S256": None}), known)
    assert (plain["format"], plain["level"]) == ("JWS", None)


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES384", "Ed25519"])
def test_each_kind_of_key_signs_json(desk: Desk, pki: ForeignPki, algorithm: str) -> None:
    kind = {"R": "rsa2048", "P": "rsa2048", "ES": "p384", "Ed": "ed25519"}
    signer = pki.issue("Người ký", kind=kind.get(algorithm[:2]) or kind[algorithm[0]])
    key: Any = {"ES": ECKey, "Ed": OKPKey}.get(algorithm[:2], RSAKey)
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    digest = base64.urlsafe_b64encode(hashlib.sha512(signer.der).digest()).rstrip(b"=").decode()
    members = header(signer, alg=algorithm, iat=None, sigT="2026-01-05T03:00:00Z")
    members = members | {"x5t#o": {"digAlg": "S512", "digVal": digest}}
    text = jws.serialize_compact(members, b"x", key.import_key(signer.key), registry=registry)
    known = pki.knowledge(*pki.fresh)
    known = replace(known, material=replace(known.material, certificates=(pki.issuing.der,)))
    found = desk.one(text.encode(), known)
    assert told(found) == PASSED
    assert found["times"]["claimed"] == "2026-01-05T03:00:00Z"
    other = desk.one(text.replace(".eA.", ".eQ.").encode(), known)
    assert told(other) == ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")


def test_json_serialisation_counts_each_signature(
    desk: Desk, known: Knowledge, compact: Callable[..., bytes]
) -> None:
    protected, payload, value = compact().decode().split(".")
    one = {"protected": protected, "signature": value}
    bad = {"protected": protected, "signature": value[::-1]}
    text = json.dumps({"payload": payload, "signatures": [one, bad]}).encode()
    report = desk.report(text, known)
    assert [each["indication"] for each in report["signatures"]] == ["TOTAL-PASSED", "TOTAL-FAILED"]
    assert report["indication"] == "TOTAL-FAILED"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"alg": "none"}, "not_supported"),
        ({"alg": "HS256"}, "not_supported"),
        ({"alg": "ES384"}, "signature_wrong"),
        ({"crit": ["urn:unknown"], "urn:unknown": 1}, "not_supported"),
        ({"b64": False}, "not_supported"),
        ({"x5t#S256": "AAAA"}, "no_certificate"),
        ({"x5c": None}, "no_certificate"),
        ({"x5c": "text"}, "malformed"),
        ({"sigD": {"mId": "urn:other"}}, "reference_unsafe"),
        ({"iat": "now", "sigT": "never"}, "signature_wrong"),
        ({"iat": None}, "signature_wrong"),
    ],
    ids=[
        *("none", "mac", "curve", "crit", "b64", "digest", "nobody", "text", "sigD"),
        *("time", "no-time"),
    ],
)
def test_json_header_that_is_not_to_be_trusted(
    desk: Desk, pki: ForeignPki, known: Knowledge, changes: dict[str, Any], reason: str
) -> None:
    text = json.dumps(header(pki.signer, **changes)).encode()
    protected = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    value = base64.urlsafe_b64encode(bytes(64)).rstrip(b"=").decode()
    found = desk.one(f"{protected}.e30.{value}".encode(), known)
    assert found["indication"] != "TOTAL-PASSED"
    assert reason in found["reasons"]


def test_json_member_that_is_there_twice_is_refused(
    desk: Desk, compact: Callable[..., bytes]
) -> None:
    protected, payload, value = compact().decode().split(".")
    text = (
        f'{{"payload":"{payload}","payload":"e30","protected":"{protected}","signature":"{value}"}}'
    )
    assert desk.refused(text.encode()) == "damaged"
    assert desk.refused(b'{"a": 1}') == "unknown_format"
    assert desk.refused(b'{"payload": "", "signatures": [1]}') == "damaged"
    assert desk.refused(f"{protected}..{value}".encode()) == "content_missing"
    assert desk.refused(compact(), content=b"x") == "content_superfluous"


def test_detached_json_signature_after_rfc_7515(
    desk: Desk, known: Knowledge, compact: Callable[..., bytes]
) -> None:
    protected, _, value = compact(b"hello").decode().split(".")
    text = f"{protected}..{value}".encode()
    assert told(desk.one(text, known, content=b"hello")) == PASSED
    assert told(desk.one(text, known, content=b"other")) == ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")


def test_base64url_with_bits_left_over_is_no_signature(
    desk: Desk, known: Knowledge, compact: Callable[..., bytes]
) -> None:
    text = compact()
    last = chr(text[-1] + 1) if chr(text[-1]).isalnum() else "B"
    found = desk.one(text[:-1] + last.encode(), known)
    assert found["indication"] != "TOTAL-PASSED"


# ----------------------------------------------------------------------------------- containers


def packed(files: dict[str, bytes], *, kind: str = "asic-e") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("mimetype", f"application/vnd.etsi.{kind}+zip")
        for name, content in files.items():
            made.writestr(name, content)
    return out.getvalue()


def signatures_xml(pen: XmlPen, **files: bytes) -> bytes:
    inner = pen.signature(*(Reference(f"{name}.txt", data) for name, data in files.items()))
    start = b'<a:XAdESSignatures xmlns:a="http://uri.etsi.org/02918/v1.2.1#">'
    return start + inner + b"</a:XAdESSignatures>"


def test_container_with_an_xml_signature_of_another_program(
    desk: Desk, known: Knowledge, pen: XmlPen
) -> None:
    meta = {"META-INF/signatures.xml": signatures_xml(pen, a=b"1", b=b"2")}
    report = desk.report(packed({"a.txt": b"1", "b.txt": b"2", **meta}), known)
    assert report["indication"] == "TOTAL-PASSED"
    assert (report["format"], report["warnings"]) == ("ASiC-E", [])
    more = desk.report(packed({"a.txt": b"1", "b.txt": b"2", "c.txt": b"3", **meta}), known)
    assert (more["indication"], more["warnings"]) == ("TOTAL-PASSED", ["not_all_signed"])
    changed = desk.one(packed({"a.txt": b"1", "b.txt": b"x", **meta}), known)
    assert told(changed) == ("TOTAL-FAILED", "HASH_FAILURE")
    missing = desk.one(packed({"a.txt": b"1", **meta}), known)
    assert told(missing) == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")


@pytest.mark.parametrize("level", ["B-B", "B-T"])
def test_simple_container_with_a_cms_signature_of_another_program(
    desk: Desk, pki: ForeignPki, known: Knowledge, level: str
) -> None:
    message = pki.cms(b"hello", level, detached=True)
    files = {"van-ban.txt": b"hello", "META-INF/signature.p7s": message}
    found = desk.one(packed(files, kind="asic-s"), known)
    assert (*told(found), found["level"]) == (*PASSED, level)
    assert found["integrity"]["covers"] == [{"name": "van-ban.txt", "whole": True}]
    lonely = packed({**files, "other.txt": b"x"})
    assert desk.one(lonely, known)["reasons"] == ["reference_missing", "no_certificate"]


MANIFEST = (
    '<a:ASiCManifest xmlns:a="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="{ds}">'
    '<a:SigReference URI="META-INF/signature.p7s"/><a:DataObjectReference URI="{name}">'
    '<ds:DigestMethod Algorithm="{method}"/><ds:DigestValue>{digest}</ds:DigestValue>'
    "</a:DataObjectReference></a:ASiCManifest>"
)


@pytest.mark.parametrize(
    ("named", "indication"),
    [
        ((b"hello", "a.txt"), "TOTAL-PASSED"),
        ((b"other", "a.txt"), "TOTAL-FAILED"),
        ((b"hello", "b.txt"), "INDETERMINATE"),
    ],
    ids=["good", "changed", "missing"],
)
def test_manifest_is_followed_to_the_files(
    desk: Desk, pki: ForeignPki, known: Knowledge, named: tuple[bytes, str], indication: str
) -> None:
    content, name = named
    digest = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    manifest = MANIFEST.format(ds=DS, name=name, method=SHA256, digest=digest).encode()
    files = {
        "a.txt": content,
        "META-INF/ASiCManifest.xml": manifest,
        "META-INF/signature.p7s": pki.cms(manifest, detached=True),
    }
    assert desk.one(packed(files), known)["indication"] == indication


def test_containers_that_are_traps_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    good = packed({"a.txt": b"1", "META-INF/signatures.xml": b"<r/>"})
    assert desk.refused(good[:-30]) == "damaged"
    assert desk.refused(packed({"../a.txt": b"1"})) == "damaged"
    assert desk.refused(packed({"a.txt": b"1", "A.TXT": b"2"})) == "damaged"
    assert desk.refused(packed({f"{n}": b"" for n in range(1001)})) == "too_heavy"
    assert desk.refused(good, content=b"x") == "content_superfluous"
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as made:
        made.writestr("a.txt", "1")
    assert desk.refused(plain.getvalue()) == "unknown_format"
    hidden = bytearray(good)
    hidden[hidden.index(b"PK\x01\x02") + 8] |= 1  # "encrypted", in the directory
    assert desk.refused(bytes(hidden)) == "encrypted"
    monkeypatch.setattr("remote_signing.rssp.validation.asic._LARGEST", 1000)
    assert desk.refused(packed({"bomb": bytes(10_000)})) == "too_heavy"


def test_enveloped_transform_is_for_the_signatures_own_document(
    desk: Desk, known: Knowledge, pen: XmlPen
) -> None:
    signature = pen.signature(Reference("", b"", (ENVELOPED,)))
    found = desk.one(signature, known)
    assert found["reasons"] == ["reference_unsafe"]
