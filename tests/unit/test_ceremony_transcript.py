from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from remote_signing.clock import FixedClock
from remote_signing.errors import SealBroken
from remote_signing.sam.ceremony.transcript import Transcript, verify_transcript
from remote_signing.sam.cluster import attested

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)


def attest(domain: bytes, data: bytes) -> bytes:
    return KEY.sign(attested(domain, data), ec.ECDSA(hashes.SHA256()))


@pytest.fixture
def document() -> bytes:
    clock = FixedClock()
    lines: list[str] = []
    transcript = Transcript("hsm init", {"operators": ["Dũng"]}, clock, lines.append)
    transcript.step("looked at the node", "node-1", serial="7")
    clock.advance(2.5)
    transcript.step("check values agree")
    assert lines == [" 1. looked at the node [node-1]", " 2. check values agree"]
    assert transcript.lines() == ("looked at the node", "check values agree")
    return transcript.signed("cluster", attest)


def test_a_transcript_tells_who_did_what_when_and_where(document: bytes) -> None:
    content = verify_transcript(document, PUBLIC)
    assert content["people"] == {"operators": ["Dũng"]}
    assert content["steps"] == [
        {
            "number": 1,
            "at": "2027-01-15T08:00:00.000+00:00",
            "at_ms": 1_800_000_000_000,
            "node": "node-1",
            "action": "looked at the node",
            "detail": {"serial": "7"},
        },
        {
            "number": 2,
            "at": "2027-01-15T08:00:02.500+00:00",
            "at_ms": 1_800_000_002_500,
            "node": None,
            "action": "check values agree",
            "detail": {},
        },
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [("Dũng", "Dung"), ("node-1", "node-2"), ('"number": 2', '"number": 3'), ("08:00:02", "08:01")],
)
def test_a_changed_transcript_does_not_verify(document: bytes, before: str, after: str) -> None:
    assert before.encode() in document
    with pytest.raises(SealBroken):
        verify_transcript(document.replace(before.encode(), after.encode()), PUBLIC)


def test_a_transcript_may_be_written_in_another_layout(document: bytes) -> None:
    verify_transcript(json.dumps(json.loads(document)).encode(), PUBLIC)


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"content": {}}', b'{"content": {}, "signature": "AAAA"}', b"\xff"],
)
def test_something_else_is_no_transcript(document: bytes) -> None:
    with pytest.raises(SealBroken):
        verify_transcript(document, PUBLIC)
