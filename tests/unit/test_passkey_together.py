"""One touch of a passkey for several challenges: ``ask_passkey_all`` and ``activate_all``."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from remote_signing import errors
from remote_signing.identifiers import new_id
from remote_signing.sap import b64
from tests.support.passkeys import RP_ID, UP, Authenticator
from tests.support.verbs import DIGESTS, Enrolled, Sam, challenge, enrol, sign, unb64
from tests.unit.test_passkey_verbs import Official, activate, configured, new_passkey, with_passkey
from tests.unit.test_sam_together import several

if TYPE_CHECKING:
    from pathlib import Path

Asked = list[dict[str, object]]


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    return configured(tmp_path)


@pytest.fixture
def official(sam: Sam) -> Official:
    return with_passkey(sam)


def asked_all(sam: Sam, known: Enrolled, asked: Asked) -> bytes:
    tokens = [one["challenge"] for one in asked]
    question = sam.call("ask_passkey_all", sealed=known.sealed, challenges=tokens)
    assert question["rp_id"] == RP_ID
    return unb64(question["challenge"])


def together(sam: Sam, official: Official, asked: Asked, *evidence: object) -> dict[str, Any]:
    tokens = [one["challenge"] for one in asked]
    sealed = official.known.sealed
    return sam.call("activate_all", sealed=sealed, challenges=tokens, evidence=list(evidence))


def test_one_touch_gives_a_sad_for_each_that_signs_its_own_hash_only(
    sam: Sam, official: Official
) -> None:
    asked = several(sam, official.known)
    evidence = official.evidence(asked_all(sam, official.known, asked))
    sads = together(sam, official, asked, evidence)["sads"]
    assert len(set(sads)) == 3
    for number, (one, sad) in enumerate(zip(asked, sads, strict=True)):
        assert sign(sam, official.known, one, sad, hashes=[b64(DIGESTS[number])])
        with pytest.raises(errors.HashNotAuthorised):
            sign(sam, official.known, one, sad, hashes=[b64(DIGESTS[number - 1])])


def test_touch_for_several_is_good_for_exactly_these_in_this_order(
    sam: Sam, official: Official
) -> None:
    asked = several(sam, official.known)
    evidence = official.evidence(asked_all(sam, official.known, asked))
    other = several(sam, official.known, 1)
    for set_of in (asked[:2], asked[::-1], [*asked, *other], [*asked[:2], *other]):
        with pytest.raises(errors.EvidenceInvalid):
            together(sam, official, set_of, evidence)
    with pytest.raises(errors.EvidenceInvalid):
        activate(sam, official, asked[0], evidence)
    assert together(sam, official, asked, evidence)["sads"]


def test_touch_for_one_is_good_for_no_batch_with_it(sam: Sam, official: Official) -> None:
    asked = several(sam, official.known, 2)
    tokens = {"sealed": official.known.sealed, "challenge": asked[0]["challenge"]}
    alone = unb64(sam.call("ask_passkey", **tokens)["challenge"])
    with pytest.raises(errors.EvidenceInvalid):
        together(sam, official, asked, official.evidence(alone))


def test_statement_names_the_members_by_their_digests_and_tells_nothing_else_of_them(
    sam: Sam, official: Official
) -> None:
    asked = several(sam, official.known)
    answer = together(
        sam, official, asked, official.evidence(asked_all(sam, official.known, asked))
    )
    statement = json.loads(unb64(answer["evidence_statement"]))
    members = [unb64(one["digest"]).hex() for one in asked]
    record = statement[1][0][2]
    assert record["together"] == members
    assert "challenge" not in record
    said = json.dumps(members, separators=(",", ":")).encode()
    assert statement[0] == hashlib.sha256(b"remote-signing/together/v1" + said).hexdigest()
    added = cast("list[dict[str, Any]]", answer["challenges"])
    assert len({one["nonce"] for one in added}) == 3
    text = unb64(answer["evidence_statement"]).decode()
    assert not any(one["nonce"] in text for one in added)


def test_repeat_after_a_lost_answer_is_answered_again_though_the_authenticator_counts(
    sam: Sam,
) -> None:
    official = with_passkey(sam, device=Authenticator(counter=1, step=1))
    asked = several(sam, official.known)
    evidence = official.evidence(asked_all(sam, official.known, asked))
    first, again = (together(sam, official, asked, evidence) for _ in range(2))
    assert first["evidence_digest"] == again["evidence_digest"]
    official.device.step = 0
    fresh = several(sam, official.known)
    copied = official.evidence(asked_all(sam, official.known, fresh))
    with pytest.raises(errors.PasskeyCopied):
        together(sam, official, fresh, copied)


def test_touch_for_several_needs_what_a_touch_for_one_needs(sam: Sam) -> None:
    official = new_passkey(sam)
    asked = several(sam, official.known)
    with pytest.raises(errors.PasskeyUnknown):
        asked_all(sam, official.known, asked)
    official = with_passkey(sam)
    asked = several(sam, official.known)
    digest = asked_all(sam, official.known, asked)
    with pytest.raises(errors.EvidenceInvalid, match="not verified"):
        together(
            sam, official, asked, official.evidence(digest, data=official.device.data(flags=UP))
        )
    with pytest.raises(errors.EvidenceInvalid, match="another origin"):
        together(sam, official, asked, official.evidence(digest, origin="https://attacker.example"))
    cold = new_passkey(sam, official.known)
    with pytest.raises(errors.PasskeyTooNew):
        together(sam, cold, asked, cold.evidence(digest))


def test_what_can_be_no_batch_is_asked_of_no_passkey(sam: Sam, official: Official) -> None:
    good = several(sam, official.known, 2)
    same = {"activation_id": new_id(sam.clock.now_ms())}
    twice = [challenge(sam, official.known, **same) for _ in range(2)]
    for wrong in ([], good[:1], good[:1] * 2, twice, several(sam, official.known, 51)):
        with pytest.raises(errors.InvalidInput):
            asked_all(sam, official.known, wrong)
    foreign = challenge(sam, enrol(sam))
    with pytest.raises(errors.ChallengeInvalid):
        asked_all(sam, official.known, [*good, foreign])
    assert asked_all(sam, official.known, several(sam, official.known, 50))
