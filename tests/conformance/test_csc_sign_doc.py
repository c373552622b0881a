"""``signDoc`` by the standard's table of errors and its schema, and with hostile documents."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from remote_signing.errors import SamUnavailable
from remote_signing.rssp.documents.model import ENVELOPES
from remote_signing.rssp.models import credential
from tests.support.documents import DECISION, TEXT, DocumentPortal, decision, document, pdf
from tests.support.examples import example
from tests.support.world import ECDSA_SHA256, SHA256, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.support.sqlite import SqliteFolder

    Scene = Callable[[DocumentPortal], httpx.Response]

DATA = Path(__file__).parents[1] / "data" / "csc"
TABLE = json.loads((DATA / "csc_errors.json").read_text("utf-8"))["cases"]
ROWS = TABLE["v2"]["signatures/signDoc(additional)"]
DIGEST = {"hashes": ["A" * 43 + "="], "signature_format": "P", "signAlgo": ECDSA_SHA256}
SHA384 = "2.16.840.1.101.3.4.2.2"


@pytest.fixture(scope="module")
def portal(sqlite_folder: SqliteFolder) -> Iterator[DocumentPortal]:
    with new_world(sqlite_folder) as world:
        world.database.run(update(credential).values(chain="[]"))  # the SAM in software makes none
        made = DocumentPortal.at(world, signature_qualifier="eu_eidas_qes")
        yield made
        made.close()


def asked(*entries: Any, **changes: Any) -> Scene:
    def scene(portal: DocumentPortal) -> httpx.Response:
        order = portal.order(*entries, **changes)
        given = {name: value for name, value in order.items() if value is not None}
        return portal.post("signatures/signDoc", given)

    return scene


def other_document(portal: DocumentPortal) -> httpx.Response:
    order = portal.prepared(portal.order(document()))
    order["documents"] = [document(b"another one")]
    return portal.post("signatures/signDoc", order)


def one_too_many(portal: DocumentPortal) -> httpx.Response:
    order = portal.prepared(portal.order(document()))
    order["documents"] *= 2
    return portal.post("signatures/signDoc", order)


SCENES: dict[str, Scene] = {
    "documentDigests": asked(document(), documentDigests="x", documents=None),
    "documents": asked(document(), documents={"document": "x"}),
    "both empty": asked(document(), documents=[], documentDigests=[]),
    "both passed": asked(document(), documentDigests=[DIGEST]),
    "hashes base64": asked(DIGEST | {"hashes": ["ä"]}),
    "documents base64": asked(document(document="*" * 40_000)),
    "not authorized": one_too_many,
    "hash alg contradiction": asked(document(hashAlgorithmOID=SHA384)),
    "signature_format missing/type": asked(document(signature_format=None)),
    "signature_format": asked(document(signature_format="Z")),
    "conformance_level": asked(document(conformance_level="Ades-B-X")),
    "signed_envelope_property": asked(document(signed_envelope_property="Enveloped")),
    "signed_props": asked(
        document(signed_props=[{"attribute_name": "list of invalid attributes"}])
    ),
    "hash mismatch": other_document,
}


@pytest.mark.parametrize(("case", "status", "error", "text"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_the_table(
    portal: DocumentPortal, case: str, status: int, error: str, text: str
) -> None:
    answer = SCENES[case](portal)
    example(case, answer)
    found = (answer.status_code, answer.json()["error"], answer.json()["error_description"])
    assert found == (status, error, text)


FURTHER: dict[str, tuple[Scene, str]] = {
    "neither id nor qualifier": (
        asked(document(), credentialID=None),
        "Missing (or invalid type) string parameter credentialID",
    ),
    "another credential": (
        asked(document(), credentialID="0" * 26),
        "Invalid parameter credentialID",
    ),
    "another qualifier": (
        asked(document(), signatureQualifier="za_ecta_aes"),
        "Invalid parameter signatureQualifier",
    ),
    "no SAD": (asked(document()), "Missing (or invalid type) string parameter SAD"),
    "no signAlgo": (
        asked(document(signAlgo=None)),
        "Missing (or invalid type) string parameter signAlgo",
    ),
    "unknown signAlgo": (asked(document(signAlgo="1.2.3")), "Invalid parameter signAlgo"),
    "two algorithms": (
        asked(document(), document(signAlgo="1.2.840.10045.4.3.3")),
        "Invalid parameter signAlgo",
    ),
    "SHA-3": (
        asked(document(signAlgo="2.16.840.1.101.3.4.3.10")),
        "Invalid parameter signAlgo",
    ),
    "digest not named": (
        asked(document(signAlgo="1.2.840.10045.2.1")),
        "Missing (or invalid type) string parameter hashAlgorithmOID",
    ),
    "SHA-1": (
        asked(document(signAlgo="1.2.840.10045.2.1", hashAlgorithmOID="1.3.14.3.2.26")),
        "Invalid parameter hashAlgorithmOID",
    ),
    "a digest too short": (
        asked(DIGEST | {"hashes": ["AAAA"]}),
        "Invalid digest value length",
    ),
    "no hashes": (asked(DIGEST | {"hashes": []}), "Invalid object parameter documentDigests"),
    "B-LTA of a digest": (
        asked(DIGEST | {"conformance_level": "AdES-B-LTA"}),
        "Invalid parameter conformance_level",
    ),
    "a digest attached": (
        asked(DIGEST | {"signature_format": "C", "signed_envelope_property": "Attached"}),
        "Invalid parameter signed_envelope_property",
    ),
    "properties of a digest": (
        asked(DIGEST | {"signed_props": [{"attribute_name": "Reason"}]}),
        "Invalid parameter signed_props (Reason)",
    ),
    "properties that are none": (
        asked(document(signed_props=["Reason"])),
        "Invalid parameter signed_props",
    ),
    "no document": (asked(document(document="")), "Invalid array parameter documents"),
    "another mode": (asked(document(), operationMode="B"), "Invalid parameter operationMode"),
    "kept for no time": (
        asked(document(), operationMode="A", validity_period=0),
        "Invalid parameter validity_period",
    ),
    "a list for a mode": (asked(document(), operationMode=[]), "Invalid parameter operationMode"),
    "time of yesterday": (
        asked(document(), claimedTime="2020-01-01T00:00:00Z", SAD=f"{'0' * 26}.{'x' * 43}"),
        "Invalid parameter claimedTime",
    ),
    "no time": (
        asked(document(), claimedTime="2026-13-41T00:00:00Z"),
        "Invalid parameter claimedTime",
    ),
    "an XAdES digest enveloped": (
        asked(DIGEST | {"signature_format": "X", "signed_envelope_property": "Enveloped"}),
        "Invalid parameter signed_envelope_property",
    ),
    "XAdES of another envelope": (
        asked(document(signature_format="X", signed_envelope_property="Attached")),
        "Invalid parameter signed_envelope_property",
    ),
    "a time stamp as property of XAdES": (
        asked(
            document(
                signature_format="X",
                signed_props=[{"attribute_name": "AllDataObjectsTimeStamp"}],
            )
        ),
        "Invalid parameter signed_props (AllDataObjectsTimeStamp)",
    ),
    "a reference of an enveloped signature": (
        asked(document(signature_format="X", referenceUri="a.pdf")),
        "Invalid parameter referenceUri",
    ),
    "a reference with a fragment": (
        asked(DIGEST | {"signature_format": "X", "referenceUri": "#a"}),
        "Invalid parameter referenceUri",
    ),
    "one reference of two digests": (
        asked(
            DIGEST
            | {"signature_format": "X", "referenceUri": "a.pdf", "hashes": [*DIGEST["hashes"]] * 2}
        ),
        "Invalid parameter referenceUri",
    ),
    "another container": (
        asked(document(documentName="a.pdf"), container="ASiC-S"),
        "Invalid parameter container",
    ),
    "a container that is no text": (
        asked(document(documentName="a.pdf"), container=1),
        "Missing (or invalid type) string parameter container",
    ),
    "a container of a digest": (asked(DIGEST, container="ASiC-E"), "Invalid parameter container"),
    "a container of PAdES": (
        asked(document(documentName="a.pdf", signature_format="P"), container="ASiC-E"),
        "Invalid parameter container",
    ),
    "a container with an attached signature": (
        asked(
            document(documentName="a.pdf", signed_envelope_property="Attached"),
            container="ASiC-E",
        ),
        "Invalid parameter signed_envelope_property",
    ),
    "a container whose entries differ": (
        asked(
            document(documentName="a.pdf"),
            document(documentName="b.pdf", conformance_level="Ades-B-T"),
            container="ASiC-E",
        ),
        "Invalid parameter container",
    ),
    "a container without names": (
        asked(document(), container="ASiC-E"),
        "Missing (or invalid type) string parameter documentName",
    ),
    "a container of one media type": (
        asked(
            document(
                documentName="a.pdf",
                signature_format="X",
                signed_props=[{"attribute_name": "DataObjectFormat", "attribute_value": "YS9i"}],
            ),
            container="ASiC-E",
        ),
        "Invalid parameter signed_props (DataObjectFormat)",
    ),
    "a container with a path": (
        asked(document(documentName="../a.pdf"), container="ASiC-E"),
        "Invalid parameter documentName",
    ),
    "too many": (asked(*[document()] * 101), "Numbers of signatures is too high"),
    "clientData": (asked(document(), clientData=1), "Invalid parameter clientData"),
}


@pytest.mark.parametrize("case", FURTHER)
def test_what_the_table_leaves_to_its_pattern(portal: DocumentPortal, case: str) -> None:
    scene, text = FURTHER[case]
    answer = scene(portal)
    example(case, answer)
    assert (answer.status_code, answer.json()["error_description"]) == (400, text)


def test_info_tells_what_is_made(portal: DocumentPortal) -> None:
    told = portal.post("info", {}).json()
    assert told["signature_formats"]["formats"] == list(ENVELOPES)
    assert told["conformance_levels"] == ["Ades-B-B", "Ades-B-T", "Ades-B-LT", "Ades-B-LTA"]
    assert told["validationInfo"] is True
    assert "signatures/signDoc" in told["methods"]


def test_without_time_or_status_there_is_an_error_and_no_lower_level(
    portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object) -> None:
        raise SamUnavailable("away")

    for method in ("timestamp", "sign_ocsp", "service_certificates"):
        monkeypatch.setattr(type(portal.world.sam), method, away, raising=False)
    for level in ("B-T", "B-LT", "B-LTA"):
        order = portal.order(decision(conformance_level=f"Ades-{level}"))
        prepared = portal.post("signatures/prepareDoc", order)
        if prepared.status_code == 200:
            found = prepared.json()
            sad = portal.sad(found["hashes"], found["hashAlgorithmOID"])
            order |= {"SAD": sad, "claimedTime": found["claimedTime"]}
            prepared = portal.post("signatures/signDoc", order)
        assert prepared.status_code == 503, level
        assert prepared.json()["error"] == "temporarily_unavailable"


def test_what_the_signer_approves_hours_later_is_signed(portal: DocumentPortal) -> None:
    order = portal.order(document())
    told = portal.post("signatures/prepareDoc", order).json()
    hashes, oid = told["hashes"], told["hashAlgorithmOID"]
    sad = portal.sad(hashes, oid, after=11.9 * 3600, requestDetails={"urgency": "urgent"})
    order |= {"SAD": sad, "claimedTime": told["claimedTime"]}
    answer = portal.post("signatures/signDoc", order)
    assert answer.status_code == 200, answer.text


def bomb() -> bytes:
    """A cross-reference stream of a gigabyte, in a megabyte."""
    squeezed = zlib.compress(bytes(64 * 1024 * 1024), 9)
    head = b"<</Type/XRef/Size 9/W[1 8 2]/Root 1 0 R/Filter/FlateDecode/Length %d>>" % len(squeezed)
    body = b"%PDF-1.7\n"
    stream = b"1 0 obj\n" + head + b"\nstream\n" + squeezed + b"\nendstream\nendobj\n"
    return body + stream + b"startxref\n%d\n%%%%EOF\n" % len(body)


SIGNED_WHOLE = (
    b'<r><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><Reference URI=""/>'
    b"</SignedInfo></Signature></r>"
)
ENTITIES = b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;</r>'
HOSTILE_XML: dict[str, tuple[bytes, str]] = {
    "no XML": (DECISION.read_bytes(), "the XML is damaged"),
    "entities": (ENTITIES, "the XML has a document type declaration"),
    "depth": (b"<r>" * 100_000, "the XML is too deep or too large"),
    "UTF-16": ("<r/>".encode("utf-16"), "the XML is not UTF-8"),
    "signed as a whole": (SIGNED_WHOLE, "a signature in the XML forbids another one"),
}


@pytest.mark.parametrize("kind", HOSTILE_XML)
def test_hostile_xml_is_a_clear_error(portal: DocumentPortal, kind: str) -> None:
    content, reason = HOSTILE_XML[kind]
    entry = document(content, signature_format="X")
    answer = portal.post("signatures/prepareDoc", portal.order(entry))
    told = f"Invalid array parameter documents ({reason})"
    assert (answer.status_code, answer.json()["error_description"]) == (400, told)


HOSTILE: dict[str, bytes] = {
    "no PDF": b"MZ" + bytes(1000),
    "empty": b"\n",
    "truncated": DECISION.read_bytes()[:20_000],
    "without its end": DECISION.read_bytes()[:-400],
    "a loop of tables": b"%PDF-1.7\nxref\n0 0\ntrailer\n<</Size 1/Prev 9/Root 1 0 R>>\n"
    b"startxref\n9\n%%EOF\n",
    "no catalogue": pdf([b"<</Type/Pages/Count 0/Kids[]>>"]),
    "pages in a circle": pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]>>"]),
    "references in a circle": pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"2 0 R"]),
    "nested without end": pdf([b"<</Type/Catalog/Pages " + b"[" * 100_000 + b">>"]),
    "a bomb for a table": bomb(),
    "encrypted": pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 0/Kids[]>>"]).replace(
        b"/Root", b"/Encrypt<</Filter/Standard/V 1/R 2/O(x)/U(y)/P 0>>/Root"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_document_is_a_clear_error(portal: DocumentPortal, kind: str) -> None:
    entry = document(HOSTILE[kind], signature_format="P")
    answer = portal.post("signatures/prepareDoc", portal.order(entry))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error_description"].startswith("Invalid array parameter documents (")


def test_the_qualifier_alone_finds_the_only_credential(portal: DocumentPortal) -> None:
    order = portal.order(document(TEXT), credentialID=None, signatureQualifier="eu_eidas_qes")
    found = portal.post("signatures/prepareDoc", order)
    assert found.json()["credentialID"] == portal.world.credential_id
    assert found.json()["hashAlgorithmOID"] == SHA256
