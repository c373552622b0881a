"""Rules of consent that were replaced: no older record brings one back, whatever became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from remote_signing import errors
from tests.support.verbs import Enrolled, Sam, activate, challenge, enrol, sign

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    return Sam(tmp_path)


@pytest.fixture
def lax(sam: Sam) -> Enrolled:
    """An official whose first record takes the PIN alone."""
    return enrol(sam, scal="1")


def ruled(sam: Sam, official: Enrolled, version: int, *rule: list[str], **members: object) -> str:
    """The record after an order about the rule of consent."""
    order = sam.order(
        "bind_factor",
        official.credential_id,
        **{"factors": [], "if_version": version, "consent": list(rule)} | members,
    )
    sam.clock.advance(1)
    return cast("str", sam.call("bind_factor", sealed=official.sealed, order=order)["sealed"])


def strict(sam: Sam, official: Enrolled, version: int = 1) -> Enrolled:
    return replace(official, sealed=ruled(sam, official, version, ["pin", "totp"]))


def by_pin(sam: Sam, official: Enrolled, asked: dict[str, object] | None = None) -> str:
    """A SAD for the PIN alone."""
    token = (asked or challenge(sam, official))["challenge"]
    evidence = official.evidence("")[:1]
    answer = sam.call("activate", sealed=official.sealed, challenge=token, evidence=evidence)
    return cast("str", answer["sad"])


def by_both(sam: Sam, official: Enrolled) -> str:
    sam.clock.advance(30)
    return activate(sam, official, challenge(sam, official))


def test_record_from_before_a_stricter_rule_was_used_is_over(sam: Sam, lax: Enrolled) -> None:
    now = strict(sam, lax)
    with pytest.raises(errors.EvidenceInsufficient):
        by_pin(sam, now)
    # Until it is used the new record may have been lost before it was stored.
    assert by_pin(sam, lax)
    assert by_both(sam, now)
    for use in (by_pin, by_both):
        with pytest.raises(errors.RecordRevoked):
            use(sam, lax)
    number = sam.revoked.number
    assert by_both(sam, now)
    assert sam.revoked.number == number, "the list is written once"


def test_stricter_rule_that_was_stored_ends_the_older_ones_before_anybody_uses_it(
    sam: Sam, lax: Enrolled
) -> None:
    now = strict(sam, lax)
    numbers = [sam.call("retire_pin", sealed=now.sealed)["number"] for _ in range(2)]
    assert numbers == [1, 1]
    with pytest.raises(errors.RecordRevoked):
        by_pin(sam, lax)
    assert by_both(sam, now)


def test_wrong_evidence_ends_no_older_rule(sam: Sam, lax: Enrolled) -> None:
    now = strict(sam, lax)
    with pytest.raises(errors.EvidenceInvalid):
        by_both(sam, replace(now, pin="00000000"))
    assert by_pin(sam, lax)


def test_what_was_made_of_a_record_keeps_its_older_rule_however_high_its_version(
    sam: Sam, lax: Enrolled
) -> None:
    now, beside = strict(sam, lax), lax
    for _ in range(3):
        order = sam.order("unlock", lax.credential_id)
        answer = sam.call("unlock", sealed=beside.sealed, order=order)
        beside = replace(beside, sealed=cast("str", answer["sealed"]))
    other = replace(lax, sealed=ruled(sam, lax, 1, ["pin"], ["totp"]))
    last = strict(sam, now, 2)
    assert by_pin(sam, beside)
    assert by_pin(sam, other)
    assert by_both(sam, last)
    for record in (beside, other, now):
        with pytest.raises(errors.RecordRevoked):
            by_both(sam, record)


def test_consent_by_a_rule_that_was_replaced_dies_with_it(sam: Sam, lax: Enrolled) -> None:
    asked = challenge(sam, lax)
    sad = by_pin(sam, lax, asked)
    assert sign(sam, lax, asked, sad)
    now = strict(sam, lax)
    assert by_both(sam, now)
    for record in (lax, now):
        with pytest.raises(errors.SadInvalid):
            sign(sam, record, asked, sad)


def test_record_from_a_backup_is_good_again_once_its_rule_is_ordered_anew(
    sam: Sam, lax: Enrolled
) -> None:
    assert by_both(sam, strict(sam, lax))
    again = strict(sam, lax)
    assert by_both(sam, again)


def test_earlier_order_takes_no_later_rules_place(sam: Sam, lax: Enrolled) -> None:
    issued = sam.clock.now_ms()
    sam.clock.advance(60)
    now = strict(sam, lax)
    for early in (issued, sam.clock.now_ms() - 1000):
        with pytest.raises(errors.OrderInvalid, match="a later order"):
            ruled(sam, now, 2, ["pin"], issued_at_ms=early, expires_at_ms=early + 600_000)
    assert by_pin(sam, replace(now, sealed=ruled(sam, now, 2, ["pin"])))
