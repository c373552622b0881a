"""``signDoc`` with a real SAM: each format at each level, judged by pyHanko and OpenSSL."""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import json
import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms, tsp
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESPassed

from tests.support.csc import b64
from tests.support.csc_schema import check_answer, check_request
from tests.support.documents import TEXT, DocumentPortal, decision, document, pdf
from tests.support.examples import example
from tests.support.served import served
from tests.support.world import ECDSA_SHA256


@pytest.fixture
def portal(furnished: DocumentPortal) -> DocumentPortal:
    return using(furnished, "p256")


def using(portal: DocumentPortal, algorithm: str, **changes: Any) -> DocumentPortal:
    """With a new credential: its one-time codes are all unused, and a real SAM does not wait."""
    portal.now()
    portal.world.new_credential(algorithm=algorithm, **changes)
    return portal


def only(values: list[str]) -> bytes:
    (text,) = values
    return base64.b64decode(text)


def test_b_lta_is_good_after_the_certificate_has_ended(portal: DocumentPortal) -> None:
    pdf = only(portal.sign(decision(conformance_level="Ades-B-LTA"))["DocumentWithSignature"])
    assert portal.judge.pades(pdf, "B-LTA", later=timedelta(days=6 * 365)) == AdESPassed.OK
    # The judge can say no: without the time stamps' proof the same certificate has ended.
    plain = only(using(portal, "p256").sign(decision())["DocumentWithSignature"])
    assert portal.judge.pades(plain, "B-LTA", later=timedelta(days=6 * 365)) != AdESPassed.OK


def test_the_archive_time_stamp_covers_everything_before_it(portal: DocumentPortal) -> None:
    entry = document(conformance_level="Ades-B-LTA")
    signed = cms.ContentInfo.load(only(portal.sign(entry)["DocumentWithSignature"]))["content"]
    (info,) = signed["signer_infos"]
    stamped = {each["type"].native: each["values"][0] for each in info["unsigned_attrs"]}
    archived = tsp.ContentInfo.load(stamped["0.4.0.1733.2.4"].dump())["content"]
    token = archived["encap_content_info"]["content"].parsed
    (attribute,) = archived["signer_infos"][0]["unsigned_attrs"]
    index = attribute["values"][0].dump()
    for part in (*signed["certificates"], *signed["crls"]):
        assert hashlib.sha256(part.dump()).digest() in index
    covered = signed["encap_content_info"]["content_type"].dump() + hashlib.sha256(TEXT).digest()
    for name in ("version", "sid", "digest_algorithm", "signed_attrs", "signature_algorithm"):
        covered += info[name].dump()
    covered += info["signature"].dump() + index
    assert token["message_imprint"]["hashed_message"].native == hashlib.sha256(covered).digest()
    names: dict[str, Any] = {"type": attribute["type"].native}
    assert names == {"type": "0.4.0.19122.1.5"}


def test_a_repeat_uses_the_key_no_second_time(portal: DocumentPortal) -> None:
    order = portal.prepared(portal.order(decision(), document()))
    first = portal.post("signatures/signDoc", order)
    again = portal.post("signatures/signDoc", order)
    assert first.status_code == 200
    assert again.content == first.content


def numbered(pages: int) -> bytes:
    """A PDF of so many empty pages, with a table of references as it should be."""
    kids = b" ".join(b"%d 0 R" % (3 + number) for number in range(pages))
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/MediaBox[0 0 595 842]/Count %d/Kids[%s]>>" % (pages, kids),
        *[b"<</Type/Page/Parent 2 0 R>>"] * pages,
    ]
    return pdf(parts)


def test_a_thousand_pages_are_signed(portal: DocumentPortal) -> None:
    content = numbered(1000)
    (text,) = portal.sign(document(content, signature_format="P"))["DocumentWithSignature"]
    assert base64.b64decode(text).startswith(content)


def test_what_a_former_signature_forbids_is_refused(portal: DocumentPortal) -> None:
    (text,) = portal.sign(decision())["DocumentWithSignature"]
    certified = base64.b64decode(text)
    again = document(certified, signature_format="P", signed_envelope_property="Revision")
    assert len(using(portal, "p256").sign(again)["DocumentWithSignature"]) == 1
    answer = portal.post(
        "signatures/prepareDoc", portal.order(document(certified, signature_format="P"))
    )
    assert answer.status_code == 400
    told = "Invalid array parameter documents (the PDF forbids this signature)"
    assert answer.json()["error_description"] == told


def test_text_properties_are_in_the_signature(portal: DocumentPortal) -> None:
    texts = {name: f"lý do: {name}" for name in ("Reason", "Location", "ContactInfo", "Name")}
    props = [
        {"attribute_name": name, "attribute_value": b64(text.encode())}
        for name, text in texts.items()
    ]
    pdf = only(portal.sign(decision(signed_props=props))["DocumentWithSignature"])
    (signature,) = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    for name, text in texts.items():
        assert signature.sig_object[f"/{name}"] == text


@pytest.mark.parametrize("kind", ["attached", "detached", "digest"])
def test_answers_are_as_the_schema_says(portal: DocumentPortal, kind: str) -> None:
    entry = {
        "attached": document(),
        "detached": document(signed_envelope_property="Detached"),
        "digest": of_digest(TEXT),
    }[kind]
    order = portal.order(entry, returnValidationInfo=True, clientData="x")
    check_request("v2", "signatures/signDoc", order)
    answer = portal.post("signatures/signDoc", portal.prepared(order))
    assert answer.status_code == 200
    members = check_answer("v2", "signatures/signDoc", answer)
    name = "DocumentWithSignature" if kind == "attached" else "SignatureObject"
    assert members.keys() == {name, "validationInfo"}
    assert [len(each) for each in members["validationInfo"].values()] == [2, 2, 5]


def test_a_text_is_prepared_consented_to_and_signed(portal: DocumentPortal) -> None:
    order = portal.order(document(signed_envelope_property="Detached"))
    told = example("a text, CAdES", portal.post("signatures/prepareDoc", order)).json()
    sad = portal.sad(told["hashes"], told["hashAlgorithmOID"])
    order |= {"claimedTime": told["claimedTime"], "SAD": sad}
    answer = example("a text, CAdES detached", portal.post("signatures/signDoc", order))
    assert answer.json().keys() == {"SignatureObject"}


def test_two_texts_are_signed_in_one_container(portal: DocumentPortal) -> None:
    entries = [
        document(signature_format="X", documentName=name)
        for name in ("Quyết định.txt", "Phụ lục.txt")
    ]
    order = portal.prepared(portal.order(*entries, container="ASiC-E"))
    answer = example("two texts in a container, XAdES", portal.post("signatures/signDoc", order))
    assert len(answer.json()["DocumentWithSignature"]) == 1


def of_digest(content: bytes, **changes: Any) -> dict[str, Any]:
    """An entry of ``documentDigests``."""
    entry = {
        "hashes": [b64(hashlib.sha256(content).digest())],
        "signature_format": "C",
        "signAlgo": ECDSA_SHA256,
    }
    return entry | changes


def test_the_cms_for_a_pdf_that_the_client_prepared_has_no_signing_time(
    portal: DocumentPortal,
) -> None:
    """EN 319 142-1 cl. 6.3: the time is in the PDF's dictionary."""
    answer = portal.sign(of_digest(TEXT, signature_format="P", conformance_level="Ades-B-LT"))
    signed = cms.ContentInfo.load(only(answer["SignatureObject"]))["content"]
    (info,) = signed["signer_infos"]
    kinds = {each["type"].native for each in info["signed_attrs"]}
    assert kinds == {"content_type", "message_digest", "signing_certificate_v2"}
    digest = hashlib.sha256(TEXT).digest()
    assert portal.judge.cms(signed, "B-T", digest) == AdESPassed.OK
    assert len(answer["validationInfo"]["ocsp"]) == 2


def test_at_scal1_one_call_does(furnished: DocumentPortal) -> None:
    portal = using(furnished, "p256", scal="1")
    sad = portal.sad_for(3)
    order = portal.order(document(), decision(), SAD=sad)
    answer = portal.post("signatures/signDoc", order)
    assert answer.status_code == 200, answer.text
    pdf = base64.b64decode(answer.json()["DocumentWithSignature"][1])
    assert portal.judge.pades(pdf, "B-B") == AdESPassed.OK
    more = portal.order(document(b"a"), document(b"b"), SAD=sad)
    refused = portal.post("signatures/signDoc", more)  # one signature is left
    told = "documentDigests or documents are not authorized by the SAD"
    assert refused.json()["error_description"] == told


LARGE = int(os.environ.get("SIGN_DOC_MEGABYTES", "24"))  # 100 for figures


def test_a_large_document_is_not_in_memory(portal: DocumentPortal, tmp_path: Path) -> None:
    """The process that answers needs far less than the document, on the way in and out."""
    stream = b"<</Length %d>>\nstream\n%s\nendstream" % (LARGE << 20, b"x" * (LARGE << 20))
    pages = b"<</Type/Pages/MediaBox[0 0 595 842]/Count 1/Kids[3 0 R]>>"
    page = b"<</Type/Page/Parent 2 0 R>>"
    parts = [b"<</Type/Catalog/Pages 2 0 R>>", pages, page, stream]
    large = decision(document=b64(pdf(parts)), conformance_level="Ades-B-LTA")
    order = tmp_path / "order.json"
    order.write_text(json.dumps(portal.prepared(portal.order(large))))
    del stream, parts, large
    with served(lambda _address: portal.app) as address:
        headers = [f"Authorization: Bearer {portal.portal.user_token()}"]
        headers.append("Content-Type: application/json")
        command = ["curl", "-sS", "--fail-with-body", "-o", str(tmp_path / "answer.json")]
        command += [part for header in headers for part in ("-H", header)]
        command += ["--data-binary", f"@{order}", f"{address}/csc/v2/signatures/signDoc"]
        before = peak(reset=True)
        subprocess.run(command, check=True)
        grown = peak() - before
    portal.world.services.drain.started = False  # it was the server that ended, not this portal
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert portal.judge.pades(only(answer["DocumentWithSignature"]), "B-LTA") == AdESPassed.OK
    print(f"{LARGE} MB signed at B-LTA with {grown} MB more than {before}")
    assert grown < 20 + LARGE / 4


def peak(*, reset: bool = False) -> int:
    """Megabytes that this process has had resident at most, since the last reset."""
    if reset:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) // 1024
