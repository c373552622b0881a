"""JAdES by ``signDoc`` with a real SAM, judged by joserfc, jwcrypto and rfc3161-client."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.documents import TEXT, DocumentPortal, document
from tests.support.jades import JadesJudge, members
from tests.support.world import ECDSA_SHA256, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder

ECDSA_SHA384 = "1.2.840.10045.4.3.3"
RSA_SHA256 = "1.2.840.113549.1.1.11"
RSA = ((256, 11), (384, 12), (512, 13))
SHA2 = {bits: f"2.16.840.1.101.3.4.2.{last}" for bits, last in ((256, 1), (384, 2), (512, 3))}
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")


@pytest.fixture(scope="module")
def furnished(
    sam_factory: Callable[..., RunningSam], sqlite_folder: SqliteFolder
) -> Iterator[DocumentPortal]:
    with new_world(sqlite_folder) as world:
        pinned = {world.authority.key_id: world.authority.public_key}
        world.join(sam_factory(workers=1, pinned=pinned).client())
        made = DocumentPortal.at(world)
        yield made
        made.close()


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


@pytest.mark.parametrize("envelope", ["Attached", "Detached"])
def test_jades_is_what_it_says(portal: DocumentPortal, judge: JadesJudge, envelope: str) -> None:
    wanted = [
        entry(conformance_level=f"Ades-{level}", signed_envelope_property=envelope)
        for level in LEVELS
    ]
    answer = portal.sign(*wanted)
    name = "DocumentWithSignature" if envelope == "Attached" else "SignatureObject"
    for level, text in zip(LEVELS, answer[name], strict=True):
        signed = base64.b64decode(text)
        found = judge.accepts(signed, level, TEXT)
        assert found.payload == (TEXT if envelope == "Attached" else b"")
        assert signed.startswith(b"{") is (level != "B-B")


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


ALGORITHMS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"RS{bits}": ("rsa2048", {"signAlgo": f"1.2.840.113549.1.1.{last}"}) for bits, last in RSA},
    **{
        f"PS{bits}": ("rsa3072", {"signAlgo": "1.2.840.113549.1.1.10", "hashAlgorithmOID": oid})
        for bits, oid in SHA2.items()
    },
    "ES256": ("p256", {"signAlgo": ECDSA_SHA256}),
    "ES384": ("p384", {"signAlgo": ECDSA_SHA384}),
    "ES512": ("p521", {"signAlgo": "1.2.840.10045.4.3.4"}),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_of_jwa_is_made(
    furnished: DocumentPortal, judge: JadesJudge, algorithm: str
) -> None:
    kind, changes = ALGORITHMS[algorithm]
    portal = using(furnished, kind)
    answer = portal.sign(
        entry(conformance_level="Ades-B-T", **changes),
        entry(signed_envelope_property="Detached", **changes),
    )
    attached = base64.b64decode(answer["DocumentWithSignature"][0])
    detached = base64.b64decode(answer["SignatureObject"][0])
    assert judge.accepts(attached, "B-T", None).header["alg"] == algorithm
    assert judge.accepts(detached, "B-B", TEXT).header["alg"] == algorithm
