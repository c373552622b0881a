"""CAdES beside what the matrix shows: properties, a signature beside others, and what cannot be."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import cms, core
from pyhanko.sign.ades import cades_asn1

from tests.support import cades
from tests.support.csc import b64
from tests.support.documents import TEXT, DocumentPortal, document

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def portal(furnished: DocumentPortal) -> DocumentPortal:
    furnished.now()
    furnished.world.new_credential()
    return furnished


def only(answer: dict[str, Any]) -> bytes:
    (values,) = answer.values()
    return base64.b64decode(values[0])


def prop(name: str, value: bytes) -> dict[str, str]:
    return {"attribute_name": name, "attribute_value": b64(value)}


def test_properties_are_among_the_signed_attributes(portal: DocumentPortal, tmp_path: Path) -> None:
    commitment = cades_asn1.CommitmentTypeIndication({"commitment_type_id": "proof_of_approval"})
    place = bytes.fromhex("3010 a0041302564e a1080c064861204e6f69")
    props = [
        prop("commitment-type-indication", commitment.dump()),
        prop("1.2.840.113549.1.9.16.2.17", place),
        prop("mime-type", b"text/plain"),
    ]
    message = only(portal.sign(document(signed_props=props, conformance_level="Ades-B-T")))
    cades.accepted(portal, message, ["B-T"], TEXT, tmp_path)
    (info,) = cms.ContentInfo.load(message)["content"]["signer_infos"]
    values = {each["type"].dotted: each["values"][0] for each in info["signed_attrs"]}
    assert values["1.2.840.113549.1.9.16.2.16"].native == commitment.native
    assert values["1.2.840.113549.1.9.16.2.17"].dump() == place
    assert values["0.4.0.1733.2.1"].native == "text/plain"


def test_a_property_twice_or_of_a_bad_form_is_named(portal: DocumentPortal) -> None:
    twice = [prop("mime-type", b"text/plain"), prop("0.4.0.1733.2.1", b"text/html")]
    answer = portal.post("signatures/prepareDoc", portal.order(document(signed_props=twice)))
    assert answer.json()["error_description"] == "Invalid parameter signed_props"
    bad = [prop("signer-location", b"Hanoi"), prop("signing-time", core.Null().dump())]
    answer = portal.post("signatures/prepareDoc", portal.order(document(signed_props=bad)))
    told = "Invalid parameter signed_props (signer-location, signing-time)"
    assert answer.json()["error_description"] == told


def test_a_parallel_signature_leaves_an_archived_one_and_its_bytes_alone(
    portal: DocumentPortal, tmp_path: Path
) -> None:
    first = only(portal.sign(document(conformance_level="Ades-B-LTA")))
    before = cms.ContentInfo.load(first)["content"]
    both = first
    for level in ("B-LTA", "B-B"):
        portal.world.new_credential()
        wanted = document(
            both, signed_envelope_property="Parallel", conformance_level=f"Ades-{level}"
        )
        both = only(portal.sign(wanted))
    cades.accepted(portal, both, ["B-LTA", "B-LTA", "B-B"], TEXT, tmp_path)
    after = cms.ContentInfo.load(both)["content"]
    infos = [each.dump() for each in after["signer_infos"]]
    assert before["signer_infos"][0].dump() in infos
    for name in ("certificates", "crls"):
        assert {e.dump() for e in before[name]} <= {e.dump() for e in after[name]}


DETACHED: bytes = cms.ContentInfo(
    {
        "content_type": "signed_data",
        "content": {
            "version": "v1",
            "digest_algorithms": [],
            "encap_content_info": {"content_type": "data"},
            "signer_infos": [],
        },
    }
).dump()
OTHER: bytes = cms.ContentInfo({"content_type": "data", "content": core.OctetString(b"x")}).dump()


NOT_SIGNED = "it is no signed CMS"
NOT_BESIDE = {
    b"no CMS": NOT_SIGNED,
    OTHER: NOT_SIGNED,
    DETACHED[:-1]: NOT_SIGNED,
    b"\x30\x80" * 20_000: NOT_SIGNED,
    DETACHED: "the CMS has no data inside",
}


def test_what_a_parallel_signature_cannot_be_beside_is_told(portal: DocumentPortal) -> None:
    for content, reason in NOT_BESIDE.items():
        order = portal.order(document(content, signed_envelope_property="Parallel"))
        answer = portal.post("signatures/prepareDoc", order)
        told = f"Invalid array parameter documents ({reason})"
        assert (answer.status_code, answer.json()["error_description"]) == (400, told)
