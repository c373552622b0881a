"""What a client may have put into a signature: nothing that is not known, and nothing malformed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asn1crypto import cms, core
from hypothesis import given
from hypothesis import strategies as st
from pyhanko.sign.ades import cades_asn1

from remote_signing.errors import InvalidInput
from remote_signing.rssp.documents import cades, cades_signed, jades, jades_signed

URI = cms.GeneralName("uniform_resource_identifier", "urn:vn:chuc-danh:vu-truong")
ROLE: dict[str, Any] = {"type": "role", "values": [{"role_name": URI}]}
ATTRIBUTES: dict[str, bytes] = {
    "commitment-type-indication": cades_asn1.CommitmentTypeIndication(
        {"commitment_type_id": "proof_of_approval"}
    ).dump(),
    "content-hints": bytes.fromhex("3010 0c03616263 06092a864886f70d010701"),
    "content-identifier": core.OctetString(b"2026/QD-BNV").dump(),
    "mime-type": core.UTF8String("application/pdf").dump(),
    "signature-policy-identifier": cades_asn1.SignaturePolicyIdentifier(
        "signature_policy_id",
        cades_asn1.SignaturePolicyId(
            {
                "sig_policy_id": "1.2.3",
                "sig_policy_hash": {
                    "digest_algorithm": {"algorithm": "sha256"},
                    "digest": bytes(32),
                },
            }
        ),
    ).dump(),
    "signer-attributes-v2": cades_asn1.SignerAttributesV2({"claimed_attributes": [ROLE]}).dump(),
    "signer-location": bytes.fromhex("3010 a0041302564e a1080c064861204e6f69"),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_is_taken_as_its_type_and_as_no_other(name: str) -> None:
    value = ATTRIBUTES[name]
    assert cades_signed.read(name, value) == value
    assert cades.property_text(name, value, has_document=True) == value.hex()
    for bad in (b"", value[:-1], value + b"\0", b"\x30\x80" + value[2:] + b"\0\0", b"\x05\x00"):
        assert cades_signed.read(name, bad) is None
    (attribute,) = cades_signed.attributes({name: value})
    assert value in attribute
    assert cms.CMSAttribute.load(attribute)["values"][0].dump() == value


def test_an_attribute_may_be_named_by_its_oid_and_stands_there_once() -> None:
    oid, value = "0.4.0.1733.2.1", ATTRIBUTES["mime-type"]
    assert cades_signed.read(oid, value) == value
    with pytest.raises(InvalidInput):
        cades_signed.attributes({oid: value, "mime-type": value})


def test_a_media_type_may_be_sent_as_it_is() -> None:
    assert cades_signed.read("mime-type", b"application/pdf") == ATTRIBUTES["mime-type"]
    assert cades_signed.read("mime-type", b"no media type") is None


def test_what_only_the_service_may_say_is_refused() -> None:
    for name in ("content-type", "signing-time", "1.2.840.113549.1.9.4", "content-time-stamp", ""):
        assert cades_signed.read(name, ATTRIBUTES["content-identifier"]) is None
    assert cades.property_text("mime-type", None, has_document=True) is None
    assertion = {"signed_assertion_id": "1.2.3", "signed_assertion": core.Integer(1)}
    asserted = cades_asn1.SignerAttributesV2(
        {"claimed_attributes": [ROLE], "signed_assertions": [assertion]}
    ).dump()
    assert cades_signed.read("signer-attributes-v2", asserted) is None
    assert cades_signed.read("signer-attributes-v2", b"\x30\x00") is None


def test_a_long_attribute_is_refused() -> None:
    assert cades_signed.read("content-identifier", core.OctetString(bytes(4097)).dump()) is None


@given(st.sampled_from(sorted(ATTRIBUTES)), st.binary(max_size=80), st.integers(0, 79))
def test_no_bytes_are_more_than_refused(name: str, noise: bytes, place: int) -> None:
    value = ATTRIBUTES[name]
    for tried in (noise, value[:place] + noise + value[place + len(noise) :]):
        found = cades_signed.read(name, tried)
        assert found is None or found == tried or name == "mime-type"


OBJECT_ID = {"id": "http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin"}
PARAMETERS: dict[str, list[Any]] = {
    "srCms": [
        [{"commId": OBJECT_ID}],
        [{"commId": OBJECT_ID | {"desc": "ý", "docRefs": ["a:b"]}}],
    ],
    "sigPl": [{"addressCountry": "VN"}, {"addressLocality": "Hà Nội", "postalCode": "100000"}],
    "srAts": [
        {"claimed": [{"mediaType": "text/plain", "encoding": "binary", "qVals": ["Vụ trưởng"]}]}
    ],
    "sigPId": [
        {"id": OBJECT_ID, "digAlg": "S256", "digVal": "AAAA"},
        {"id": OBJECT_ID, "digAlg": "S512", "digVal": "AAAA", "sigPQuals": [{"spURI": "a:b"}]},
    ],
}
NO_PARAMETERS: dict[str, list[Any]] = {
    "srCms": [
        [],
        {},
        [{"commId": {}}],
        [{"commId": OBJECT_ID, "more": 1}],
        [{"commId": {"id": "no"}}],
    ],
    "sigPl": [
        {},
        [],
        {"addressCountry": ""},
        {"addressCountry": 7},
        {"city": "x"},
        {"postalCode": "\n"},
    ],
    "srAts": [{"certified": []}, {"claimed": []}, {"claimed": [{"mediaType": "text/plain"}]}, None],
    "sigPId": [{"id": OBJECT_ID}, {"id": OBJECT_ID, "digAlg": "S1", "digVal": "AAAA"}],
    "alg": ["none"],
    "crit": [["b64"]],
    "b64": [False],
    "x5c": [["AA=="]],
    "iat": [1],
    "sigD": [{}],
    "etsiU": [[]],
    "": [{}],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_header_parameter_of_its_form_is_taken(name: str) -> None:
    for value in PARAMETERS[name]:
        text = json.dumps(value).encode()
        assert jades_signed.read(name, text) == value
        told = jades.property_text(name, text, has_document=False)
        assert told is not None
        assert json.loads(told) == value


@pytest.mark.parametrize("name", NO_PARAMETERS)
def test_a_header_parameter_of_another_form_or_name_is_refused(name: str) -> None:
    for value in NO_PARAMETERS[name]:
        assert jades_signed.read(name, json.dumps(value).encode()) is None
    assert jades_signed.read(name, b"{") is None
    assert jades.property_text(name, None, has_document=True) is None


def test_cty_is_a_media_type() -> None:
    assert jades_signed.read("cty", b"text/plain") == "text/plain"
    assert jades_signed.read("cty", b"json") == "json"
    for bad in (b"", b"a b", b'"text/plain"', b"a/b/c", "ä/b".encode()):
        assert jades_signed.read("cty", bad) is None
