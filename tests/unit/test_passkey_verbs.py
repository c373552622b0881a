"""The verbs with a passkey as a factor: let in, asked, checked, dropped; attacks by their names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remote_signing import errors
from remote_signing.identifiers import new_id
from remote_signing.sam.config import PasskeyConfig
from remote_signing.sap import b64
from tests.support.passkeys import (
    AT,
    BE,
    BS,
    ED,
    ORIGIN,
    RP_ID,
    UP,
    UV,
    Authenticator,
    Key,
    cbor,
    client_data,
)
from tests.support.verbs import DIGESTS, Enrolled, Sam, challenge, enrol, sign, unb64

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = 86_400
RSA_KEY = rsa.generate_private_key(65537, 2048)


def configured(folder: Path, **changes: Any) -> Sam:
    return Sam(folder, passkey=PasskeyConfig(rp_id=RP_ID, origins=(ORIGIN,), **changes))


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    return configured(tmp_path)


@dataclass(frozen=True)
class Official:
    """Somebody with PIN, code and a passkey; ``known`` is the credential with all of them."""

    known: Enrolled
    device: Authenticator
    passkey_id: str

    def evidence(self, digest: bytes, **changes: Any) -> dict[str, Any]:
        signature, rest = self.device.answer(digest, **changes)
        return self.wrap(signature, rest)

    def wrap(self, signature: bytes, rest: dict[str, Any]) -> dict[str, Any]:
        item = {"factor_id": self.passkey_id, "kind": "passkey", "value": b64(signature)}
        return item | {"passkey": rest}


def begin(sam: Sam, known: Enrolled, purpose: str = "bind", **changes: Any) -> dict[str, Any]:
    factor_id = new_id(sam.clock.now_ms())
    arguments = {"sealed": known.sealed, "factor_id": factor_id, "purpose": purpose, **changes}
    return {"factor_id": arguments["factor_id"], **sam.call("begin_passkey", **arguments)}


def made(device: Authenticator, begun: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"token": begun["token"], **device.make(unb64(begun["challenge"]), **changes)}


def bind(
    sam: Sam, known: Enrolled, passkey: dict[str, Any], *evidence: dict[str, Any]
) -> dict[str, Any]:
    given = list(evidence) or known.evidence(sam.otp(known))
    return sam.call("bind_passkey", sealed=known.sealed, passkey=passkey, evidence=given)


def new_passkey(
    sam: Sam, known: Enrolled | None = None, device: Authenticator | None = None
) -> Official:
    """An official whose passkey still cools off."""
    known, device = known or enrol(sam), device or Authenticator()
    begun = begin(sam, known)
    bound = bind(sam, known, made(device, begun))
    sealed = cast("str", bound["sealed"])
    return Official(replace(known, sealed=sealed), device, begun["factor_id"])


def with_passkey(sam: Sam, **changes: Any) -> Official:
    official = new_passkey(sam, **changes)
    sam.clock.advance(DAY)
    return official


@pytest.fixture
def official(sam: Sam) -> Official:
    return with_passkey(sam)


def ask(sam: Sam, official: Official, **changes: Any) -> tuple[dict[str, object], bytes]:
    """A challenge, and what the passkey is asked to sign of it."""
    asked = challenge(sam, official.known, **changes)
    question = sam.call("ask_passkey", sealed=official.known.sealed, challenge=asked["challenge"])
    assert question["rp_id"] == RP_ID
    return asked, unb64(question["challenge"])


def activate(
    sam: Sam, official: Official, asked: dict[str, object], *evidence: object
) -> dict[str, Any]:
    return sam.call(
        "activate",
        sealed=official.known.sealed,
        challenge=asked["challenge"],
        evidence=list(evidence),
    )


def refused(
    sam: Sam, official: Official, fact: type[Exception] = errors.EvidenceInvalid, **changes: Any
) -> str:
    """The private cause of the refusal of an answer with these changes."""
    asked, digest = ask(sam, official)
    with pytest.raises(fact) as error:
        activate(sam, official, asked, official.evidence(digest, **changes))
    assert type(error.value) is fact
    return str(error.value)


# A consent


def key_of(name: str) -> Key | None:
    keys: dict[str, Key] = {"EdDSA": Ed25519PrivateKey.generate(), "RS256": RSA_KEY}
    return keys.get(name)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_passkey_alone_consents_and_exactly_its_hashes_are_signed(sam: Sam, algorithm: str) -> None:
    key = key_of(algorithm)
    device = Authenticator() if key is None else Authenticator(key)
    official = with_passkey(sam, device=device)
    asked, digest = ask(sam, official)
    answer = activate(sam, official, asked, official.evidence(digest))
    assert len(sign(sam, official.known, asked, answer["sad"])) == len(DIGESTS)
    other = [b64(hashlib.sha256(b"other").digest())]
    with pytest.raises(errors.HashNotAuthorised):
        sign(sam, official.known, asked, answer["sad"], hashes=other)


def test_a_passkey_is_asked_the_challenge_over_hashes_credential_and_text(
    sam: Sam, official: Official
) -> None:
    asked, digest = ask(sam, official)
    assert digest == unb64(asked["digest"])
    question = sam.call("ask_passkey", sealed=official.known.sealed, challenge=asked["challenge"])
    assert question["passkeys"] == [
        {"id": b64(official.device.credential_id), "transports": ["hybrid", "internal"]}
    ]


def test_evidence_statement_holds_all_that_is_needed_to_check_it_again(
    sam: Sam, official: Official
) -> None:
    asked, digest = ask(sam, official)
    evidence = official.evidence(digest)
    answer = activate(sam, official, asked, evidence)
    statement = unb64(answer["evidence_statement"])
    assert hashlib.sha256(statement).digest() == unb64(answer["evidence_digest"])
    (named, ((factor_id, kind, record),), step) = json.loads(statement)
    assert (named, factor_id, kind, step) == (
        digest.hex(),
        official.passkey_id,
        "passkey",
        None,
    )
    assert record["signature"] == evidence["value"]
    assert record["client_data"] == evidence["passkey"]["client_data"]
    assert record["challenge"].keys() == {
        *("nonce", "display_sha256", "not_before_ms", "expires_at_ms"),
    }


def test_pin_and_code_still_consent_beside_a_passkey(sam: Sam, official: Official) -> None:
    asked, _ = ask(sam, official)
    assert activate(sam, official, asked, *official.known.evidence(sam.otp(official.known)))


def test_user_handle_of_the_owner_is_good_and_so_is_none(sam: Sam, official: Official) -> None:
    asked, digest = ask(sam, official)
    handle = official.known.credential_id.encode()
    assert activate(sam, official, asked, official.evidence(digest, user_handle=handle))
    assert activate(sam, official, asked, official.evidence(digest))


def test_extensions_that_nobody_asked_for_are_passed_over(sam: Sam, official: Official) -> None:
    asked, digest = ask(sam, official)
    data = official.device.data(UP | UV | ED, cbor({"credProps": {"rk": True}}))
    assert activate(sam, official, asked, official.evidence(digest, data=data))


# Attacks on a consent


def test_passkey_asked_from_another_origin_is_refused(sam: Sam, official: Official) -> None:
    for origin in ("https://ky-s0.example", "http://ky-so.example", f"{ORIGIN}:444", ""):
        assert refused(sam, official, origin=origin) == "asked from another origin"


def test_passkey_of_another_site_is_refused(sam: Sam, official: Official) -> None:
    official.device.rp_id = "ky-so.example.attacker.example"
    assert refused(sam, official) == "made for another site"


def test_answer_to_the_challenge_of_other_hashes_is_refused(sam: Sam, official: Official) -> None:
    asked, _ = ask(sam, official)
    values = [b64(hashlib.sha256(bytes([9, number])).digest()) for number in range(3)]
    _, others = ask(sam, official, hashes=values, activation_id=asked["activation_id"])
    with pytest.raises(errors.EvidenceInvalid, match="another challenge"):
        activate(sam, official, asked, official.evidence(others))


def test_answer_to_the_challenge_of_another_text_is_refused(sam: Sam, official: Official) -> None:
    asked, _ = ask(sam, official)
    _, other = ask(sam, official, display_text="Giấy mời họp", activation_id=asked["activation_id"])
    with pytest.raises(errors.EvidenceInvalid, match="another challenge"):
        activate(sam, official, asked, official.evidence(other))


def test_answer_for_another_credential_of_the_same_person_is_refused(sam: Sam) -> None:
    first, second = new_passkey(sam), new_passkey(sam)
    sam.clock.advance(DAY)
    asked, digest = ask(sam, first)
    with pytest.raises(errors.EvidenceInsufficient):
        activate(sam, first, asked, second.evidence(digest))
    with pytest.raises(errors.EvidenceInvalid, match="another passkey"):
        activate(sam, first, asked, first.wrap(*second.device.answer(digest)))
    with pytest.raises(errors.ChallengeInvalid):
        sam.call("ask_passkey", sealed=second.known.sealed, challenge=asked["challenge"])


def test_key_of_another_official_is_refused_whatever_name_it_bears(
    sam: Sam, official: Official
) -> None:
    stranger = Authenticator(credential_id=official.device.credential_id)
    asked, digest = ask(sam, official)
    with pytest.raises(errors.EvidenceInvalid, match="has not signed"):
        activate(sam, official, asked, official.wrap(*stranger.answer(digest)))


def test_user_handle_of_another_owner_is_refused(sam: Sam, official: Official) -> None:
    other = new_id(sam.clock.now_ms()).encode()
    assert refused(sam, official, user_handle=other) == "a passkey of another owner"
    assert refused(sam, official, user_handle=b"") == "a passkey of another owner"


def test_replayed_answer_authorises_its_own_activation_and_no_other(
    sam: Sam, official: Official
) -> None:
    asked, digest = ask(sam, official)
    evidence = official.evidence(digest)
    first = activate(sam, official, asked, evidence)
    again, _ = ask(sam, official, activation_id=asked["activation_id"])
    with pytest.raises(errors.EvidenceInvalid, match="another challenge"):
        activate(sam, official, again, evidence)
    other, _ = ask(sam, official)
    with pytest.raises(errors.EvidenceInvalid, match="another challenge"):
        activate(sam, official, other, evidence)
    with pytest.raises(errors.SadInvalid):
        sign(sam, official.known, other, first["sad"])
    sam.clock.advance(301)
    with pytest.raises(errors.ChallengeExpired):
        activate(sam, official, asked, evidence)


def test_passkey_that_did_not_verify_its_user_is_refused(sam: Sam, official: Official) -> None:
    official.device.flags = UP
    assert refused(sam, official) == "its user was not verified"


def test_passkey_that_nobody_touched_is_refused(sam: Sam, official: Official) -> None:
    official.device.flags = UV
    assert refused(sam, official) == "nobody was there"


def test_passkey_asked_inside_another_sites_page_is_refused(sam: Sam, official: Official) -> None:
    for changes in (
        {"crossOrigin": True},
        {"topOrigin": "https://attacker.example"},
        {"crossOrigin": "false"},
        {"crossOrigin": True, "topOrigin": ORIGIN},
    ):
        assert refused(sam, official, **changes) == "asked from inside another site's page"


def test_making_of_a_passkey_is_no_consent(sam: Sam, official: Official) -> None:
    assert refused(sam, official, kind="webauthn.create") == "client data of another ceremony"
    assert refused(sam, official, kind="payment.get") == "client data of another ceremony"
    data = official.device.data(UP | UV | AT, official.device.attested())
    assert refused(sam, official, data=data) == "a new passkey in the place of an answer"


def test_passkey_that_turns_out_to_be_copied_is_refused(sam: Sam, official: Official) -> None:
    official.device.flags = UP | UV | BE
    assert "otherwise of copies" in refused(sam, official)
    official.device.flags = UP | UV | BS
    assert refused(sam, official) == "backed up, and yet not to be"


def test_changed_bit_anywhere_in_an_answer_is_refused(sam: Sam, official: Official) -> None:
    asked, digest = ask(sam, official)
    signature, rest = official.device.answer(digest)
    whole = {name: unb64(value) for name, value in rest.items() if value is not None}
    for name, value in [*whole.items(), ("signature", signature)]:
        for place in range(0, len(value), 5):
            changed = bytearray(value)
            changed[place] ^= 1 << place % 8
            parts = rest | {name: b64(bytes(changed))}
            sent = signature if name != "signature" else bytes(changed)
            parts.pop("signature", None)
            with pytest.raises(errors.EvidenceInvalid):
                activate(sam, official, asked, official.wrap(sent, parts))
    assert activate(sam, official, asked, official.wrap(signature, rest))


def test_counter_that_does_not_rise_is_a_copy_and_is_refused(sam: Sam) -> None:
    device = Authenticator(counter=7, step=1)
    official = with_passkey(sam, device=device)
    for _ in range(2):
        asked, digest = ask(sam, official)
        evidence = official.evidence(digest)
        assert activate(sam, official, asked, evidence)
        assert activate(sam, official, asked, evidence), "the same request again"
    device.step = 0
    assert refused(sam, official, errors.PasskeyCopied) == "counter 9 after 9"
    device.counter = 3
    assert refused(sam, official, errors.PasskeyCopied) == "counter 3 after 9"
    device.counter = 0
    assert refused(sam, official, errors.PasskeyCopied) == "counter 0 after 9"
    device.counter = 10
    asked, digest = ask(sam, official)
    assert activate(sam, official, asked, official.evidence(digest))


def test_counter_below_the_one_of_the_registration_is_refused(sam: Sam) -> None:
    official = with_passkey(sam, device=Authenticator(counter=7))
    assert refused(sam, official, errors.PasskeyCopied) == "counter 7 after 7"


def test_counter_survives_a_restart_and_an_older_record(sam: Sam, tmp_path: Path) -> None:
    official = with_passkey(sam, device=Authenticator(counter=1, step=1))
    asked, digest = ask(sam, official)
    copy = replace(official.device)
    activate(sam, official, asked, official.evidence(digest))
    again = Sam(tmp_path, node=sam.node, clock=sam.clock, ra=sam.ra, passkey=sam.passkey)
    twin = replace(official, device=copy)
    assert refused(again, twin, errors.PasskeyCopied) == "counter 2 after 2"


def test_counter_is_not_touched_by_an_answer_that_is_refused(sam: Sam) -> None:
    official = with_passkey(sam, device=Authenticator(counter=1, step=1))
    stranger = Authenticator(credential_id=official.device.credential_id, counter=9_000)
    asked, digest = ask(sam, official)
    with pytest.raises(errors.EvidenceInvalid, match="has not signed"):
        activate(sam, official, asked, official.wrap(*stranger.answer(digest)))
    assert activate(sam, official, asked, official.evidence(digest))


def test_rubbish_in_the_place_of_a_passkey_locks_nobody(sam: Sam, official: Official) -> None:
    before = sam.journal.remaining(official.known.credential_id)
    for _ in range(20):
        refused(sam, official, origin="https://attacker.example")
    assert sam.journal.remaining(official.known.credential_id) == before


def test_passkey_counts_for_nothing_during_its_cool_off(sam: Sam) -> None:
    official = new_passkey(sam)
    asked = challenge(sam, official.known)
    digest = unb64(asked["digest"])
    with pytest.raises(errors.PasskeyUnknown):
        sam.call("ask_passkey", sealed=official.known.sealed, challenge=asked["challenge"])
    with pytest.raises(errors.PasskeyTooNew):
        activate(sam, official, asked, official.evidence(digest))
    begun = begin(sam, official.known)
    with pytest.raises(errors.PasskeyUnknown):
        confirm(sam, official, made(Authenticator(), begun))
    sam.clock.advance(DAY - 0.001)
    asked = challenge(sam, official.known)
    with pytest.raises(errors.PasskeyTooNew):
        activate(sam, official, asked, official.evidence(unb64(asked["digest"])))
    sam.clock.advance(0.001)
    asked, digest = ask(sam, official)
    assert activate(sam, official, asked, official.evidence(digest))


def test_cool_off_is_as_long_as_configured_and_may_be_nought(tmp_path: Path) -> None:
    sam = configured(tmp_path, cool_off_seconds=0)
    official = new_passkey(sam)
    asked, digest = ask(sam, official)
    assert activate(sam, official, asked, official.evidence(digest))


def test_sam_without_the_configuration_takes_no_passkey(sam: Sam, tmp_path: Path) -> None:
    official = with_passkey(sam)
    asked, digest = ask(sam, official)
    without = Sam(tmp_path, node=sam.node, clock=sam.clock, ra=sam.ra)
    with pytest.raises(errors.EvidenceInsufficient):
        activate(without, official, asked, official.evidence(digest))
    with pytest.raises(errors.PasskeyUnknown):
        begin(without, official.known)
    with pytest.raises(errors.PasskeyUnknown):
        ask(without, official)


def test_a_passkey_consents_only_where_the_challenge_has_a_number_of_the_sam(
    sam: Sam, official: Official
) -> None:
    with pytest.raises(errors.EvidenceInsufficient):
        sam.call(
            "change_pin",
            sealed=official.known.sealed,
            new_pin="73519482",
            factor_id=new_id(sam.clock.now_ms()),
            evidence=[*official.known.evidence("")[:1], official.evidence(b"x" * 32)],
        )


# What is enough


def test_two_passkeys_are_one_kind(sam: Sam, official: Official) -> None:
    second = with_passkey(sam, known=official.known)
    first = replace(official, known=second.known)
    asked, digest = ask(sam, second)
    with pytest.raises(errors.EvidenceInsufficient):
        activate(sam, second, asked, first.evidence(digest), second.evidence(digest))
    assert activate(sam, second, asked, first.evidence(digest))
    assert activate(sam, second, asked, second.evidence(digest))


def test_rule_of_the_record_can_ask_for_a_pin_beside_the_passkey(sam: Sam) -> None:
    known = ruled(sam, enrol(sam), [["pin", "passkey"], ["pin", "totp"]])
    official = with_passkey(sam, known=known)
    asked, digest = ask(sam, official)
    pin = {"factor_id": known.pin_id, "kind": "pin", "value": known.pin}
    with pytest.raises(errors.EvidenceInsufficient):
        activate(sam, official, asked, official.evidence(digest))
    with pytest.raises(errors.EvidenceInvalid) as error:
        activate(sam, official, asked, official.evidence(digest), pin | {"value": "00000000"})
    assert error.value.public == {"attempts_left": 2}
    assert activate(sam, official, asked, official.evidence(digest), pin)


def ruled(sam: Sam, known: Enrolled, rule: list[list[str]]) -> Enrolled:
    """By order of the registration authority: another rule of consent, and no factor more."""
    order = sam.order("bind_factor", known.credential_id, factors=[], if_version=1, consent=rule)
    answer = sam.call("bind_factor", sealed=known.sealed, order=order)
    return replace(known, sealed=cast("str", answer["sealed"]))


def test_record_whose_rule_names_no_passkey_takes_none_before_an_order_says_so(sam: Sam) -> None:
    known = ruled(sam, enrol(sam), [["pin", "totp"]])
    with pytest.raises(errors.PasskeyRefused) as error:
        begin(sam, known)
    assert error.value.public == {"reason": "by_rule"}
    order = sam.order("bind_factor", known.credential_id, factors=[], if_version=2)
    with pytest.raises(errors.OrderInvalid):
        sam.call("bind_factor", sealed=known.sealed, order=order)


# Letting one in


def confirm(sam: Sam, official: Official, passkey: dict[str, Any]) -> bytes:
    question = sam.call("confirm_passkey", sealed=official.known.sealed, passkey=passkey)
    return unb64(question["challenge"])


def test_no_passkey_is_registered_without_a_factor_that_was_there_before(sam: Sam) -> None:
    known = enrol(sam)
    begun = begin(sam, known)
    passkey = made(Authenticator(), begun)
    pin, code = known.evidence(sam.otp(known))
    for evidence in ([], [pin], [code]):
        with pytest.raises(errors.EvidenceInsufficient):
            sam.call("bind_passkey", sealed=known.sealed, passkey=passkey, evidence=evidence)
    with pytest.raises(errors.EvidenceInvalid):
        bind(sam, known, passkey, pin | {"value": "00000000"}, code)
    itself = Official(known, Authenticator(), begun["factor_id"])
    with pytest.raises(errors.EvidenceInsufficient):
        bind(sam, known, passkey, itself.evidence(unb64(begun["challenge"])))
    assert bind(sam, known, passkey, pin, code)


def test_a_passkey_lets_in_exactly_the_one_it_was_asked_about(sam: Sam, official: Official) -> None:
    begun = begin(sam, official.known)
    passkey, other = made(Authenticator(), begun), made(Authenticator(), begun)
    digest = confirm(sam, official, passkey)
    evidence = official.evidence(digest)
    with pytest.raises(errors.EvidenceInvalid, match="another challenge"):
        bind(sam, official.known, other, evidence)
    asked, _ = ask(sam, official)
    with pytest.raises(errors.EvidenceInvalid, match="another challenge"):
        activate(sam, official, asked, evidence)
    bound = bind(sam, official.known, passkey, evidence)
    assert bind(sam, official.known, passkey, evidence)["version"] == bound["version"]


def test_code_that_let_a_passkey_in_does_nothing_else(sam: Sam) -> None:
    known = enrol(sam)
    evidence = known.evidence(sam.otp(known))
    passkey = made(Authenticator(), begin(sam, known))
    bind(sam, known, passkey, *evidence)
    assert bind(sam, known, passkey, *evidence), "the same request again"
    with pytest.raises(errors.EvidenceReplayed):
        bind(sam, known, made(Authenticator(), begin(sam, known)), *evidence)
    asked = challenge(sam, known)
    with pytest.raises(errors.EvidenceReplayed):
        activate(sam, Official(known, Authenticator(), ""), asked, *evidence)


def test_token_is_for_one_credential_one_purpose_and_five_minutes(
    sam: Sam, official: Official
) -> None:
    begun = begin(sam, official.known)
    passkey = made(Authenticator(), begun)
    with pytest.raises(errors.ChallengeInvalid):
        bind(sam, enrol(sam), passkey)
    drop_token = begin(sam, official.known, "drop", factor_id=official.passkey_id)["token"]
    for token in (drop_token, b64(b"x" * 64)):
        with pytest.raises(errors.ChallengeInvalid):
            bind(sam, official.known, passkey | {"token": token})
    with pytest.raises(errors.ChallengeInvalid):
        drop(sam, official, begun["token"])
    sam.clock.advance(300)
    with pytest.raises(errors.ChallengeExpired):
        bind(sam, official.known, passkey)


@pytest.mark.parametrize(
    "changes",
    [
        {"factor_id": "x"},
        {"purpose": "grow"},
        {"purpose": 7},
        {"purpose": "drop"},
        {"factor_id": None},
    ],
)
def test_a_change_that_makes_no_sense_does_not_begin(sam: Sam, changes: dict[str, Any]) -> None:
    with pytest.raises((errors.InvalidInput, errors.PasskeyUnknown)):
        begin(sam, enrol(sam), **changes)


def test_id_that_is_or_was_a_factors_is_not_used_again(sam: Sam, official: Official) -> None:
    for used in (official.passkey_id, official.known.pin_id):
        with pytest.raises(errors.InvalidInput):
            begin(sam, official.known, factor_id=used)


def spoiled(device: Authenticator, begun: dict[str, Any], what: str) -> dict[str, Any]:
    passkey = made(device, begun)
    challenged = unb64(begun["challenge"])
    other: dict[str, Callable[[], dict[str, Any]]] = {
        "origin": lambda: made(device, begun, origin="https://attacker.example"),
        "framed": lambda: made(device, begun, crossOrigin=True),
        "challenge": lambda: passkey | device.make(b"x" * 32),
        "answer": lambda: passkey | {"client_data": b64(client_data("webauthn.get", challenged))},
        "site": lambda: made(replace(device, rp_id="attacker.example"), begun),
        "not verified": lambda: made(replace(device, flags=UP), begun),
        "not touched": lambda: made(replace(device, flags=UV), begun),
        "form": lambda: made(device, begun, form="fido-u2f"),
        "no key": lambda: passkey | {"attestation_object": b64(attestation(device.data()))},
        "rubbish": lambda: passkey | {"attestation_object": b64(b"\xff")},
        "statement": lambda: (
            passkey | {"attestation_object": b64(attestation(whole(device), statement={"x5c": []}))}
        ),
        "model": lambda: made(replace(device, aaguid=b"m" * 16), begun, form="packed"),
        "signature": lambda: passkey | {"attestation_object": b64(packed(device, b"x"))},
        "no signature": lambda: passkey | {"attestation_object": b64(packed(device, 7))},
    }
    return other[what]()


def attestation(data: bytes, form: str = "none", statement: Any = None) -> bytes:
    return cbor({"fmt": form, "attStmt": statement or {}, "authData": data})


def whole(device: Authenticator) -> bytes:
    return device.data(UP | UV | AT, device.attested())


def packed(device: Authenticator, signature: object) -> bytes:
    return attestation(whole(device), "packed", {"alg": -7, "sig": signature})


@pytest.mark.parametrize(
    "what",
    [
        *("origin", "framed", "challenge", "answer", "site", "not verified", "not touched"),
        *("form", "no key", "rubbish", "statement", "model", "signature", "no signature"),
    ],
)
def test_passkey_that_was_not_made_here_and_now_is_not_let_in(sam: Sam, what: str) -> None:
    known = enrol(sam)
    passkey = spoiled(Authenticator(), begin(sam, known), what)
    with pytest.raises(errors.PasskeyRefused):
        bind(sam, known, passkey)


def test_attestation_by_the_new_key_itself_is_checked_and_good(sam: Sam) -> None:
    known, device = enrol(sam), Authenticator(Ed25519PrivateKey.generate())
    assert bind(sam, known, made(device, begin(sam, known), form="packed"))


def test_passkey_that_can_be_copied_is_not_let_in_at_scal2_unless_configured(
    sam: Sam, tmp_path: Path
) -> None:
    device = Authenticator(flags=UP | UV | BE | BS)
    known = enrol(sam)
    with pytest.raises(errors.PasskeyRefused) as error:
        bind(sam, known, made(device, begin(sam, known)))
    assert error.value.public == {"reason": "synced"}
    lower = enrol(sam, scal="1")
    assert bind(sam, lower, made(device, begin(sam, lower)))["is_eligible"] is True
    (tmp_path / "other").mkdir()
    other = configured(tmp_path / "other", synced_at_scal2=True)
    official = with_passkey(other, device=device)
    asked, digest = ask(other, official)
    answer = activate(other, official, asked, official.evidence(digest))
    assert json.loads(unb64(answer["evidence_statement"]))[1][0][2]["synced"] is True


def test_there_are_at_most_eight_passkeys_and_none_twice(sam: Sam) -> None:
    official = new_passkey(sam)
    sam.clock.advance(60)
    with pytest.raises(errors.PasskeyRefused) as error:
        new_passkey(sam, official.known, official.device)
    assert error.value.public == {"reason": "known"}
    for _ in range(7):
        sam.clock.advance(60)
        official = new_passkey(sam, official.known)
    sam.clock.advance(60)
    with pytest.raises(errors.PasskeyRefused) as error:
        new_passkey(sam, official.known)
    assert error.value.public == {"reason": "too_many"}


def test_only_an_order_lets_one_in_where_the_configuration_says_so(tmp_path: Path) -> None:
    sam = configured(tmp_path, registration="order")
    known = enrol(sam)
    with pytest.raises(errors.PasskeyRefused) as error:
        begin(sam, known)
    assert error.value.public == {"reason": "by_order"}
    official = ordered(sam, known)
    asked, digest = ask(sam, official)
    assert activate(sam, official, asked, official.evidence(digest)), "an officer saw the person"


def ordered(sam: Sam, known: Enrolled, **changes: Any) -> Official:
    """A passkey by order of the registration authority, which asked its own challenge."""
    device, factor_id = Authenticator(), new_id(sam.clock.now_ms())
    asked = b"of the registration authority..."
    item = {"id": factor_id, "kind": "passkey", "challenge": b64(asked), **device.make(asked)}
    order = sam.order("bind_factor", known.credential_id, factors=[item | changes], if_version=1)
    bound = sam.call("bind_factor", sealed=known.sealed, order=order)
    return Official(replace(known, sealed=cast("str", bound["sealed"])), device, factor_id)


def test_order_for_a_passkey_is_checked_like_any_other_registration(
    sam: Sam, tmp_path: Path
) -> None:
    known = enrol(sam)
    with pytest.raises(errors.PasskeyRefused):
        ordered(sam, known, challenge=b64(b"another"))
    with pytest.raises(errors.OrderInvalid):
        ordered(sam, known, challenge="!")
    with pytest.raises(errors.InvalidInput):
        ordered(sam, known, attestation_object=None)
    without = Sam(tmp_path, node=sam.node, clock=sam.clock, ra=sam.ra)
    with pytest.raises(errors.PasskeyRefused):
        ordered(without, known)


# Evidence that is no evidence


@pytest.mark.parametrize(
    "changes",
    [
        {"credential_id": b64(bytes(1024))},
        {"credential_id": "!"},
        {"credential_id": None},
        {"authenticator_data": b64(bytes(2049))},
        {"client_data": b64(bytes(2049))},
        {"user_handle": b64(bytes(65))},
        {"user_handle": 7},
        {"more": 1},
    ],
)
def test_evidence_beyond_its_bounds_is_bad_input(
    sam: Sam, official: Official, changes: dict[str, Any]
) -> None:
    asked, digest = ask(sam, official)
    signature, rest = official.device.answer(digest)
    with pytest.raises(errors.InvalidInput):
        activate(sam, official, asked, official.wrap(signature, rest | changes))


def test_evidence_of_another_shape_is_bad_input(sam: Sam, official: Official) -> None:
    asked, digest = ask(sam, official)
    good = official.evidence(digest)
    for item in (
        {name: value for name, value in good.items() if name != "passkey"},
        good | {"passkey": None},
        good | {"passkey": []},
        good | {"value": b64(bytes(513))},
        good | {"value": "x" * 700},
        good | {"value": "!"},
        good | {"kind": "pin"},
        good | {"kind": ["passkey"]},
        good | {"sim": {}},
    ):
        with pytest.raises(errors.InvalidInput):
            activate(sam, official, asked, item)


@pytest.mark.parametrize(
    "changes",
    [
        {"transports": None},
        {"transports": ["usb"] * 7},
        {"client_data": b64(bytes(2049))},
        {"attestation_object": b64(bytes(16 * 1024 + 1))},
        {"attestation_object": 7},
    ],
)
def test_new_passkey_beyond_its_bounds_is_bad_input(sam: Sam, changes: dict[str, Any]) -> None:
    known = enrol(sam)
    passkey = made(Authenticator(), begin(sam, known)) | changes
    with pytest.raises(errors.InvalidInput):
        bind(sam, known, passkey)
    with pytest.raises(errors.InvalidInput):
        sam.call("bind_passkey", sealed=known.sealed, passkey=None, evidence=[])


def test_transports_of_a_later_day_are_passed_over(sam: Sam) -> None:
    known = enrol(sam)
    begun = begin(sam, known)
    passkey = made(Authenticator(), begun) | {"transports": ["telepathy", "usb", {}]}
    bound = bind(sam, known, passkey)
    (shown,) = begin(sam, replace(known, sealed=bound["sealed"]))["known"]
    assert shown["transports"] == ["usb"]


# Removed


def drop(sam: Sam, official: Official, token: str, *evidence: dict[str, Any]) -> dict[str, Any]:
    given = list(evidence) or official.known.evidence(sam.otp(official.known))
    return sam.call("drop_passkey", sealed=official.known.sealed, token=token, evidence=given)


def test_record_from_before_a_passkey_was_dropped_does_not_bring_it_back(sam: Sam) -> None:
    official = with_passkey(sam, device=Authenticator(counter=1, step=1))
    asked, digest = ask(sam, official)
    sad = activate(sam, official, asked, official.evidence(digest))["sad"]
    begun = begin(sam, official.known, "drop", factor_id=official.passkey_id)
    evidence = official.known.evidence(sam.otp(official.known))
    dropped = drop(sam, official, begun["token"], *evidence)
    assert drop(sam, official, begun["token"], *evidence)["version"] == dropped["version"]
    with pytest.raises(errors.PasskeyUnknown):
        ask(sam, official)
    with pytest.raises(errors.FactorRevoked):
        activate(sam, official, asked, official.evidence(digest))
    with pytest.raises(errors.SadInvalid):
        sign(sam, official.known, asked, sad)
    rest = replace(official.known, sealed=cast("str", dropped["sealed"]))
    with pytest.raises(errors.InvalidInput):
        begin(sam, rest, factor_id=official.passkey_id)
    assert list((sam.folder / "passkey-counters").glob("*/*")) == []


def test_passkey_is_dropped_by_the_factors_that_stay_and_by_no_other(
    sam: Sam, official: Official
) -> None:
    begun = begin(sam, official.known, "drop", factor_id=official.passkey_id)
    digest = unb64(begun["challenge"])
    with pytest.raises(errors.EvidenceInsufficient):
        drop(sam, official, begun["token"], official.evidence(digest))
    second = with_passkey(sam, known=official.known)
    first = replace(official, known=second.known)
    begun = begin(sam, second.known, "drop", factor_id=first.passkey_id)
    digest = unb64(begun["challenge"])
    stranger = Authenticator(credential_id=second.device.credential_id)
    with pytest.raises(errors.EvidenceInvalid):
        drop(sam, second, begun["token"], second.wrap(*stranger.answer(digest)))
    assert drop(sam, second, begun["token"], second.evidence(digest))


def test_code_that_lets_a_passkey_go_is_told_before_anything_is_removed(
    sam: Sam, official: Official
) -> None:
    begun = begin(sam, official.known, "drop", factor_id=official.passkey_id)
    evidence = official.known.evidence(sam.otp(official.known))
    given = {"sealed": official.known.sealed, "token": begun["token"], "evidence": evidence}
    told = sam.call("check_drop", **given)
    step = sam.clock.now_ms() // 30_000
    assert told == {"totp_factor_id": official.known.totp_id, "totp_step": step}
    assert official.passkey_id not in sam.revoked
    assert sam.call("check_drop", **given) == told, "the same question again"
    dropped = drop(sam, official, begun["token"], *evidence)
    assert {name: dropped[name] for name in told} == told
    assert official.passkey_id in sam.revoked


def test_nothing_is_told_of_a_code_that_lets_no_passkey_go(sam: Sam, official: Official) -> None:
    begun = begin(sam, official.known, "drop", factor_id=official.passkey_id)
    evidence = official.known.evidence("000000")
    with pytest.raises(errors.EvidenceInvalid):
        sam.call(
            "check_drop",
            sealed=official.known.sealed,
            token=begun["token"],
            evidence=evidence,
        )


def test_order_drops_a_passkey_like_any_factor(sam: Sam, official: Official) -> None:
    order = sam.order("drop_factor", official.known.credential_id, factor_id=official.passkey_id)
    sam.call("drop_factor", sealed=official.known.sealed, order=order)
    with pytest.raises(errors.PasskeyUnknown):
        ask(sam, official)


# Configuration


@pytest.mark.parametrize(
    "origin",
    [
        "https://attacker.example",
        "https://ky-so.example.attacker.example",
        "https://xky-so.example",
        "http://ky-so.example",
        "https://ky-so.example/",
        "https://KY-SO.example",
        "android:apk-key-hash:x",
    ],
)
def test_passkeys_are_asked_only_from_origins_of_the_site(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        PasskeyConfig(rp_id=RP_ID, origins=(ORIGIN, origin))


def test_site_may_have_a_port_a_host_below_and_be_local() -> None:
    origins = (ORIGIN, "https://phone.ky-so.example:8443")
    assert PasskeyConfig(rp_id=RP_ID, origins=origins).cool_off_seconds == DAY
    assert PasskeyConfig(rp_id="localhost", origins=("http://localhost:8000",)).origins
