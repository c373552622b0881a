"""XAdES and ASiC-E by the service with a real SAM behind, and what foreign programs say of them."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import algos, cms, tsp
from lxml import etree
from pyhanko.sign.ades.report import AdESPassed

from tests.support.csc import b64
from tests.support.csc_schema import check_answer, check_request
from tests.support.documents import TEXT, DocumentPortal, document
from tests.support.world import ECDSA_SHA256, SHA256, new_world
from tests.support.xml_judges import (
    canonical,
    found,
    schema_mistakes,
    signatures,
    signxml_accepts,
    xmlsec_says,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
PROPERTIES = (
    "SignatureTimeStamp",
    "CertificateValues",
    "RevocationValues",
    "ArchiveTimeStamp",
)
XML = '<VanBan xmlns="urn:vn:van-ban"><NoiDung>Bổ nhiệm</NoiDung></VanBan>\n'.encode()
NAME = "van-ban.xml"
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "p384-sha384": ("p384", {"signAlgo": "1.2.840.10045.4.3.3"}),
    "p521-sha512": ("p521", {"signAlgo": "1.2.840.10045.4.3.4"}),
    "rsa2048-pss": ("rsa2048", {"signAlgo": "1.2.840.113549.1.1.10", "hashAlgorithmOID": SHA256}),
}


@pytest.fixture(scope="module")
def furnished(
    sam_factory: Callable[..., RunningSam], sqlite_folder: SqliteFolder
) -> Iterator[DocumentPortal]:
    """One for all tests here; on one database, as what depends on it is in other files."""
    with new_world(sqlite_folder) as world:
        pinned = {world.authority.key_id: world.authority.public_key}
        world.join(sam_factory(workers=1, pinned=pinned).client())
        made = DocumentPortal.at(world)
        yield made
        made.close()


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


def decoded(values: list[str]) -> list[bytes]:
    return [base64.b64decode(each) for each in values]


def trusted(portal: DocumentPortal) -> bytes:
    certificate: bytes = portal.app.state.status.root_certificate()
    return certificate


def assert_good(portal: DocumentPortal, content: bytes, level: str) -> None:
    assert schema_mistakes(content) == []
    assert xmlsec_says(content, trusted(portal), {NAME: XML}) == "+"
    (signature,) = signatures(content)
    (certificate, *_) = found(signature, "ds:KeyInfo/ds:X509Data/ds:X509Certificate")
    der = base64.b64decode(certificate.text or "")
    assert signxml_accepts(content, der, {NAME: XML})
    held = found(signature, ".//xades:UnsignedSignatureProperties/*")
    reached = (0, 1, 3, 4)[LEVELS.index(level)]
    assert [etree.QName(each).localname for each in held] == list(PROPERTIES[:reached])
    if reached:
        (value,) = found(signature, "ds:SignatureValue")
        assert imprint(signature, "SignatureTimeStamp") == hashlib.sha256(canonical(value)).digest()
    counts = [
        len(found(signature, f".//xades:Encapsulated{kind}"))
        for kind in ("X509Certificate", "OCSPValue", "CRLValue")
    ]
    assert counts == ([5, 2, 2] if reached > 1 else [0, 0, 0])


def imprint(signature: Any, name: str) -> bytes:
    """What the time stamp in this property is over."""
    (held,) = found(signature, f".//*[local-name()='{name}']/xades:EncapsulatedTimeStamp")
    token = tsp.ContentInfo.load(base64.b64decode(held.text or ""))["content"]
    info = token["encap_content_info"]["content"].parsed
    digest: bytes = info["message_imprint"]["hashed_message"].native
    return digest


@pytest.mark.parametrize("level", LEVELS)
def test_xades_of_documents_is_what_it_says(portal: DocumentPortal, level: str) -> None:
    given = {"conformance_level": f"Ades-{level}"}
    answer = portal.sign(
        xml(**given),
        xml(signed_envelope_property="Enveloping", **given),
        xml(signed_envelope_property="Detached", referenceUri=NAME, **given),
    )
    results = decoded([*answer["DocumentWithSignature"], *answer["SignatureObject"]])
    assert results[0].startswith(XML.removesuffix(b"</VanBan>\n"))
    for content in results:
        assert_good(portal, content, level)
    if level == "B-LTA":
        (detached,) = signatures(results[2])
        assert imprint(detached, "ArchiveTimeStamp") == archive_imprint(detached, XML)


def archive_imprint(signature: Any, documents: bytes) -> bytes:
    """EN 319 132-1 cl. 5.5.2.2, canonical forms by another implementation."""
    hashed = hashlib.sha256(documents)
    parts = found(signature, ".//xades:SignedProperties")
    for name in ("SignedInfo", "SignatureValue", "KeyInfo"):
        parts += found(signature, f"ds:{name}")
    parts += found(signature, ".//xades:UnsignedSignatureProperties/*")[:-1]
    for part in parts:
        hashed.update(canonical(part))
    return hashed.digest()


@pytest.mark.parametrize("level", ["B-B", "B-T", "B-LT"])
def test_xades_of_a_digest_is_detached(portal: DocumentPortal, level: str) -> None:
    entry = {
        "hashes": [b64(hashlib.sha256(XML).digest())],
        "signature_format": "X",
        "signed_envelope_property": "Detached",
        "signAlgo": ECDSA_SHA256,
        "conformance_level": f"Ades-{level}",
    }
    order = portal.order(entry, clientData="x")
    check_request("v2", "signatures/signDoc", order)
    order["documentDigests"][0]["referenceUri"] = NAME
    answer = portal.post("signatures/signDoc", portal.prepared(order))
    (content,) = decoded(check_answer("v2", "signatures/signDoc", answer)["SignatureObject"])
    assert_good(portal, content, level)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_kind_of_key_signs_xml(furnished: DocumentPortal, family: str) -> None:
    algorithm, changes = FAMILIES[family]
    portal = using(furnished, algorithm)
    answer = portal.sign(xml(**changes))
    (content,) = decoded(answer["DocumentWithSignature"])
    assert xmlsec_says(content, trusted(portal)) == "+"
    assert xmlsec_says(content.replace("Bổ".encode(), b"Be"), trusted(portal)) == "-"


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
    changes = FAMILIES["rsa2048-pss"][1] | {"signAlgoParams": b64(parameters.dump())}
    answer = portal.post("signatures/prepareDoc", portal.order(xml(**changes)))
    told = answer.json()["error_description"]
    assert (answer.status_code, told) == (400, "Invalid parameter signAlgoParams")
    cades = portal.post("signatures/prepareDoc", portal.order(document(**changes)))
    assert cades.status_code == 200


def test_two_officials_sign_one_document(furnished: DocumentPortal) -> None:
    (first,) = decoded(using(furnished, "p256").sign(xml())["DocumentWithSignature"])
    again = xml(document=b64(first), conformance_level="Ades-B-T")
    (both,) = decoded(using(furnished, "p384").sign(again)["DocumentWithSignature"])
    assert xmlsec_says(both, trusted(furnished)) == "++"


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
    members = check_answer("v2", "signatures/signDoc", answer)
    (content,) = decoded(members["DocumentWithSignature"])
    (signature,) = signatures(content)
    assert [each.text for each in found(signature, ".//xades:ClaimedRole")] == ["Bộ trưởng"]
    assert [each.text for each in found(signature, ".//xades:MimeType")] == ["application/pdf"]
    assert_good(portal, content, "B-B")


FILES = {"Quyết định.txt": TEXT * 5000, "phu-luc.xml": XML}  # one goes to a file as it comes


def container(portal: DocumentPortal, kind: str, level: str) -> dict[str, bytes]:
    """What is in the container that a call gives."""
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
    answer = portal.post("signatures/signDoc", portal.prepared(order))
    (made,) = decoded(check_answer("v2", "signatures/signDoc", answer)["DocumentWithSignature"])
    with zipfile.ZipFile(io.BytesIO(made)) as opened:
        content = {name: opened.read(name) for name in opened.namelist()}
    assert content.pop("mimetype") == b"application/vnd.etsi.asic-e+zip"
    assert {name: content.pop(name) for name in FILES} == FILES
    return content


def test_a_container_with_xades(portal: DocumentPortal) -> None:
    signed = container(portal, "X", "B-LTA")["META-INF/signatures.xml"]
    assert schema_mistakes(signed) == []
    names = ("Quy%E1%BA%BFt%20%C4%91%E1%BB%8Bnh.txt", "phu-luc.xml")
    by_uri = dict(zip(names, FILES.values(), strict=True))
    assert xmlsec_says(signed, trusted(portal), by_uri) == "+"
    assert xmlsec_says(signed, trusted(portal), by_uri | {"phu-luc.xml": b"<r/>"}) == "-"
    (signature,) = signatures(signed)
    stamped = imprint(signature, "ArchiveTimeStamp")
    assert stamped == archive_imprint(signature, b"".join(FILES.values()))


def test_a_container_with_cades(portal: DocumentPortal) -> None:
    content = container(portal, "C", "B-LTA")
    manifest = content["META-INF/ASiCManifest.xml"]
    signed = cms.ContentInfo.load(content["META-INF/signature.p7s"])["content"]
    digest = hashlib.sha256(manifest).digest()
    assert portal.judge.cms(signed, "B-T", digest) == AdESPassed.OK
    assert portal.judge.cms(signed, "B-T", bytes(32)) != AdESPassed.OK
    token = tsp.ContentInfo.load(content["META-INF/timestamp.tst"])["content"]
    info = token["encap_content_info"]["content"].parsed
    archive = hashlib.sha256(content["META-INF/ASiCArchiveManifest.xml"]).digest()
    assert info["message_imprint"]["hashed_message"].native == archive
