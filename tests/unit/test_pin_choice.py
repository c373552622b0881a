"""A PIN chosen inside the SAM: by the factors there are, or by an order and its code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from remote_signing import errors
from remote_signing.identifiers import new_id
from remote_signing.sam import pin_rules
from remote_signing.sap_pins import code_digest
from tests.support.registration import TestAuthority
from tests.support.verbs import Enrolled, Sam, activate, challenge, enrol, sign

if TYPE_CHECKING:
    from pathlib import Path

NEW, OTHER, CODE = "73519482", "84620593", "7K4QZ8M2XW9RT5VB3NHC"
DAY_MS = 86_400_000


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    return Sam(tmp_path)


@pytest.fixture
def official(sam: Sam) -> Enrolled:
    return enrol(sam)


def change(sam: Sam, official: Enrolled, **changes: object) -> dict[str, object]:
    arguments = {
        "sealed": official.sealed,
        "new_pin": NEW,
        "factor_id": new_id(sam.clock.now_ms()),
        "evidence": official.evidence(sam.otp(official)),
        **changes,
    }
    return sam.call("change_pin", **arguments)


def order(sam: Sam, official: Enrolled, **changes: object) -> object:
    now = sam.clock.now_ms()
    members = {
        "replaces": official.pin_id,
        "factor_id": new_id(now),
        "code_sha256": code_digest(official.credential_id, CODE),
        "expires_at_ms": now + 3 * DAY_MS,
        **changes,
    }
    return sam.order("choose_pin", official.credential_id, **members)


def choose(sam: Sam, official: Enrolled, **changes: object) -> dict[str, object]:
    arguments: dict[str, object] = {
        "sealed": official.sealed,
        "order": order(sam, official) if "order" not in changes else None,
        "new_pin": NEW,
        **changes,
    }
    if "evidence" not in arguments:
        arguments["evidence"] = official.evidence(sam.otp(official), CODE)
    return sam.call("choose_pin", **arguments)


def stored(official: Enrolled, answer: dict[str, object], pin: str = NEW) -> Enrolled:
    (pin_id,) = cast("list[str]", answer["factor_ids"])
    return replace(official, sealed=cast("str", answer["sealed"]), pin=pin, pin_id=pin_id)


def consents(sam: Sam, official: Enrolled) -> bool:
    sam.clock.advance(30)
    return bool(activate(sam, official, challenge(sam, official)))


def test_until_it_is_retired_the_old_pin_is_good_so_a_lost_record_costs_nothing(
    sam: Sam, official: Enrolled
) -> None:
    change(sam, official)
    assert consents(sam, official)


def test_a_retired_pin_is_gone_for_ever_and_retiring_may_be_repeated(
    sam: Sam, official: Enrolled
) -> None:
    changed = stored(official, change(sam, official))
    numbers = [sam.call("retire_pin", sealed=changed.sealed)["number"] for _ in range(2)]
    assert numbers == [1, 1]
    with pytest.raises(errors.FactorRevoked):
        consents(sam, official)
    assert consents(sam, changed)


def test_the_first_use_of_a_new_pin_retires_the_old_one_whatever_the_rssp_does(
    sam: Sam, official: Enrolled
) -> None:
    changed = stored(official, change(sam, official))
    assert consents(sam, changed)
    with pytest.raises(errors.FactorRevoked):
        consents(sam, official)
    number = sam.revoked.number
    assert consents(sam, changed)
    assert sam.revoked.number == number, "the list is written once"


def test_a_wrong_new_pin_retires_nothing(sam: Sam, official: Enrolled) -> None:
    changed = stored(official, change(sam, official))
    with pytest.raises(errors.EvidenceInvalid):
        consents(sam, replace(changed, pin=OTHER))
    assert consents(sam, official)


def test_consent_that_was_given_with_the_old_pin_dies_with_it(sam: Sam, official: Enrolled) -> None:
    asked = challenge(sam, official)
    sad = activate(sam, official, asked)
    sam.clock.advance(30)
    changed = stored(official, change(sam, official))
    assert sign(sam, official, asked, sad)
    sam.call("retire_pin", sealed=changed.sealed)
    with pytest.raises(errors.SadInvalid):
        sign(sam, changed, asked, sad)


def test_a_record_that_replaced_nothing_retires_nothing(sam: Sam, official: Enrolled) -> None:
    assert sam.call("retire_pin", sealed=official.sealed) == {"number": 0}
    assert consents(sam, official)


def test_changes_one_after_another_retire_all_that_came_before(
    sam: Sam, official: Enrolled
) -> None:
    first = stored(official, change(sam, official))
    sam.clock.advance(30)
    # Chosen by order: nobody has typed the first new PIN, so nothing has retired what it replaced.
    answer = choose(sam, first, new_pin=OTHER)
    second = stored(official, answer, OTHER)
    sam.call("retire_pin", sealed=second.sealed)
    for old in (official, first):
        assert old.pin_id in sam.revoked
        with pytest.raises(errors.FactorRevoked):
            consents(sam, old)
    assert consents(sam, second)


def test_a_change_may_be_sent_again_because_its_answer_was_lost(
    sam: Sam, official: Enrolled
) -> None:
    factor_id, evidence = new_id(sam.clock.now_ms()), official.evidence(sam.otp(official))
    change(sam, official, factor_id=factor_id, evidence=evidence)
    answer = change(sam, official, factor_id=factor_id, evidence=evidence)
    assert answer["version"] == 2
    assert consents(sam, stored(official, answer))


@pytest.mark.parametrize("name", ["new_pin", "factor_id"])
def test_what_was_typed_for_one_change_is_used_up_for_any_other(
    sam: Sam, official: Enrolled, name: str
) -> None:
    evidence = official.evidence(sam.otp(official))
    change(sam, official, evidence=evidence)
    other = {"new_pin": OTHER, "factor_id": new_id(sam.clock.now_ms())}
    with pytest.raises(errors.EvidenceReplayed):
        change(sam, official, evidence=evidence, **{name: other[name]})


def test_a_change_needs_the_old_pin_the_code_and_a_fresh_id(sam: Sam, official: Enrolled) -> None:
    with pytest.raises(errors.EvidenceInvalid):
        change(sam, official, evidence=official.evidence("000000"))
    with pytest.raises(errors.EvidenceInvalid):
        change(sam, official, evidence=official.evidence(sam.otp(official), "00000000"))
    for few in (official.evidence(sam.otp(official))[1:], []):
        with pytest.raises(errors.EvidenceInsufficient):
            change(sam, official, evidence=few)
    for factor_id in ("x", official.pin_id, None):
        with pytest.raises(errors.InvalidInput):
            change(sam, official, factor_id=factor_id)


def test_guesses_at_the_old_pin_lock_the_credential(sam: Sam, official: Enrolled) -> None:
    for number in range(3):
        guess = official.evidence(sam.otp(official), f"0000000{number}")
        with pytest.raises(errors.EvidenceInvalid):
            change(sam, official, evidence=guess)
    with pytest.raises(errors.CredentialLocked):
        change(sam, official)


def test_the_same_pin_again_is_no_change(sam: Sam, official: Enrolled) -> None:
    changed = stored(official, change(sam, official))
    sam.clock.advance(30)
    with pytest.raises(errors.PinRefused) as refusal:
        change(sam, changed)
    assert refusal.value.public == {"reason": "same"}


def test_a_refused_pin_is_in_no_message(sam: Sam, official: Enrolled) -> None:
    with pytest.raises(errors.PinRefused) as refusal:
        change(sam, official, new_pin="123123")
    assert "123123" not in f"{refusal.value!r} {refusal.value} {refusal.value.public}"


# The first PIN, by order and code


def test_an_official_chooses_the_first_pin_by_order_and_code(sam: Sam, official: Enrolled) -> None:
    chosen = stored(official, choose(sam, official))
    sam.call("retire_pin", sealed=chosen.sealed)
    assert consents(sam, chosen)
    with pytest.raises(errors.FactorRevoked):
        consents(sam, official)


def test_an_order_waits_for_days_but_not_for_weeks(sam: Sam, official: Enrolled) -> None:
    waiting = order(sam, official)
    sam.clock.advance(2 * 86_400)
    assert choose(sam, official, order=waiting)
    sam.clock.advance(2 * 86_400)
    with pytest.raises(errors.OrderExpired):
        choose(sam, official, order=waiting)
    late = order(sam, official, expires_at_ms=sam.clock.now_ms() + 15 * DAY_MS)
    with pytest.raises(errors.OrderInvalid):
        choose(sam, official, order=late)


def test_other_orders_do_not_wait(sam: Sam, official: Enrolled) -> None:
    long = sam.order("unlock", official.credential_id, expires_at_ms=sam.clock.now_ms() + DAY_MS)
    with pytest.raises(errors.OrderInvalid):
        sam.call("unlock", order=long)


def test_without_the_code_an_order_chooses_no_pin(sam: Sam, official: Enrolled) -> None:
    otp = sam.otp(official)
    for code in (official.pin, "7K4QZ8M2XW9RT5VB3NHD", code_digest(official.credential_id, CODE)):
        with pytest.raises(errors.EvidenceInvalid):
            choose(sam, official, evidence=official.evidence(otp, code))
    with pytest.raises(errors.CredentialLocked):
        choose(sam, official)


def test_a_code_chooses_no_pin_without_what_the_rule_asks_for_beside_it(
    sam: Sam, official: Enrolled
) -> None:
    with pytest.raises(errors.EvidenceInsufficient):
        choose(sam, official, evidence=official.evidence("", CODE)[:1])
    with pytest.raises(errors.EvidenceInsufficient):
        choose(sam, official, evidence=official.evidence(sam.otp(official))[1:])
    with pytest.raises(errors.EvidenceInvalid):
        choose(sam, official, evidence=official.evidence("000000", CODE))
    seal = enrol(sam, scal="1", kinds=("pin",))
    assert choose(sam, seal, evidence=seal.evidence("", CODE)[:1])["version"] == 2


def test_nobody_but_the_registration_authority_lets_a_pin_be_chosen(
    sam: Sam, official: Enrolled
) -> None:
    forged = TestAuthority().order("choose_pin", official.credential_id, sam.clock.now_ms())
    other = order(sam, enrol(sam))
    bind = sam.order("bind_factor", official.credential_id, factors=[])
    for wrong in (forged, other, bind, None):
        with pytest.raises(errors.OrderInvalid):
            choose(sam, official, order=wrong)


def test_an_order_that_was_followed_is_worth_nothing_also_for_an_older_record(
    sam: Sam, official: Enrolled
) -> None:
    waiting = order(sam, official)
    chosen = stored(official, choose(sam, official, order=waiting))
    sam.clock.advance(30)
    # Lost before it was stored: the same order gives another record, and only one is stored.
    assert choose(sam, official, order=waiting, new_pin=OTHER)
    sam.call("retire_pin", sealed=chosen.sealed)
    sam.clock.advance(30)
    for record in (official, chosen):
        with pytest.raises(errors.OrderInvalid):
            choose(sam, record, order=waiting, new_pin=OTHER)


def test_an_order_is_about_a_pin_that_is_there_and_an_id_that_is_new(
    sam: Sam, official: Enrolled
) -> None:
    for replaces in (official.totp_id, new_id(sam.clock.now_ms())):
        with pytest.raises(errors.OrderInvalid):
            choose(sam, official, order=order(sam, official, replaces=replaces))
    for factor_id in (official.totp_id, "x"):
        with pytest.raises(errors.InvalidInput):
            choose(sam, official, order=order(sam, official, factor_id=factor_id))


# The rules


GUESSED = {
    "shape": ("", "12345", "1" * 13, "12345a", "١٢٣٤٥٦"),
    "run": ("111111", "123456", "98765432", "890123", "210987", "555557"),
    "repetition": ("121212", "123123", "13241324", "112211"),
    "date": ("190580", "310599", "800519", "051980", "19051980", "19800519", "05191980", "290200"),
    "common": ("147258", "159753", "789456", "12344321"),
}


@pytest.mark.parametrize("reason", GUESSED)
def test_a_pin_that_is_guessed_early_is_refused_before_anything_is_used_up(
    sam: Sam, official: Enrolled, reason: str
) -> None:
    otp = sam.otp(official)
    for pin in GUESSED[reason]:
        with pytest.raises(errors.PinRefused) as refusal:
            change(sam, official, new_pin=pin, evidence=official.evidence(otp))
        assert refusal.value.public == {"reason": reason}, pin
    assert change(sam, official, evidence=official.evidence(otp))


@pytest.mark.parametrize(
    "pin", ["739158", NEW, "491852637", "73915840", "99412758", "270384615094"]
)
def test_a_pin_that_is_none_of_these_is_taken(pin: str) -> None:
    pin_rules.check(pin)


def test_one_six_digit_number_in_eleven_is_refused() -> None:
    refused = 0
    for number in range(0, 1_000_000, 101):
        try:
            pin_rules.check(f"{number:06d}")
        except errors.PinRefused:
            refused += 1
    assert 0.09 < refused / 9901 < 0.14


def test_answers_name_the_code_that_was_used_so_that_no_other_host_takes_it(
    sam: Sam, official: Enrolled
) -> None:
    step = sam.clock.now_ms() // 30_000
    changed = change(sam, official)
    assert (changed["totp_factor_id"], changed["totp_step"]) == (official.totp_id, step)
    sam.clock.advance(30)
    chosen = choose(sam, official)
    assert (chosen["totp_factor_id"], chosen["totp_step"]) == (official.totp_id, step + 1)
