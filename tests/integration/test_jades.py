"""JAdES by ``signDoc`` with a real SAM, judged by joserfc, jwcrypto and rfc3161-client."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from asn1crypto import algos
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate
from joserfc import jws as joserfc
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from jwcrypto.common import JWException
from rfc3161_client import VerificationError

from tests.support.csc import b64
from tests.support.documents import TEXT, DocumentPortal, document
from tests.support.jades import ALGORITHMS, JadesJudge, members

ECDSA_SHA384 = "1.2.840.10045.4.3.3"
RSA_SHA256 = "1.2.840.113549.1.1.11"
RSA = ((256, 11), (384, 12), (512, 13))
SHA2 = {bits: f"2.16.840.1.101.3.4.2.{last}" for bits, last in ((256, 1), (384, 2), (512, 3))}
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
REFUSALS = (AssertionError, JoseError, JWException, VerificationError, InvalidSignature)
SHA256 = {"algorithm": "sha256"}
LONG_SALT: bytes = algos.RSASSAPSSParams(
    {
        "hash_algorithm": SHA256,
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": SHA256},
        "salt_length": 64,
    }
).dump()


@pytest.fixture
def portal(furnished: DocumentPortal) -> DocumentPortal:
    return using(furnished, "p256")


@pytest.fixture
def judge(furnished: DocumentPortal) -> JadesJudge:
    return JadesJudge(furnished.app.state.status.root_certificate())


def using(portal: DocumentPortal, algorithm: str) -> DocumentPortal:
    portal.now()
    portal.world.new_credential(algorithm=algorithm)
    return portal


def entry(content: bytes = TEXT, **changes: Any) -> dict[str, Any]:
    return document(content, **({"signature_format": "J"} | changes))


def x509_key(certificate: str) -> str:
    key = load_der_x509_certificate(base64.b64decode(certificate)).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def roomy() -> joserfc.JWSRegistry:
    """Joserfc as it is, but for its limit of 512 bytes for a header."""
    made = joserfc.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    made.max_header_length = 16_384
    return made


def a_second_later(protected: str) -> str:
    header = json.loads(base64.urlsafe_b64decode(protected + "=="))
    header["iat"] += 1
    text = json.dumps(header, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def result(answer: dict[str, Any], number: int = 0) -> bytes:
    names = ("DocumentWithSignature", "SignatureObject")
    (values,) = (answer[name] for name in names if name in answer)
    return base64.b64decode(values[number])


@pytest.mark.parametrize("level", ["B-B", "B-LTA"])
def test_a_parallel_signature_leaves_the_first_one_valid(
    portal: DocumentPortal, judge: JadesJudge, level: str
) -> None:
    first = result(portal.sign(entry(conformance_level="Ades-B-LTA")))
    plain = result(using(portal, "p384").sign(entry(signAlgo=ECDSA_SHA384)))
    for signed, former in ((first, "B-LTA"), (plain, "B-B")):
        using(portal, "rsa2048")
        wanted = entry(
            signed,
            signed_envelope_property="Parallel",
            conformance_level=f"Ades-{level}",
            signAlgo=RSA_SHA256,
        )
        both = result(portal.sign(wanted))
        assert len(members(both)["signatures"]) == 2
        assert judge.accepts(both, former, None, 0).payload == TEXT
        assert judge.accepts(both, level, None, 1).payload == TEXT
        assert members(both)["signatures"][0] == members(signed)["signatures"][0]


def test_properties_are_in_the_protected_header(portal: DocumentPortal, judge: JadesJudge) -> None:
    place = {"addressCountry": "VN", "addressLocality": "Hà Nội"}
    claimed = {"mediaType": "text/plain", "encoding": "binary", "qVals": ["Vụ trưởng"]}
    values = {
        "cty": b"text/plain",
        "sigPl": json.dumps(place).encode(),
        "srCms": b'[{"commId":{"id":"http://uri.etsi.org/01903/v1.2.2#ProofOfApproval"}}]',
        "srAts": json.dumps({"claimed": [claimed]}).encode(),
        "sigPId": b'{"id":{"id":"urn:oid:1.2.3"},"digAlg":"S256","digVal":"AAAA"}',
    }
    props = [{"attribute_name": n, "attribute_value": b64(value)} for n, value in values.items()]
    answer = portal.sign(
        entry(signed_props=props),
        entry(
            signed_props=props, signed_envelope_property="Detached", referenceUri="quyet-dinh.txt"
        ),
    )
    attached = judge.accepts(base64.b64decode(answer["DocumentWithSignature"][0]), "B-B", None)
    detached = judge.accepts(base64.b64decode(answer["SignatureObject"][0]), "B-B", TEXT)
    assert detached.header["sigD"]["pars"] == ["quyet-dinh.txt"]
    assert attached.header["cty"] == "text/plain"
    assert "cty" not in detached.header
    assert detached.header["sigD"]["ctys"] == ["text/plain"]
    for found in (attached, detached):
        assert found.header["sigPl"] == place
        assert found.header["srAts"]["claimed"] == [claimed]
        assert found.header["srCms"][0]["commId"]["id"].endswith("ProofOfApproval")
        assert found.header["sigPId"]["digAlg"] == "S256"


@pytest.mark.parametrize("envelope", ["Attached", "Detached"])
def test_a_document_that_was_changed_is_refused_by_every_judge(
    portal: DocumentPortal, judge: JadesJudge, envelope: str
) -> None:
    wanted = entry(conformance_level="Ades-B-LTA", signed_envelope_property=envelope)
    signed = result(portal.sign(wanted))
    judge.accepts(signed, "B-LTA", TEXT)
    if envelope == "Detached":
        with pytest.raises(AssertionError):
            judge.accepts(signed, "B-LTA", TEXT + b".")
        return
    value = json.loads(signed)
    other = base64.urlsafe_b64encode(TEXT + b".").rstrip(b"=").decode()
    changes: list[dict[str, Any]] = [
        {"payload": other},
        {"protected": a_second_later(value["protected"])},
        {"signature": value["signature"][:-4] + "AAAA"},
        {"header": {"etsiU": [*value["header"]["etsiU"][1:], value["header"]["etsiU"][0]]}},
    ]
    for change in changes:
        with pytest.raises(REFUSALS):
            judge.accepts(json.dumps(value | change).encode(), "B-LTA", TEXT)
    for place in range(1, 5):  # each element that the archive time stamp covers, and itself
        elements = list(value["header"]["etsiU"])
        elements[place] = elements[place][:-8] + "AAAAAAAA"
        changed = json.dumps(value | {"header": {"etsiU": elements}}).encode()
        with pytest.raises((*REFUSALS, ValueError)):  # what is no JSON any more is refused so
            judge.accepts(changed, "B-LTA", TEXT)


def test_a_verifier_that_knows_no_sigd_must_refuse_a_detached_signature(
    portal: DocumentPortal, judge: JadesJudge
) -> None:
    """RFC 7515 cl. 4.1.11: it would take it for a signature of nothing."""
    signed = result(portal.sign(entry(signed_envelope_property="Detached")))
    header = judge.accepts(signed, "B-B", TEXT).header
    key = ECKey.import_key(x509_key(header["x5c"][0]))
    with pytest.raises(JoseError, match="sigD"):
        joserfc.deserialize_compact(signed, key, registry=roomy())
    assert header["crit"] == ["b64", "sigD"]
    assert header["b64"] is False


NO_JWS = "it is no JWS"
NOT_BESIDE = {
    b"no JWS": NO_JWS,
    b'{"payload":"AA","signatures":[]}': NO_JWS,
    b'{"payload":"AA","payload":"AB","protected":"e30","signature":"AA"}': NO_JWS,
    b'{"payload":"A=","protected":"e30","signature":"AA"}': NO_JWS,
    b'{"payload":"AA","protected":"W10","signature":"AA"}': NO_JWS,
    b'{"payload":"AA","protected":"A","signature":"AA"}': NO_JWS,
    b'{"payload":"AA","protected":7,"signature":"AA"}': NO_JWS,
    b'{"payload":"AA","signatures":[7]}': NO_JWS,
    b"{}": "the JWS has no payload inside",
    b"e30..AA": "the JWS has no payload inside",
    b"eyJiNjQiOmZhbHNlfQ.AA.AA": "the payload of the JWS is not encoded",
}


def test_what_a_parallel_signature_cannot_be_beside_is_told(portal: DocumentPortal) -> None:
    for content, reason in NOT_BESIDE.items():
        order = portal.order(entry(content, signed_envelope_property="Parallel"))
        answer = portal.post("signatures/prepareDoc", order)
        told = f"Invalid array parameter documents ({reason})"
        assert (answer.status_code, answer.json()["error_description"]) == (400, told)


def test_an_algorithm_that_jwa_has_no_name_for_is_refused(furnished: DocumentPortal) -> None:
    portal = using(furnished, "p384")
    answer = portal.post("signatures/prepareDoc", portal.order(entry()))  # SHA-256 with P-384
    assert answer.json()["error_description"] == "Invalid parameter signAlgo"
    portal = using(furnished, "rsa2048")
    salted = entry(signAlgo="1.2.840.113549.1.1.10", signAlgoParams=b64(LONG_SALT))
    salted["hashAlgorithmOID"] = "2.16.840.1.101.3.4.2.1"
    answer = portal.post("signatures/prepareDoc", portal.order(salted))
    assert "signAlgoParams" in answer.json()["error_description"]
