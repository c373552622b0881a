from __future__ import annotations

import pytest

from sim_adapter.causes import WORDS, Ending, say
from sim_adapter.mss import codes
from sim_adapter.mss.codes import CODES, meaning_of

# The table of TS 102 204 / 102 207 with the numbers of FiCom, Swisscom and Methics.
ALL = (
    *range(100, 110),
    *(208, 209, *range(400, 409), 422, 423, 424, 425, 450, *range(500, 506), *range(600, 604)),
    *(701, 702, 703, 710, 720, 750, 760, 770, 780, 900),
)


def test_every_code_of_the_standard_is_in_the_table() -> None:
    assert tuple(sorted(CODES)) == ALL


def test_only_500_and_502_are_a_signature() -> None:
    assert [number for number in ALL if meaning_of(number).meaning == "SIGNED"] == [500, 502]


def test_a_revoked_or_wrong_signature_is_a_failure() -> None:
    assert {meaning_of(number).meaning for number in (501, 503, 505)} == {"FAILED"}


def test_what_is_asked_again() -> None:
    assert [number for number in ALL if meaning_of(number).meaning == "PENDING"] == [100, 400, 504]


def test_what_a_person_did_is_told_from_what_went_wrong() -> None:
    assert [number for number in ALL if meaning_of(number).meaning == "REFUSED"] == [401]
    assert [number for number in ALL if meaning_of(number).meaning == "EXPIRED"] == [208, 720]


@pytest.mark.parametrize("number", [0, 99, 110, 407_1, 499, 506, 999])
def test_an_unknown_code_is_a_failure(number: int) -> None:
    ending = Ending.of_code(number)
    assert (ending.state, ending.code, ending.cause) == ("FAILED", number, "operator_code_unknown")


@pytest.mark.parametrize("number", ALL)
def test_every_failure_has_words_in_both_languages(number: int) -> None:
    row = meaning_of(number)
    if row.meaning in {"REFUSED", "EXPIRED", "FAILED"}:
        assert say(row.cause, "vi")
        assert say(row.cause, "en")
        assert say(row.cause, "vi") != say(row.cause, "en")


def test_words_are_vietnamese_unless_english_is_asked_for() -> None:
    assert say("cancelled", "vi") == WORDS["cancelled"].vi
    assert say("cancelled", "en") == WORDS["cancelled"].en


def test_an_ending_of_our_own_has_no_number() -> None:
    assert Ending.own("operator_slow") == Ending("FAILED", None, "OPERATOR_SLOW", "operator_slow")


def test_named_numbers_are_rows() -> None:
    named = {name: value for name, value in vars(codes).items() if type(value) is int}
    assert named
    # PIN_BLOCKED is PIN_NR_BLOCKED in the standard, where a PIN has a number.
    assert {CODES[value].name.replace("_NR", "") for value in named.values()} == set(named)
