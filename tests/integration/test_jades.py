"""JAdES by ``signDoc`` with a real SAM, judged by joserfc, jwcrypto and rfc3161-client."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.documents import TEXT, DocumentPortal, document
from tests.support.jades import JadesJudge, members

ECDSA_SHA384 = "1.2.840.10045.4.3.3"
RSA_SHA256 = "1.2.840.113549.1.1.11"
RSA = ((256, 11), (384, 12), (512, 13))
SHA2 = {bits: f"2.16.840.1.101.3.4.2.{last}" for bits, last in ((256, 1), (384, 2), (512, 3))}
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")


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
