"""XAdES and ASiC-E by the service with a real SAM behind, beside what the matrix has of them."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import zipfile
from typing import Any

import pytest
from asn1crypto import algos, cms
from pyhanko.sign.ades.report import AdESPassed

from remote_signing.rssp.csc.v2 import polling
from remote_signing.rssp.signing_worker import step
from tests.support import xades
from tests.support.csc import b64
from tests.support.csc_schema import check_answer, check_request
from tests.support.documents import TEXT, DocumentPortal, document
from tests.support.world import SHA256
from tests.support.xml_judges import found, schema_mistakes, signatures, xmlsec_says

XML = xades.CONTENT


@pytest.fixture
def portal(furnished: DocumentPortal) -> DocumentPortal:
    return using(furnished, "p256")


def using(portal: DocumentPortal, algorithm: str) -> DocumentPortal:
    """With a new credential: its one-time codes are all unused, and a real SAM does not wait."""
    portal.now()
    portal.world.new_credential(algorithm=algorithm)
    return portal


def xml(**changes: Any) -> dict[str, Any]:
    """An entry of ``documents``, as XAdES."""
    return document(XML, **({"signature_format": "X"} | changes))


def only(values: list[str]) -> bytes:
    (text,) = values
    return base64.b64decode(text)


def trusted(portal: DocumentPortal) -> bytes:
    certificate: bytes = portal.app.state.status.root_certificate()
    return certificate


def test_two_officials_sign_one_document(furnished: DocumentPortal) -> None:
    first = only(using(furnished, "p256").sign(xml())["DocumentWithSignature"])
    again = xml(document=b64(first), conformance_level="Ades-B-T", signAlgo="1.2.840.10045.4.3.3")
    both = only(using(furnished, "p384").sign(again)["DocumentWithSignature"])
    assert xmlsec_says(both, trusted(furnished)) == "++"


def test_a_salt_that_xml_has_no_name_for_is_refused(furnished: DocumentPortal) -> None:
    portal = using(furnished, "rsa2048")
    sha256 = {"algorithm": "sha256"}
    parameters = algos.RSASSAPSSParams(
        {
            "hash_algorithm": sha256,
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": sha256},
            "salt_length": 48,
        }
    )
    changes: dict[str, Any] = {
        "signAlgo": "1.2.840.113549.1.1.10",
        "hashAlgorithmOID": SHA256,
        "signAlgoParams": b64(parameters.dump()),
    }
    answer = portal.post("signatures/prepareDoc", portal.order(xml(**changes)))
    told = answer.json()["error_description"]
    assert (answer.status_code, told) == (400, "Invalid parameter signAlgoParams")
    cades = portal.post("signatures/prepareDoc", portal.order(document(**changes)))
    assert cades.status_code == 200


def test_signed_properties_reach_the_signature(portal: DocumentPortal) -> None:
    role = (
        '<SignerRoleV2 xmlns="http://uri.etsi.org/01903/v1.3.2#"><ClaimedRoles>'
        "<ClaimedRole>Bộ trưởng</ClaimedRole></ClaimedRoles></SignerRoleV2>"
    )
    told = [
        {"attribute_name": "SignerRoleV2", "attribute_value": b64(role.encode())},
        {"attribute_name": "DataObjectFormat", "attribute_value": b64(b"application/pdf")},
    ]
    order = portal.order(
        xml(signed_envelope_property="Enveloping", signed_props=told), returnValidationInfo=True
    )
    check_request("v2", "signatures/signDoc", order)
    answer = portal.post("signatures/signDoc", portal.prepared(order))
    content = only(check_answer("v2", "signatures/signDoc", answer)["DocumentWithSignature"])
    (signature,) = signatures(content)
    assert [each.text for each in found(signature, ".//xades:ClaimedRole")] == ["Bộ trưởng"]
    assert [each.text for each in found(signature, ".//xades:MimeType")] == ["application/pdf"]
    xades.accepted(trusted(portal), content, "B-B")


FILES = {"Quyết định.txt": TEXT * 5000, "phu-luc.xml": XML}  # one goes to a file as it comes
URIS = ("Quy%E1%BA%BFt%20%C4%91%E1%BB%8Bnh.txt", "phu-luc.xml")


def container_order(portal: DocumentPortal, kind: str, level: str) -> dict[str, Any]:
    entries = [
        document(
            content,
            documentName=name,
            signature_format=kind,
            conformance_level=f"Ades-{level}",
        )
        for name, content in FILES.items()
    ]
    order = portal.order(*entries, container="ASiC-E")
    check_request("v2", "signatures/signDoc", order)
    return order


def opened(made: bytes) -> dict[str, bytes]:
    """What is in a container beside its documents."""
    with zipfile.ZipFile(io.BytesIO(made)) as container:
        content = {name: container.read(name) for name in container.namelist()}
    assert content.pop("mimetype") == b"application/vnd.etsi.asic-e+zip"
    assert {name: content.pop(name) for name in FILES} == FILES
    return content


def test_a_container_with_xades(portal: DocumentPortal) -> None:
    order = portal.prepared(container_order(portal, "X", "B-LTA"))
    answer = portal.post("signatures/signDoc", order)
    made = only(check_answer("v2", "signatures/signDoc", answer)["DocumentWithSignature"])
    signed = opened(made)["META-INF/signatures.xml"]
    by_uri = dict(zip(URIS, FILES.values(), strict=True))
    assert schema_mistakes(signed) == []
    assert xmlsec_says(signed, trusted(portal), by_uri) == "+"
    assert xmlsec_says(signed, trusted(portal), by_uri | {"phu-luc.xml": b"<r/>"}) == "-"
    (signature,) = signatures(signed)
    covered = xades.archived(signature, b"".join(FILES.values()), "sha256")
    assert xades.imprint(signature, "ArchiveTimeStamp") == covered


def test_a_container_with_cades_after_the_answer(portal: DocumentPortal) -> None:
    """In asynchronous mode: what is kept of the order is read again."""
    order = portal.prepared(container_order(portal, "C", "B-LTA")) | {"operationMode": "A"}
    answer = portal.post("signatures/signDoc", order)
    assert answer.status_code == 200, answer.text
    assert step(portal.world.services, functools.partial(polling.make, desk=portal.app.state.desk))
    polled = portal.post("signatures/signPolling", {"requestID": answer.json()["responseID"]})
    content = opened(only(polled.json()["DocumentWithSignature"]))
    manifest = content["META-INF/ASiCManifest.xml"]
    signed = cms.ContentInfo.load(content["META-INF/signature.p7s"])["content"]
    digest = hashlib.sha256(manifest).digest()
    assert portal.judge.cms(signed, "B-T", digest) == AdESPassed.OK
    assert portal.judge.cms(signed, "B-T", bytes(32)) != AdESPassed.OK
    archive = hashlib.sha256(content["META-INF/ASiCArchiveManifest.xml"]).digest()
    assert xades.stamped(content["META-INF/timestamp.tst"]) == archive
