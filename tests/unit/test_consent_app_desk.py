"""Requests that came by themselves, history, sessions, the lost phone, as a visitor sees them."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from tests.support.consent_api import (
    CAME_BY_ITSELF,
    CODE,
    OTHER_REQUEST,
    OTP,
    PIN,
    REQUEST,
)
from tests.support.consent_visitor import HOME, Visitor

if TYPE_CHECKING:
    import httpx

HERE = f"/requests/{REQUEST}"
MATCH, APPROVE, REFUSE = f"{HERE}/match", f"{HERE}/approve", f"{HERE}/refuse"


@pytest.fixture
def visitor() -> Visitor:
    """Signed in; a request came by itself."""
    found = Visitor().signed_in()
    found.rssp.add_request(**CAME_BY_ITSELF)
    found.rssp.portal = None  # none waits for this browser
    return found


def pick(visitor: Visitor, code: str) -> httpx.Response:
    return visitor.send(visitor.get(HERE), MATCH, code=code)


# ----------------------------------------------------------------------------------------- list


def test_the_list_shows_the_deadline_first_then_what_and_from_whom(visitor: Visitor) -> None:
    text = visitor.get("/").text
    line = text[text.index(f'href="{HERE}"') :]
    places = [
        line.index(part)
        for part in (
            "Trả lời trước",
            "Thượng khẩn",
            "1234/QĐ-SNV",
            "Văn phòng UBND",
            "Cổng một cửa",
        )
    ]
    assert places == sorted(places)
    assert CODE not in line.partition("</a>")[0]


def test_the_count_is_in_the_title_and_the_filter_keeps_what_was_typed(visitor: Visitor) -> None:
    visitor.rssp.add_request(OTHER_REQUEST, description="Tờ trình")
    page = visitor.get("/", params={"q": "Tờ trình", "urgency": "", "portal": ""})
    assert "(2)" in page.text.partition("</title>")[0]
    assert HERE not in page.text
    assert 'value="Tờ trình"' in page.text
    assert "Không tìm thấy" in visitor.get("/", params={"q": "x"}).text


def test_the_next_page_keeps_the_filter(visitor: Visitor) -> None:
    visitor.rssp.after = "17.abc"
    page = visitor.get("/", params={"q": "bổ nhiệm"})
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    assert (hidden["q"], hidden["after"]) == ("bổ nhiệm", "17.abc")


def test_an_empty_list_has_no_filter() -> None:
    page = Visitor().signed_in().get("/")
    assert "Không có yêu cầu" in page.text
    assert 'role="search"' not in page.text


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x>', "a\u202eb", "x" * 300]
)
def test_a_hostile_text_of_a_portal_is_only_text(visitor: Visitor, text: str) -> None:
    details = CAME_BY_ITSELF["details"] | {
        "label": text,
        "document_name": text,
        "reference": text,
        "agency_names": [text],
    }
    changes = CAME_BY_ITSELF | {"details": details}
    visitor.rssp.add_request(client_name=text, description=text, **changes)
    visitor.rssp.add_past(details=details, client_name=text)
    for path in ("/", HERE, "/history", f"/history/{REQUEST}"):
        page = visitor.get(path).text
        assert "<script>" not in page
        assert "<img src=x" not in page
        assert "\u202e" not in page


# ----------------------------------------------------------------------------------- code match


def test_nothing_can_be_approved_before_a_code_is_picked(visitor: Visitor) -> None:
    page = visitor.get(HERE).text
    assert page.count(f'action="{MATCH}"') == 3
    assert f'action="{APPROVE}"' not in page
    after = visitor.follow(pick(visitor, CODE)).text
    assert f'action="{APPROVE}"' in after
    assert MATCH not in after


def test_a_wrong_code_warns_and_the_request_is_over(visitor: Visitor) -> None:
    page = visitor.follow(pick(visitor, "0357")).text
    assert "Đó không phải mã của cổng" in page
    assert "2 lần chọn sai mã" in page
    assert f'action="{APPROVE}"' not in page
    assert "Đã từ chối" in page


def test_the_back_button_and_a_second_tab_lead_to_one_outcome(visitor: Visitor) -> None:
    first, second = visitor.get(HERE), visitor.get(HERE)
    visitor.send(first, MATCH, code="0357")
    # The other tab still shows the codes; its answer finds the request refused.
    page = visitor.follow(visitor.send(second, MATCH, code="0357")).text
    assert "Đã từ chối" in page
    assert visitor.get(MATCH).headers["location"] == HERE


def test_a_form_from_another_site_picks_no_code(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    fields = {"code": CODE, "form_token": "x"}
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert visitor.ask("POST", MATCH, data=fields, headers=headers).status_code == 403
    headers = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}
    assert visitor.ask("POST", MATCH, data=fields, headers=headers).status_code == 403
    assert visitor.rssp.count("POST", "/match") == 0
    assert page.status_code == 200


def test_a_double_tap_on_approve_is_one_approval(visitor: Visitor) -> None:
    page = visitor.follow(pick(visitor, CODE))
    fields = {"pin": PIN, "otp": OTP}
    answers = visitor.together(*(visitor.sent(page, APPROVE, **fields) for _ in range(2)))
    assert {answer.headers["location"].partition("#")[0] for answer in answers} != {"/"}
    assert visitor.rssp.count("POST", "/approve") == 1


# --------------------------------------------------------------------------------------- refuse


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, None),
        ({"kind": "refused", "reason": "", "text": ""}, None),
        (
            {"kind": "refused", "reason": "not_requested", "text": ""},
            {"kind": "refused", "reason": "not_requested", "text": None},
        ),
        (
            {"kind": "refused", "reason": "", "text": " Sai  điều 2 "},
            {"kind": "refused", "reason": "other", "text": "Sai điều 2"},
        ),
        (
            {"kind": "returned", "reason": "", "text": ""},
            {"kind": "returned", "reason": "other", "text": None},
        ),
        ({"kind": "x", "reason": "content"}, None),
    ],
    ids=str,
)
def test_how_and_why_goes_to_the_rssp(
    visitor: Visitor, fields: dict[str, str], sent: dict[str, str] | None
) -> None:
    visitor.send(visitor.get(HERE), REFUSE, **fields)
    assert visitor.rssp.denials == [sent]


def test_a_returned_request_says_so_with_its_reason(visitor: Visitor) -> None:
    fields = {"kind": "returned", "reason": "form", "text": "Thiếu dấu"}
    page = visitor.follow(visitor.send(visitor.get(HERE), REFUSE, **fields)).text
    assert "Đã trả lại" in page
    assert "Cần sửa thể thức: <bdi>Thiếu dấu</bdi>" in page


# ------------------------------------------------------------------------- history and account


def test_a_receipt_names_factor_portal_time_and_lines_on_record(visitor: Visitor) -> None:
    visitor.rssp.add_past()
    page = visitor.get(f"/history/{REQUEST}").text
    for part in (
        *("Mã PIN ký số và mã xác thực một lần", "Cổng một cửa", "Số 1202", "02" * 32, "Đã ký"),
        *("1234/QĐ-SNV", "giờ Việt Nam"),
    ):
        assert part in page
    assert visitor.get(f"/history/{OTHER_REQUEST}").status_code == 404


@pytest.mark.parametrize(
    ("kind", "words", "others"),
    [("returned", "Đã trả lại", "Đã từ chối"), ("refused", "Đã từ chối", "Đã trả lại")],
)
def test_a_receipt_says_the_same_above_and_in_its_records(
    visitor: Visitor, kind: str, words: str, others: str
) -> None:
    denial = {"kind": kind, "reason": "form", "text": None}
    record = {"kind": "consent.denied", "at": "2026-11-26T08:00:00Z", "number": 1201}
    records = [record | {"leaf_sha256": "01" * 32}]
    visitor.rssp.add_past(state="DENIED", denial=denial, factor=None, records=records)
    page = visitor.get(f"/history/{REQUEST}").text
    assert page.count(words) == 2
    assert others not in page


def test_history_is_searched_and_goes_on(visitor: Visitor) -> None:
    visitor.rssp.add_past()
    visitor.rssp.after = REQUEST
    page = visitor.get("/history", params={"q": "bổ nhiệm"})
    assert f'name="after" value="{REQUEST}"' in page.text
    assert "Không tìm thấy" in visitor.get("/history", params={"q": "x"}).text


def test_everything_is_frozen_in_one_step(visitor: Visitor) -> None:
    page = visitor.get("/lost-phone")
    answer = visitor.send(page, "/account/freeze")
    assert "2 chứng thư số đang bị khóa khẩn cấp" in visitor.follow(answer).text
    assert visitor.get("/account/freeze").headers["location"] == "/security"


def test_who_could_not_freeze_is_led_back_to_where_it_is_done(visitor: Visitor) -> None:
    page = visitor.get("/lost-phone")
    visitor.rssp.away = True
    assert 'class="main" href="/lost-phone"' in visitor.send(page, "/account/freeze").text
    visitor.rssp.away = False
    visitor.rssp.session_is_valid = False
    answer = visitor.send(page, "/account/freeze")
    assert answer.headers["location"] == "/sign-in?next=%2Flost-phone"


def test_signing_out_everywhere_leaves_no_session(visitor: Visitor) -> None:
    answer = visitor.send(visitor.get("/security"), "/account/sign-out")
    assert answer.headers["location"] == "/sign-in"
    assert "__Host-consent-session" not in visitor.cookies
    assert not visitor.rssp.session_is_valid


@pytest.mark.parametrize("path", ["/history", "/security", "/lost-phone", f"/history/{REQUEST}"])
def test_a_stranger_signs_in_first_and_comes_back(path: str) -> None:
    visitor = Visitor()
    visitor.rssp.add_past()
    asked = visitor.get(path)
    answer = visitor.sign_in(path=asked.headers["location"])
    assert answer.headers["location"] == path


def test_pages_of_the_desk_run_our_own_files_and_nothing_written_into_them(
    visitor: Visitor,
) -> None:
    visitor.rssp.add_past()
    for path in ("/", HERE, "/history", f"/history/{REQUEST}"):
        page = visitor.get(path)
        scripts = re.findall(r"<script[^>]*>[^<]*", page.text)
        ours = r'<script type="module" src="/static/\w+\.js\?v=[0-9a-f]{12}">'
        assert scripts
        assert all(re.fullmatch(ours, each) for each in scripts)
        assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "script-src" not in visitor.get("/security").headers["content-security-policy"]


@pytest.mark.parametrize("portal", [None, "https://motcua.example.gov.vn"])
def test_the_reason_that_was_typed_survives_an_outage_and_is_sent_once(
    visitor: Visitor, portal: str | None
) -> None:
    visitor.rssp.portal = portal  # the page that kept the form may not lead there
    page = visitor.get(HERE)
    visitor.rssp.away = True
    typed = {"kind": "returned", "reason": "form", "text": 'Thiếu dấu "tròn" & chữ ký'}
    away = visitor.send(page, REFUSE, **typed)
    assert away.status_code == 503
    assert "Những gì bạn đã nhập vẫn còn đây" in away.text
    kept = re.search(r'<input id="text"[^>]* value="([^"]*)"', away.text)
    assert kept is not None
    visitor.rssp.away = False
    sent = visitor.send(away, REFUSE, text=unescape(kept[1]))
    assert sent.headers["location"] == HERE
    assert visitor.rssp.denials == [typed]


# ---------------------------------------------------------------------------------------- batch


@pytest.fixture
def reviewed(visitor: Visitor) -> Visitor:
    """Two requests whose codes were picked."""
    looked_at = CAME_BY_ITSELF | {"codes": [], "verification_code": CODE}
    for name in (REQUEST, OTHER_REQUEST):
        visitor.rssp.add_request(name, **looked_at)
    return visitor


def approve_all(visitor: Visitor, **changes: str) -> httpx.Response:
    return visitor.send(visitor.get("/batch"), "/batch", **({"pin": PIN, "otp": OTP} | changes))


def test_what_was_looked_at_is_approved_together_with_its_hashes_shown(reviewed: Visitor) -> None:
    assert 'href="/batch"' in reviewed.get("/").text
    page = reviewed.get("/batch").text
    assert page.count("0a0a 0a0a … 0a0a 0a0a") == 2
    assert f'value="{REQUEST}.{OTHER_REQUEST}"' in page
    assert "Đã phê duyệt 2 yêu cầu" in reviewed.follow(approve_all(reviewed)).text


def test_what_is_said_once_is_in_no_copy_for_later(reviewed: Visitor) -> None:
    told = reviewed.follow(approve_all(reviewed))
    assert "Đã phê duyệt 2 yêu cầu" in told.text
    assert "x-offline-copy" not in told.headers
    again = reviewed.get("/history")
    assert "Đã phê duyệt 2 yêu cầu" not in again.text
    assert again.headers["x-offline-copy"] == "yes"


def test_a_batch_warns_of_what_came_without_documents(reviewed: Visitor) -> None:
    assert "bất kỳ nội dung nào" not in reviewed.get("/batch").text
    reviewed.rssp.requests[OTHER_REQUEST] |= {
        "documents": [],
        "passkey_from": "2026-01-01T00:00:00Z",
    }
    reviewed.rssp.requests[REQUEST]["passkey_from"] = "2026-01-01T00:00:00Z"
    page = reviewed.get("/batch").text
    assert "<dt>Số văn bản</dt><dd>2</dd>" in page
    assert page.count("bất kỳ nội dung nào") == 3, "beside it, and at both ways to approve"
    assert "đúng các văn bản này" not in page


def test_any_may_be_left_out(reviewed: Visitor) -> None:
    third = f"{REQUEST[:-1]}z"
    reviewed.rssp.add_request(third, **(CAME_BY_ITSELF | {"codes": []}))
    page = reviewed.get("/batch", params={"without": REQUEST}).text
    assert f'value="{OTHER_REQUEST}.{third}"' in page
    alone = reviewed.get("/batch", params={"without": f"{REQUEST}.{third}"}).text
    assert "Chưa có yêu cầu nào" in alone
    assert reviewed.get("/batch", params={"without": "x"}).status_code == 400


def test_what_was_left_out_stays_out_in_another_language_and_after_signing_in(
    reviewed: Visitor,
) -> None:
    address = f"/batch?without={REQUEST}"
    assert reviewed.switch(reviewed.get(address)) == address
    reviewed.rssp.session_is_valid = False
    target = reviewed.get(address).headers["location"]
    assert unquote(target) == f"/sign-in?next={address}"


def test_each_result_is_told_where_one_came_too_late(reviewed: Visitor) -> None:
    reviewed.rssp.gone = {OTHER_REQUEST}
    page = reviewed.follow(approve_all(reviewed)).text
    assert "Đã phê duyệt 1 yêu cầu" in page
    assert "Các yêu cầu còn lại" in page


def test_a_wrong_code_for_a_batch_leaves_all_waiting(reviewed: Visitor) -> None:
    page = reviewed.follow(approve_all(reviewed, otp="111111")).text
    assert "Còn 4 lần thử" in page
    assert {item["state"] for item in reviewed.rssp.requests.values()} == {"PENDING"}
    page = reviewed.follow(approve_all(reviewed, otp="1")).text
    assert "Nhập mã PIN" in page
    assert reviewed.rssp.count("POST", "/batch") == 1


def test_a_double_tap_on_a_batch_asks_once(reviewed: Visitor) -> None:
    page = reviewed.get("/batch")
    fields = {"pin": PIN, "otp": OTP}
    answers = reviewed.together(*(reviewed.sent(page, "/batch", **fields) for _ in range(2)))
    assert {answer.headers["location"] for answer in answers} == {"/history"}
    assert reviewed.rssp.count("POST", "/batch") == 1


def test_what_was_left_out_stays_left_out_after_a_wrong_code(reviewed: Visitor) -> None:
    third = f"{REQUEST[:-1]}z"
    reviewed.rssp.add_request(third, **(CAME_BY_ITSELF | {"codes": []}))
    page = reviewed.get("/batch", params={"without": REQUEST})
    sent = reviewed.send(page, "/batch", pin=PIN, otp="111111")
    assert sent.headers["location"] == f"/batch?without={REQUEST}#told"
    page = reviewed.follow(sent)
    assert f'value="{OTHER_REQUEST}.{third}"' in page.text
    assert "Còn 4 lần thử" in page.text.partition('id="told"')[2]


def test_documents_of_a_batch_are_read_before_it_is_approved(reviewed: Visitor) -> None:
    reviewed.rssp.attach("Điều 1.".encode())
    page = reviewed.get("/batch")
    assert f'data-document="{HERE}/documents/0"' in page.text
    assert "document_gate.js" in page.text
    assert "Tôi đã đọc đến hết" in page.text, "where there are no scripts"
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_requests_are_looked_at_one_after_another_and_then_approved_together(
    visitor: Visitor,
) -> None:
    visitor.rssp.add_request(OTHER_REQUEST, **CAME_BY_ITSELF)
    assert 'href="/batch/next"' in visitor.get("/").text
    first = visitor.get("/batch/next").headers["location"]
    seen = []
    while first.startswith("/requests/"):
        page = visitor.get(first)
        name = first.removeprefix("/requests/").partition("?")[0]
        assert f'href="/batch/next?after={name}"' in page.text
        seen.append(name)
        sent = visitor.send(page, f"/requests/{name}/match", code=CODE)
        first = visitor.follow(sent).headers["location"]
    assert (sorted(seen), first) == (sorted({REQUEST, OTHER_REQUEST}), "/batch")


def test_one_can_be_left_for_later_and_the_last_leads_back_to_the_list(visitor: Visitor) -> None:
    visitor.rssp.add_request(OTHER_REQUEST, **CAME_BY_ITSELF)
    order = [visitor.get("/batch/next").headers["location"][10:36]]
    order.append(visitor.get(f"/batch/next?after={order[0]}").headers["location"][10:36])
    assert sorted(order) == sorted({REQUEST, OTHER_REQUEST})
    assert visitor.get(f"/batch/next?after={order[1]}").headers["location"] == "/"
    assert visitor.get("/batch/next?after=x").headers["location"][10:36] == order[0]


def test_a_wrong_code_in_turn_refuses_and_says_so(visitor: Visitor) -> None:
    page = visitor.get(f"{HERE}?then=next")
    sent = visitor.send(page, MATCH, code="0357")
    assert sent.headers["location"] == HERE


def test_certificates_are_not_mixed_in_a_batch(reviewed: Visitor) -> None:
    third = f"{REQUEST[:-1]}z"
    reviewed.rssp.add_request(third, **(CAME_BY_ITSELF | {"codes": []}))
    other = reviewed.rssp.requests[third]["certificate"] | {"serial": "77"}
    reviewed.rssp.requests[third]["certificate"] = other
    page = reviewed.get("/batch").text
    assert f'value="{REQUEST}.{OTHER_REQUEST}"' in page
    assert "chứng thư số khác" in page
