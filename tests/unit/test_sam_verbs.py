"""The verbs of a worker on a node in software: every refusal, one sentence each."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from remote_signing import errors, strict_json
from remote_signing.identifiers import new_id
from remote_signing.sap import b64
from tests.support.registration import TestAuthority
from tests.support.verbs import (
    DIGESTS,
    Enrolled,
    Sam,
    activate,
    challenge,
    enrol,
    sign,
    unb64,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    return Sam(tmp_path)


@pytest.fixture
def official(sam: Sam) -> Enrolled:
    return enrol(sam)


def test_consent_with_pin_and_code_signs_exactly_the_challenged_hashes(
    sam: Sam, official: Enrolled
) -> None:
    asked = challenge(sam, official)
    signatures = sign(sam, official, asked, activate(sam, official, asked))
    key = cast("ec.EllipticCurvePublicKey", serialization.load_der_public_key(official.public_key))
    for value, signature in zip(DIGESTS, signatures, strict=True):
        key.verify(signature, value, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_verification_code_follows_from_the_challenge_and_differs(
    sam: Sam, official: Enrolled
) -> None:
    codes = {cast("str", challenge(sam, official)["verification_code"]) for _ in range(50)}
    assert all(len(code) == 4 and code.isdecimal() for code in codes)
    assert len(codes) > 40


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"activation_id": "01mcc5rm00mratbh8wk05wn2gg"}, errors.SadInvalid),
        ({"client_id": "another"}, errors.SadInvalid),
        ({"hashes": [b64(hashlib.sha256(b"x").digest())]}, errors.HashNotAuthorised),
        ({"hashes": [b64(DIGESTS[0]), b64(DIGESTS[0])]}, errors.HashNotAuthorised),
        ({"hashes": [b64(value) for value in DIGESTS * 2]}, errors.TooManySignatures),
        ({"hashes": []}, errors.TooManySignatures),
        (
            {"hashes": [b64(DIGESTS[0])], "sign_algo": "1.2.840.10045.4.3.3"},
            errors.HashNotAuthorised,
        ),
        ({"sign_algo": "1.2.840.113549.1.1.11"}, errors.AlgorithmUnsupported),
        ({"sign_algo": 7}, errors.InvalidInput),
        ({"hashes": "x"}, errors.InvalidInput),
        ({"hashes": ["!"]}, errors.InvalidInput),
        ({"sign_algo_params": "!"}, errors.InvalidInput),
        ({"sealed": None}, errors.InvalidInput),
        ({"sealed": b64(b"RSC1" + bytes(100))}, errors.SealBroken),
    ],
)
def test_use_beyond_the_sad_is_refused(
    sam: Sam, official: Enrolled, changes: dict[str, object], error: type[Exception]
) -> None:
    asked = challenge(sam, official)
    sad = activate(sam, official, asked)
    with pytest.raises(error):
        sign(sam, official, asked, sad, **changes)


def test_sad_made_elsewhere_is_refused(sam: Sam, official: Enrolled) -> None:
    with pytest.raises(errors.SadInvalid):
        sign(sam, official, challenge(sam, official), b64(bytes(100)))


def test_sad_for_other_credential_is_refused(sam: Sam, official: Enrolled) -> None:
    asked = challenge(sam, official)
    sad = activate(sam, official, asked)
    with pytest.raises(errors.SadInvalid):
        sign(sam, official, asked, sad, sealed=enrol(sam).sealed)


def test_sad_past_its_time_is_refused(sam: Sam, official: Enrolled) -> None:
    asked = challenge(sam, official)
    sad = activate(sam, official, asked)
    sam.clock.advance(300)
    with pytest.raises(errors.SadExpired):
        sign(sam, official, asked, sad)


def test_every_changed_bit_of_a_sealed_credential_is_refused(sam: Sam, official: Enrolled) -> None:
    asked = challenge(sam, official)
    sad = activate(sam, official, asked)
    sealed = unb64(official.sealed)
    for position in range(0, len(sealed), 7):
        changed = bytearray(sealed)
        changed[position] ^= 1 << position % 8
        with pytest.raises((errors.SealBroken, errors.InvalidInput)):
            sign(sam, official, asked, sad, sealed=b64(bytes(changed)))


@pytest.mark.parametrize("wrong", ["pin", "otp", "both"])
def test_wrong_factor_is_refused_without_telling_which(
    sam: Sam, official: Enrolled, wrong: str
) -> None:
    asked = challenge(sam, official)
    otp = "000000" if wrong != "pin" else sam.otp(official)
    evidence = official.evidence(otp, "99999999" if wrong != "otp" else None)
    with pytest.raises(errors.EvidenceInvalid) as refusal:
        sam.call(
            "activate", sealed=official.sealed, challenge=asked["challenge"], evidence=evidence
        )
    assert refusal.value.cause == "a factor does not match"
    assert refusal.value.public == {"attempts_left": 2}


def test_wrong_guesses_lock_and_only_the_registration_authority_unlocks(
    sam: Sam, official: Enrolled
) -> None:
    for _ in range(3):
        with pytest.raises(errors.EvidenceInvalid):
            activate(sam, official, challenge(sam, official), "000000")
    with pytest.raises(errors.CredentialLocked):
        activate(sam, official, challenge(sam, official))
    sam.call("unlock", order=sam.order("unlock", official.credential_id))
    assert activate(sam, official, challenge(sam, official))


def test_time_step_is_used_once_even_with_the_right_pin(sam: Sam, official: Enrolled) -> None:
    otp = sam.otp(official)
    asked = challenge(sam, official)
    activate(sam, official, asked, otp)
    with pytest.raises(errors.EvidenceReplayed):
        activate(sam, official, challenge(sam, official), otp)
    assert activate(sam, official, asked, otp), "the same request sent again is not a replay"


@pytest.mark.parametrize(("steps", "accepted"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_code_of_the_neighbouring_step_is_accepted_and_no_other(
    sam: Sam, official: Enrolled, steps: int, *, accepted: bool
) -> None:
    asked = challenge(sam, official)
    otp = sam.otp(official, steps)
    if accepted:
        assert activate(sam, official, asked, otp)
    else:
        with pytest.raises(errors.EvidenceInvalid):
            activate(sam, official, asked, otp)


@pytest.mark.parametrize(
    "evidence",
    [
        [],
        [{"factor_id": "", "kind": "pin", "value": ""}],
        "pin only",
        "pin twice",
        "wrong kind",
    ],
)
def test_fewer_than_two_kinds_of_factor_is_refused_at_scal2(
    sam: Sam, official: Enrolled, evidence: object
) -> None:
    whole = official.evidence(sam.otp(official))
    evidence = {
        "pin only": whole[:1],
        "pin twice": whole[:1] * 2,
        "wrong kind": [whole[0], {**whole[1], "kind": "pin"}],
    }.get(str(evidence), evidence)
    asked = challenge(sam, official)
    with pytest.raises(errors.EvidenceInsufficient):
        sam.call(
            "activate", sealed=official.sealed, challenge=asked["challenge"], evidence=evidence
        )


@pytest.mark.parametrize(
    "evidence",
    [
        None,
        "x",
        [1],
        [{"factor_id": "a", "kind": "pin"}],
        [{"factor_id": "a", "kind": "pin", "value": 1}],
        [{"factor_id": "a", "kind": "pin", "value": "1" * 65}],
        [{"factor_id": "a", "kind": "pin", "value": "1"}] * 5,
    ],
)
def test_malformed_evidence_is_bad_input(sam: Sam, official: Enrolled, evidence: object) -> None:
    asked = challenge(sam, official)
    with pytest.raises(errors.InvalidInput):
        sam.call(
            "activate", sealed=official.sealed, challenge=asked["challenge"], evidence=evidence
        )


def test_challenge_for_another_credential_is_refused(sam: Sam, official: Enrolled) -> None:
    other = enrol(sam)
    asked = challenge(sam, other)
    with pytest.raises(errors.ChallengeInvalid):
        activate(sam, official, asked)


def test_challenge_made_elsewhere_or_too_old_is_refused(sam: Sam, official: Enrolled) -> None:
    asked = challenge(sam, official)
    with pytest.raises(errors.ChallengeInvalid):
        activate(sam, official, {**asked, "challenge": b64(bytes(200))})
    sam.clock.advance(300)
    with pytest.raises(errors.ChallengeExpired):
        activate(sam, official, asked)


def test_more_signatures_than_multisign_are_refused(sam: Sam) -> None:
    official = enrol(sam, multisign=2)
    with pytest.raises(errors.TooManySignatures):
        activate(sam, official, challenge(sam, official))


def test_scal2_needs_every_hash_before_consent_and_scal1_does_not(
    sam: Sam, official: Enrolled
) -> None:
    asked = challenge(sam, official, hashes=[], count=2)
    with pytest.raises(errors.ChallengeInvalid):
        activate(sam, official, asked)
    seal = enrol(sam, scal="1")
    asked = challenge(sam, seal, hashes=[], count=2)
    sad = activate(sam, seal, asked)
    assert len(sign(sam, seal, asked, sad, hashes=[b64(DIGESTS[0])] * 2)) == 2
    with pytest.raises(errors.TooManySignatures):
        sign(sam, seal, asked, sad)


@pytest.mark.parametrize("scal", ["1", "2"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_hashes_are_as_many_as_the_signatures_that_were_asked_for(
    sam: Sam, scal: str, count: int
) -> None:
    signer = enrol(sam, scal=scal, multisign=count)
    asked = challenge(sam, signer, count=count)
    with pytest.raises(errors.ChallengeInvalid):
        activate(sam, signer, asked)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"credential_id": "x"}, errors.InvalidInput),
        ({"activation_id": "x"}, errors.InvalidInput),
        ({"count": True}, errors.InvalidInput),
        ({"count": 0}, errors.InvalidInput),
        ({"expires_at_ms": "soon"}, errors.InvalidInput),
        ({"display_text": "x" * 4001}, errors.InvalidInput),
        ({"hash_algorithm": "md5"}, errors.AlgorithmUnsupported),
        ({"hashes": [b64(bytes(31))]}, errors.DigestLengthInvalid),
    ],
)
def test_challenge_over_nonsense_is_bad_input(
    sam: Sam, official: Enrolled, changes: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        challenge(sam, official, **changes)


# Enrolment


def certify(sam: Sam, official: Enrolled, **changes: object) -> dict[str, object]:
    return sam.call(
        "certify", sealed=official.sealed, order=certify_order(sam, official, **changes)
    )


def certify_order(sam: Sam, official: Enrolled, **changes: object) -> object:
    members: dict[str, object] = {
        "profile": "official",
        "subject": {
            "common_name": "Nguyễn Văn An",
            "organization": "Bộ Nội vụ",
            "organizational_units": ["Vụ Tổ chức", "Phòng 1"],
            "locality": "Hà Nội",
            "title": "Vụ trưởng",
            "email": "annv@moha.gov.vn",
            "serial_number": "01mcc5rm00ptkspa6cztggafdc",
        },
        "validity_days": 365,
        "public_key_sha256": hashlib.sha256(official.public_key).hexdigest(),
        **changes,
    }
    return sam.order("certify", official.credential_id, **members)


def test_certificate_names_the_official_in_vietnamese_and_is_for_commitment_alone(
    sam: Sam, official: Enrolled
) -> None:
    answer = certify(sam, official)
    certificate = x509.load_der_x509_certificate(unb64(answer["certificate"]))
    assert certificate.subject.rfc4514_string() == (
        "1.2.840.113549.1.9.1=annv@moha.gov.vn,2.5.4.5=01mcc5rm00ptkspa6cztggafdc,"
        "2.5.4.12=Vụ trưởng,CN=Nguyễn Văn An,"
        "OU=Phòng 1,OU=Vụ Tổ chức,O=Bộ Nội vụ,L=Hà Nội,C=VN"
    )
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.content_commitment
    assert not usage.value.digital_signature
    assert answer["version"] == 2
    changed = replace(official, sealed=cast("str", answer["sealed"]))
    asked = challenge(sam, changed)
    assert sign(sam, changed, asked, activate(sam, changed, asked))


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": "root"},
        {"validity_days": "long"},
        {"subject": None},
        {"public_key_sha256": "00"},
    ],
)
def test_certificate_order_with_a_flaw_is_refused(
    sam: Sam, official: Enrolled, changes: dict[str, object]
) -> None:
    with pytest.raises(errors.OrderInvalid):
        certify(sam, official, **changes)


def test_certificate_of_another_authority_is_bound_when_it_is_for_this_key(
    sam: Sam, official: Enrolled
) -> None:
    certificate = unb64(certify(sam, official)["certificate"])
    fingerprint = hashlib.sha256(certificate).hexdigest()
    order = sam.order("install_certificate", official.credential_id, certificate_sha256=fingerprint)
    answer = sam.call(
        "install_certificate", sealed=official.sealed, certificate=b64(certificate), order=order
    )
    assert answer["version"] == 2
    other = enrol(sam)
    order = sam.order("install_certificate", other.credential_id, certificate_sha256=fingerprint)
    with pytest.raises(errors.OrderInvalid):
        sam.call(
            "install_certificate", sealed=other.sealed, certificate=b64(certificate), order=order
        )
    with pytest.raises(errors.OrderInvalid):
        sam.call("install_certificate", sealed=other.sealed, certificate=b64(b"x"), order=order)
    rubbish = sam.order(
        "install_certificate",
        other.credential_id,
        certificate_sha256=hashlib.sha256(b"x").hexdigest(),
    )
    with pytest.raises(errors.InvalidInput):
        sam.call("install_certificate", sealed=other.sealed, certificate=b64(b"x"), order=rubbish)


def test_certification_request_proves_possession_of_the_key(sam: Sam) -> None:
    credential_id = new_id(sam.clock.now_ms())
    order = sam.order(
        "create_credential",
        credential_id,
        owner="o",
        algorithm="rsa2048",
        scal="2",
        multisign=1,
        factors=[{"id": new_id(1), "kind": "totp"}],
    )
    made = sam.call("create_credential", order=order)
    request = x509.load_der_x509_csr(unb64(made["csr"]))
    assert request.is_signature_valid
    assert request.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ) == unb64(made["public_key"])


@pytest.mark.parametrize(
    "changes",
    [
        {"scal": "3"},
        {"multisign": 0},
        {"multisign": True},
        {"owner": ""},
        {"owner": 5},
        {"factors": []},
        {"factors": "pin"},
        {"factors": ["pin"]},
        {"factors": [{"id": "x", "kind": "pin"}]},
        {"factors": [{"id": "01mcc5rm00mratbh8wk05wn2gg", "kind": "sms"}]},
        {"factors": [{"id": "01mcc5rm00mratbh8wk05wn2gg", "kind": "pin"}] * 2},
        {"recipient": "!"},
        {"recipient": ""},
        {"expires_at_ms": 9_999_999_999_999},
        {"kind": "destroy"},
        {"ra_key": "unknown"},
        {"ra_key": 7},
        {"credential_id": "x"},
    ],
)
def test_creation_order_with_a_flaw_is_refused(sam: Sam, changes: dict[str, object]) -> None:
    members: dict[str, object] = {
        "owner": "o",
        "algorithm": "p256",
        "scal": "2",
        "multisign": 1,
        "factors": [{"id": new_id(1), "kind": "pin"}],
        **changes,
    }
    now_ms = sam.clock.now_ms()
    payload = strict_json.loads_object(
        unb64(sam.ra.order("create_credential", new_id(1), now_ms)["payload"])
    )
    order = sam.ra.sign(strict_json.canonical({**payload, **members}))
    with pytest.raises(errors.OrderInvalid):
        sam.call("create_credential", order=order)


def test_order_outside_its_time_is_refused(sam: Sam, official: Enrolled) -> None:
    order = sam.order("destroy", official.credential_id)
    for seconds in (600, -3_000):
        sam.clock.advance(seconds)
        with pytest.raises(errors.OrderExpired):
            sam.call("destroy", sealed=official.sealed, order=order)


def test_order_not_signed_by_a_pinned_authority_is_refused(sam: Sam, official: Enrolled) -> None:
    stranger = TestAuthority()
    forged = stranger.order("destroy", official.credential_id, sam.clock.now_ms())
    own = cast("dict[str, str]", sam.order("destroy", official.credential_id))
    for order in (
        None,
        "x",
        {},
        forged,
        {**own, "signature": forged["signature"]},
        {**own, "payload": b64(b"[]")},
    ):
        with pytest.raises(errors.OrderInvalid):
            sam.call("destroy", sealed=official.sealed, order=order)


def test_order_for_another_credential_is_refused(sam: Sam, official: Enrolled) -> None:
    order = sam.order("destroy", enrol(sam).credential_id)
    with pytest.raises(errors.OrderInvalid):
        sam.call("destroy", sealed=official.sealed, order=order)


def test_destroying_may_be_repeated_when_its_answer_was_lost(sam: Sam, official: Enrolled) -> None:
    order = sam.order("destroy", official.credential_id)
    first = sam.call("destroy", sealed=official.sealed, order=order)
    assert sam.call("destroy", sealed=official.sealed, order=order) == first


def test_destroyed_credential_stays_destroyed(sam: Sam, official: Enrolled) -> None:
    asked = challenge(sam, official)
    sad = activate(sam, official, asked)
    sam.call("destroy", sealed=official.sealed, order=sam.order("destroy", official.credential_id))
    with pytest.raises(errors.RecordRevoked):
        sign(sam, official, asked, sad)
    again = sam.order(
        "create_credential",
        official.credential_id,
        owner="o",
        algorithm="p256",
        scal="2",
        multisign=1,
        factors=[{"id": new_id(1), "kind": "pin"}],
    )
    with pytest.raises(errors.RecordRevoked):
        sam.call("create_credential", order=again)


def test_record_from_before_a_factor_was_removed_does_not_bring_it_back(
    sam: Sam, official: Enrolled
) -> None:
    order = sam.order("drop_factor", official.credential_id, factor_id=official.totp_id)
    sam.call("drop_factor", sealed=official.sealed, order=order)
    with pytest.raises(errors.FactorRevoked):
        activate(sam, official, challenge(sam, official))


def test_factor_that_is_not_there_cannot_be_removed(sam: Sam, official: Enrolled) -> None:
    order = sam.order("drop_factor", official.credential_id, factor_id=new_id(1))
    with pytest.raises(errors.OrderInvalid):
        sam.call("drop_factor", sealed=official.sealed, order=order)


def test_new_phone_is_bound_by_order_for_this_version_only(sam: Sam, official: Enrolled) -> None:
    fresh = new_id(sam.clock.now_ms())
    members = {"factors": [{"id": fresh, "kind": "totp"}], "if_version": 1}
    order = sam.order("bind_factor", official.credential_id, **members)
    answer = sam.call("bind_factor", sealed=official.sealed, order=order)
    assert answer["factor_ids"] == [fresh]
    for sealed, renamed in ((answer["sealed"], fresh), (official.sealed, official.totp_id)):
        members = {"factors": [{"id": renamed, "kind": "totp"}], "if_version": 1}
        order = sam.order("bind_factor", official.credential_id, **members)
        with pytest.raises(errors.OrderInvalid):
            sam.call("bind_factor", sealed=sealed, order=order)


def test_replayed_order_does_not_bring_a_removed_phone_back(sam: Sam, official: Enrolled) -> None:
    fresh = new_id(sam.clock.now_ms())
    members = {"factors": [{"id": fresh, "kind": "totp"}], "if_version": 1}
    bind = sam.order("bind_factor", official.credential_id, **members)
    bound = sam.call("bind_factor", sealed=official.sealed, order=bind)
    drop = sam.order("drop_factor", official.credential_id, factor_id=fresh)
    sam.call("drop_factor", sealed=bound["sealed"], order=drop)
    with pytest.raises(errors.OrderInvalid):
        sam.call("bind_factor", sealed=official.sealed, order=bind)
