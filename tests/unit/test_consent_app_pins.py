"""Choosing and changing the signing PIN, as a visitor."""

from __future__ import annotations

import pytest

from tests.support.consent_visitor import HOME, Visitor
from tests.support.fake_coming_in import ACTIVATION_CODE, HELD, held

NEW = "73519482"
FIRST, ANOTHER = f"/pins/{HELD}/choose", f"/pins/{HELD}/change"


@pytest.fixture
def visitor() -> Visitor:
    visitor = Visitor().signed_in()
    visitor.rssp.coming_in.credentials = [held(may_choose_pin=True)]
    return visitor


def typed(path: str, **changes: str) -> dict[str, str]:
    known = {"code": ACTIVATION_CODE} if path == FIRST else {"pin": "24681357"}
    return {**known, "new_pin": NEW, "again": NEW, "otp": "123 456", **changes}


def test_a_new_official_is_led_to_the_pin_and_back_to_the_other_steps(visitor: Visitor) -> None:
    assert FIRST in visitor.get("/welcome").text
    answer = visitor.send(visitor.get(FIRST), FIRST, **typed(FIRST))
    assert answer.headers["location"] == "/welcome"
    assert visitor.rssp.coming_in.chosen == [
        {"new_pin": NEW, "code": ACTIVATION_CODE, "otp": "123456"}
    ]
    welcome = visitor.get("/welcome").text
    assert "Từ bây giờ đây là mã PIN ký số của bạn" in welcome
    assert FIRST not in welcome


def test_opening_an_account_takes_four_steps(visitor: Visitor) -> None:
    # The password is chosen on the page before, with the code.
    assert visitor.get("/welcome").text.count('<li class="card') == 4


def test_the_pin_is_changed_with_the_one_there_is(visitor: Visitor) -> None:
    assert ANOTHER in visitor.get("/devices").text
    answer = visitor.send(visitor.get(ANOTHER), ANOTHER, **typed(ANOTHER))
    assert answer.headers["location"] == "/devices"
    assert visitor.rssp.coming_in.chosen == [{"new_pin": NEW, "pin": "24681357", "otp": "123456"}]


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        ((403, "pin_refused", {"reason": "date"}), "giống ngày tháng"),
        ((403, "pin_refused", {"reason": "new"}), "quá nhiều người dùng"),
        ((403, "evidence_invalid", {"attempts_left": 2}), "2 lần thử"),
        ((403, "credential_locked", {}), "mở khóa"),
        ((404, "pin_not_offered", {}), "cấp mã mới"),
        ((409, "conflict", {}), "vừa được thay đổi"),
        ((503, "temporarily_unavailable", {}), "Mã PIN chưa thay đổi"),
        ((500, "server_error", {}), "một trong hai mã PIN"),
    ],
)
def test_what_went_wrong_is_told_on_the_same_page_without_what_was_typed(
    visitor: Visitor, refused: tuple[int, str, dict[str, object]], words: str
) -> None:
    visitor.rssp.coming_in.pin_refused = refused
    answer = visitor.send(visitor.get(FIRST), FIRST, **typed(FIRST))
    assert answer.status_code == 422
    assert words in answer.text
    assert ACTIVATION_CODE in answer.text, "so that it need not be typed again"
    assert NEW not in answer.text
    assert "123456" not in answer.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"again": "73519483"}, "không giống nhau"),
        ({"otp": "12345"}, "điền đủ"),
        ({"code": " "}, "điền đủ"),
        ({"new_pin": "", "again": ""}, "điền đủ"),
    ],
)
def test_what_is_not_whole_is_sent_to_nobody(
    visitor: Visitor, changes: dict[str, str], words: str
) -> None:
    answer = visitor.send(visitor.get(FIRST), FIRST, **typed(FIRST, **changes))
    assert (answer.status_code, words in answer.text) == (422, True)
    assert visitor.rssp.coming_in.chosen == []


def test_a_refusal_that_nobody_foresaw_is_a_page_of_its_own(visitor: Visitor) -> None:
    visitor.rssp.coming_in.pin_refused = (403, "access_denied", {})
    assert visitor.send(visitor.get(ANOTHER), ANOTHER, **typed(ANOTHER)).status_code == 500


def test_there_is_no_pin_page_of_what_the_signer_does_not_have(visitor: Visitor) -> None:
    assert visitor.get(f"/pins/{'0' * 26}/change").status_code == 404
    visitor.rssp.coming_in.credentials = [held(has_pin=False)]
    assert visitor.get(ANOTHER).status_code == 404


def test_the_pin_pages_need_a_session_and_lead_back() -> None:
    answer = Visitor().get(ANOTHER)
    assert answer.headers["location"] == f"/sign-in?next={ANOTHER.replace('/', '%2F')}"
    assert HOME
