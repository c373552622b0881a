"""``activate_all``: one evidence for several challenges, each as narrow as it was."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from remote_signing import errors, strict_json
from remote_signing.identifiers import new_id
from remote_signing.sap import b64
from tests.support.verbs import DIGESTS, Enrolled, Sam, activate, challenge, enrol, sign, unb64

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    return Sam(tmp_path)


@pytest.fixture
def official(sam: Sam) -> Enrolled:
    return enrol(sam)


def together(
    sam: Sam, official: Enrolled, asked: list[dict[str, object]], **changes: Any
) -> dict[str, object]:
    arguments: dict[str, Any] = {
        "sealed": official.sealed,
        "challenges": [one["challenge"] for one in asked],
        "evidence": official.evidence(sam.otp(official)),
    }
    return sam.call("activate_all", **(arguments | changes))


def several(sam: Sam, official: Enrolled, count: int = 3) -> list[dict[str, object]]:
    """Challenges over a hash of its own each."""
    return [
        challenge(sam, official, hashes=[b64(hashlib.sha256(bytes([n])).digest())], count=1)
        for n in range(count)
    ]


def test_each_sad_signs_its_own_hash_and_no_other(sam: Sam, official: Enrolled) -> None:
    asked = several(sam, official)
    sads = cast("list[str]", together(sam, official, asked)["sads"])
    for number, (one, sad) in enumerate(zip(asked, sads, strict=True)):
        assert sign(sam, official, one, sad, hashes=[b64(DIGESTS[number])])
        with pytest.raises(errors.HashNotAuthorised):
            sign(sam, official, one, sad, hashes=[b64(DIGESTS[number - 1])])
        with pytest.raises(errors.SadInvalid):
            sign(sam, official, asked[number - 1], sad, hashes=[b64(DIGESTS[number])])


def test_the_evidence_is_about_exactly_these_in_this_order(sam: Sam, official: Enrolled) -> None:
    asked = several(sam, official)
    answer = together(sam, official, asked)
    digests = strict_json.canonical([unb64(one["digest"]).hex() for one in asked])
    expected = hashlib.sha256(b"remote-signing/together/v1" + digests).hexdigest()
    assert json.loads(unb64(answer["evidence_statement"]))[0] == expected


def test_one_code_is_good_for_one_batch(sam: Sam, official: Enrolled) -> None:
    asked = several(sam, official, 4)
    code = official.evidence(sam.otp(official))
    together(sam, official, asked[:2], evidence=code)
    with pytest.raises(errors.EvidenceReplayed):
        together(sam, official, asked[2:], evidence=code)
    with pytest.raises(errors.EvidenceReplayed):
        activate(sam, official, asked[2])


def test_a_repeat_after_a_lost_answer_is_answered_again(sam: Sam, official: Enrolled) -> None:
    asked = several(sam, official)
    first, again = (together(sam, official, asked) for _ in range(2))
    assert first["evidence_digest"] == again["evidence_digest"]


def test_wrong_evidence_gives_no_sad_and_counts_once(sam: Sam, official: Enrolled) -> None:
    asked = several(sam, official)
    wrong = official.evidence(sam.otp(official), "00000000")
    with pytest.raises(errors.EvidenceInvalid) as caught:
        together(sam, official, asked, evidence=wrong)
    assert caught.value.public == {"attempts_left": 2}


def test_one_bad_challenge_spoils_all(sam: Sam, official: Enrolled) -> None:
    good = several(sam, official, 2)
    foreign = challenge(sam, enrol(sam))
    for bad, error in (
        (foreign["challenge"], errors.ChallengeInvalid),
        (b64(bytes(80)), errors.ChallengeInvalid),
        (challenge(sam, official, hashes=[], count=1)["challenge"], errors.ChallengeInvalid),
        ("!", errors.InvalidInput),
    ):
        with pytest.raises(error):
            together(sam, official, [*good, {"challenge": bad}])
    many = [b64(hashlib.sha256(bytes([n])).digest()) for n in range(11)]
    too_many = challenge(sam, official, hashes=many, count=11)
    with pytest.raises(errors.TooManySignatures):
        together(sam, official, [*good, too_many])
    sam.clock.advance(301)
    with pytest.raises(errors.ChallengeExpired):
        together(sam, official, good)


def test_a_batch_is_two_to_fifty_different_activations(sam: Sam, official: Enrolled) -> None:
    asked = several(sam, official, 2)
    same = {"activation_id": new_id(sam.clock.now_ms())}
    twice = [challenge(sam, official, **same) for _ in range(2)]
    many = several(sam, official, 51)
    for wrong in ([], asked[:1], asked[:1] * 2, twice, many):
        with pytest.raises(errors.InvalidInput):
            together(sam, official, wrong)
    with pytest.raises(errors.InvalidInput):
        together(sam, official, asked, challenges="x")
    assert together(sam, official, many[:50])["sads"]
