"""The consent page as a visitor meets it, against a small rssp."""

from __future__ import annotations

import logging
import re

import httpx
import pytest

from consent_app.app import create_app
from consent_app.log import JsonLines
from tests.support.consent_api import (
    OTP,
    PASSWORD,
    PIN,
    PORTAL,
    REQUEST,
    SERVICE,
    SESSION,
    FakeRssp,
)
from tests.support.consent_visitor import HOME, Visitor, hidden_fields, settings
from tests.support.fake_coming_in import HELD

HERE = f"/requests/{REQUEST}"
APPROVE, REFUSE = f"{HERE}/approve", f"{HERE}/refuse"
SERVICE_HERE = f"/services/{SERVICE}"
FULL_WIDTH = "".join(chr(ord(digit) + 0xFEE0) for digit in OTP)  # of an East Asian keyboard


@pytest.fixture
def visitor() -> Visitor:
    """Signed in, with one request waiting."""
    found = Visitor().signed_in()
    found.rssp.add_request()
    return found


def approve(visitor: Visitor, pin: str = PIN, otp: str = OTP) -> httpx.Response:
    return visitor.send(visitor.get(HERE), APPROVE, pin=pin, otp=otp)


# ------------------------------------------------------------------------------------- sign-in


def test_a_stranger_signs_in_and_comes_to_what_he_wanted() -> None:
    visitor = Visitor()
    visitor.rssp.add_request()
    asked = visitor.get(HERE)
    assert asked.status_code == 303
    assert asked.headers["location"] == f"/sign-in?next=%2Frequests%2F{REQUEST}"
    answer = visitor.sign_in(path=asked.headers["location"])
    assert answer.headers["location"] == HERE
    assert "4821" in visitor.follow(answer).text.replace(" ", "")


def test_a_wrong_password_is_told_and_the_name_is_kept() -> None:
    visitor = Visitor()
    answer = visitor.sign_in("sai")
    assert answer.status_code == 401
    assert "Đăng nhập không thành công" in answer.text
    assert 'value="minhkhai"' in answer.text
    assert "sai" not in answer.text.partition("<form")[2]
    assert "__Host-consent-session" not in visitor.cookies


def test_an_empty_password_asks_nobody() -> None:
    visitor = Visitor()
    assert visitor.sign_in("").status_code == 401
    assert visitor.rssp.calls == []


def test_the_session_is_in_a_cookie_that_scripts_and_other_sites_cannot_touch() -> None:
    answer = Visitor().sign_in()
    (line,) = (line for line in answer.headers.get_list("set-cookie") if SESSION in line)
    assert line.startswith("__Host-consent-session=")
    assert {part.strip() for part in line.split(";")[1:]} == {
        "HttpOnly",
        "Path=/",
        "SameSite=lax",
        "Secure",
    }


def test_on_loopback_without_tls_cookies_are_not_secure_and_bear_no_prefix() -> None:
    visitor = Visitor()
    visitor.app = create_app(settings("http://127.0.0.1:8401"))
    lines = visitor.get("/sign-in").headers.get_list("set-cookie")
    assert lines
    assert all(line.startswith("consent-") and "Secure" not in line for line in lines)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        f"{HERE}x",
        "/nowhere",
        "/sign-in",
    ],
)
def test_signing_in_leads_to_our_own_pages_only(target: str) -> None:
    visitor = Visitor()
    page = visitor.get("/sign-in", params={"next": target})
    fields = {"username": "minhkhai", "password": PASSWORD, "next": target}
    assert visitor.send(page, "/sign-in", **fields).headers["location"] == "/"


def test_who_is_signed_in_needs_no_sign_in(visitor: Visitor) -> None:
    assert visitor.get("/sign-in", params={"next": HERE}).headers["location"] == HERE


def test_signing_out_ends_the_session_everywhere(visitor: Visitor) -> None:
    answer = visitor.send(visitor.get("/"), "/sign-out")
    assert "Đã đăng xuất" in visitor.follow(answer).text
    assert not visitor.rssp.session_is_valid
    assert "__Host-consent-session" not in visitor.cookies


def test_signing_out_of_a_session_that_is_over_works_too(visitor: Visitor) -> None:
    page = visitor.get("/")
    visitor.rssp.session_is_valid = False
    assert "Đã đăng xuất" in visitor.follow(visitor.send(page, "/sign-out")).text


def test_a_session_that_is_over_leads_to_sign_in_and_back(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    visitor.rssp.session_is_valid = False
    answer = visitor.send(page, APPROVE, pin=PIN, otp=OTP)
    assert answer.headers["location"] == f"/sign-in?next=%2Frequests%2F{REQUEST}"
    assert "Phiên làm việc đã kết thúc" in visitor.follow(answer).text
    assert visitor.sign_in(path=answer.headers["location"]).headers["location"] == HERE


def test_a_cookie_that_is_no_session_is_no_session() -> None:
    visitor = Visitor()
    visitor.cookies["__Host-consent-session"] = "x"
    assert visitor.get("/").headers["location"] == "/sign-in"
    assert visitor.rssp.calls == []


# --------------------------------------------------------------------------------------- pages


def test_the_list_shows_who_asks_what_and_until_when(visitor: Visitor) -> None:
    text = visitor.get("/").text
    for part in (
        *("Cổng một cửa Sở Nội vụ", "Ký ban hành quyết định bổ nhiệm", "2 văn bản", "4821"),
        *("Nguyễn Thị Minh Khai", "Phó Giám đốc, Sở Nội vụ thành phố Hà Nội", HERE),
    ):
        assert part in text


def test_an_empty_list_says_so(visitor: Visitor) -> None:
    visitor.rssp.requests.clear()
    assert "Không có yêu cầu nào đang chờ" in visitor.get("/").text


def test_a_request_shows_what_will_be_signed_with_what(visitor: Visitor) -> None:
    text = visitor.get(HERE).text
    for part in (
        *("Cổng một cửa Sở Nội vụ", "Số 1234/QĐ-SNV", "Số 87/TTr-SNV", "SHA-256"),
        *("0a0a 0a0a … 0a0a 0a0a", "5F3A 9C1E … 9B7D 3311", "15/01/2026", "14/01/2029"),
        *("4 8 2 1", "4 phút 32 giây", 'autocomplete="one-time-code"', 'inputmode="numeric"'),
    ):
        assert part in text


def test_a_request_without_hashes_warns() -> None:
    visitor = Visitor().signed_in()
    visitor.rssp.add_request(documents=[], hash_algorithm=None)
    assert "không cho biết văn bản cụ thể" in visitor.get(HERE).text


def test_hostile_text_stays_text() -> None:
    visitor = Visitor().signed_in()
    hostile = '<script>alert(1)</script>"\u202e'
    document = {"label": hostile, "digest": "00" * 32}
    visitor.rssp.add_request(client_name=hostile, description=hostile, documents=[document])
    for path in ("/", HERE):
        text = visitor.get(path).text
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
        assert "\u202e" not in text


def test_english_is_spoken_to_who_asks_for_it(visitor: Visitor) -> None:
    visitor.language = "en"
    answer = visitor.get(HERE)
    assert '<html lang="en">' in answer.text
    assert answer.headers["content-language"] == "en"
    assert "2 documents to sign" in answer.text
    assert "Remote Signing Service" in answer.text


def test_a_chosen_language_is_remembered(visitor: Visitor) -> None:
    answer = visitor.get("/language/en", params={"next": HERE})
    assert answer.headers["location"] == HERE
    assert '<html lang="en">' in visitor.follow(answer).text


def test_language_leads_to_our_own_pages_only(visitor: Visitor) -> None:
    answer = visitor.get("/language/en", params={"next": "https://evil.example"})
    assert answer.headers["location"] == "/"
    assert visitor.get("/language/xx").status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        *("/", HERE, SERVICE_HERE, "/batch", "/history", "/security", "/lost-phone", "/passkeys"),
        *(f"/passkeys/{HELD}/add", "/certificates", "/devices", "/devices/add", "/delegation"),
        *(f"/pins/{HELD}/change", "/settings", "/help", "/validate", "/activate", "/welcome"),
    ],
)
def test_another_language_is_the_same_page(visitor: Visitor, address: str) -> None:
    visitor.rssp.add_service()
    page = visitor.get(address)
    assert page.status_code == 200
    assert visitor.switch(page) == address


@pytest.mark.parametrize("after", [HERE, "/batch?without=" + REQUEST])
def test_who_signs_in_in_another_language_comes_where_the_portal_led(
    visitor: Visitor, after: str
) -> None:
    visitor.cookies.clear()
    address = visitor.switch(visitor.get("/sign-in", params={"next": after}))
    refused = visitor.sign_in("sai", path=address)
    assert refused.status_code == 401
    address = visitor.switch(refused)
    assert visitor.sign_in(path=address).headers["location"] == after


@pytest.mark.parametrize(
    "query",
    [
        *("", "?next=/", "?next=https://evil.example", "?next=//evil.example", "?next=/sign-in"),
        *("?after=/history", "?next=%2F%2Fevil.example"),
    ],
)
def test_the_sign_in_form_in_another_language_leads_to_nobody_else(
    visitor: Visitor, query: str
) -> None:
    answer = visitor.get("/language/en", params={"next": f"/sign-in{query}"})
    assert answer.headers["location"] == "/sign-in"


# ------------------------------------------------------------------------------------- answers


def test_approval_leads_back_to_the_portal(visitor: Visitor) -> None:
    answer = approve(visitor)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{PORTAL}/callback?code=abc&state=xyz"
    assert "Đã phê duyệt" in visitor.get(HERE).text


def test_approval_without_a_waiting_browser_shows_the_result() -> None:
    visitor = Visitor(FakeRssp(portal=None)).signed_in()
    visitor.rssp.add_request()
    answer = approve(visitor)
    assert answer.headers["location"] == HERE
    assert "Đã phê duyệt" in visitor.follow(answer).text


@pytest.mark.parametrize("otp", ["246 802", " 246802 ", FULL_WIDTH])
def test_a_code_is_read_as_it_is_written(visitor: Visitor, otp: str) -> None:
    assert approve(visitor, otp=otp).headers["location"].startswith(PORTAL)


@pytest.mark.parametrize(("pin", "otp"), [("1", OTP), (PIN, "111111")])
def test_wrong_evidence_is_told_once_without_which(visitor: Visitor, pin: str, otp: str) -> None:
    page = visitor.follow(approve(visitor, pin, otp))
    assert "Mã PIN ký số hoặc mã xác thực một lần không đúng" in page.text
    assert "Còn 4 lần thử" in page.text
    assert otp not in page.text
    assert "không đúng" not in visitor.get(HERE).text
    assert approve(visitor).headers["location"].startswith(PORTAL)


@pytest.mark.parametrize(("pin", "otp"), [("", OTP), (PIN, ""), (PIN, "12345"), (PIN, "abcdef")])
def test_an_incomplete_form_charges_nothing(visitor: Visitor, pin: str, otp: str) -> None:
    page = visitor.follow(approve(visitor, pin, otp))
    assert "không bị tính" in page.text
    assert visitor.rssp.count("POST", "/approve") == 0


def test_a_locked_credential_takes_no_more_codes(visitor: Visitor) -> None:
    visitor.rssp.attempts_left = 1
    page = visitor.follow(approve(visitor, pin="1"))
    assert "Chứng thư số đang bị khóa" in page.text
    assert APPROVE not in page.text
    assert REFUSE in page.text


def test_a_back_end_that_is_away_leaves_the_request_as_it_was(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    visitor.rssp.away = True
    answer = visitor.send(page, APPROVE, pin=PIN, otp=OTP)
    away = visitor.follow(answer)
    assert away.status_code == 503
    assert "Không có gì bị mất" in away.text
    visitor.rssp.away = False
    page = visitor.get(HERE)
    assert visitor.send(page, APPROVE, pin=PIN, otp=OTP).headers["location"].startswith(PORTAL)


def test_a_back_end_that_comes_back_at_once_is_told_on_the_request(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    visitor.rssp.away = True
    answer = visitor.send(page, APPROVE, pin=PIN, otp=OTP)
    visitor.rssp.away = False
    text = visitor.follow(answer).text
    assert "lần thử này không bị tính" in text
    assert APPROVE in text


def test_an_outcome_that_got_lost_is_shown_from_the_record(visitor: Visitor) -> None:
    visitor.rssp.fails_after = True
    page = visitor.follow(approve(visitor))
    assert "Kết nối bị gián đoạn" in page.text
    assert "Đã phê duyệt" in page.text


def test_an_rssp_that_cannot_be_reached_is_told(visitor: Visitor) -> None:
    visitor.app = create_app(settings(), _Unreachable(httpx.ConnectError("refused")))
    assert visitor.get(HERE).status_code == 503
    visitor.app = create_app(settings(), _Unreachable(httpx.ReadTimeout("slow")))
    assert visitor.get(HERE).status_code == 503


class _Unreachable(httpx.AsyncBaseTransport):
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
        raise self._error


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"id": 1}),
        httpx.Response(200, text="<html>"),
        httpx.Response(500, json=["x"]),
        httpx.Response(418, text="x"),
    ],
)
def test_an_answer_that_makes_no_sense_is_our_fault(
    visitor: Visitor, answer: httpx.Response
) -> None:
    visitor.app = create_app(settings(), httpx.MockTransport(lambda _: answer))
    assert visitor.get(HERE).status_code == 503


def test_a_refusal_that_no_page_foresaw_is_an_error_page(visitor: Visitor) -> None:
    problem = httpx.Response(403, json={"code": "access_denied"})
    visitor.app = create_app(settings(), httpx.MockTransport(lambda _: problem))
    answer = visitor.get(HERE)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    page = Visitor().get("/sign-in")
    visitor.cookies.clear()
    visitor.get("/sign-in")
    assert page.status_code == 200
    assert visitor.sign_in().status_code == 500


def test_two_taps_are_one_approval(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    taps = (visitor.sent(page, APPROVE, pin=PIN, otp=OTP) for _ in range(2))
    answers = visitor.together(*taps)
    assert {answer.headers["location"] for answer in answers} == {
        f"{PORTAL}/callback?code=abc&state=xyz"
    }
    assert visitor.rssp.count("POST", "/approve") == 1


def test_two_taps_with_a_wrong_code_are_one_attempt(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    visitor.together(*(visitor.sent(page, APPROVE, pin="1", otp=OTP) for _ in range(2)))
    assert visitor.rssp.attempts_left == 4


def test_answering_again_in_another_tab_changes_nothing(visitor: Visitor) -> None:
    tab = visitor.get(HERE)
    approve(visitor)
    page = visitor.follow(visitor.send(tab, APPROVE, pin=PIN, otp="135791"))
    assert "đã được trả lời trước đó" in page.text
    assert "Đã phê duyệt" in page.text
    page = visitor.follow(visitor.send(tab, REFUSE))
    assert "Đã phê duyệt" in page.text


def test_a_refusal_leads_back_to_the_portal(visitor: Visitor) -> None:
    answer = visitor.send(visitor.get(HERE), REFUSE)
    assert answer.headers["location"] == f"{PORTAL}/callback?error=access_denied&state=xyz"
    assert "Đã từ chối" in visitor.get(HERE).text


@pytest.mark.parametrize(
    ("state", "status", "title"),
    [
        ("AUTHORIZED", 200, "Đã phê duyệt"),
        ("SIGNING", 200, "Đã phê duyệt"),
        ("SIGNED", 200, "Đã phê duyệt"),
        ("DENIED", 200, "Đã từ chối"),
        ("EXPIRED", 410, "Đã hết thời hạn"),
        ("REVOKED", 200, "Đã bị rút lại"),
        ("FAILED", 200, "Không hoàn thành"),
    ],
)
def test_every_end_has_its_page(visitor: Visitor, state: str, status: int, title: str) -> None:
    visitor.rssp.add_request(state=state)
    answer = visitor.get(HERE)
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text
    assert APPROVE not in answer.text


@pytest.mark.parametrize("passkey_from", [None, "2026-01-01T00:00:00Z"])
def test_without_documents_nothing_is_said_of_approving_exactly_these(
    visitor: Visitor, passkey_from: str | None
) -> None:
    visitor.rssp.add_request(documents=[], hash_algorithm=None, passkey_from=passkey_from)
    page = visitor.get(HERE).text
    for words in ("đúng các văn bản này", "các văn bản trên được ký số"):
        assert words not in page
    ways = 1 if passkey_from is None else 2
    assert page.count("bạn cho phép cổng dùng chứng thư số này để ký bất kỳ nội dung nào") == ways
    visitor.rssp.add_request(passkey_from=passkey_from)
    assert "bất kỳ nội dung nào" not in visitor.get(HERE).text


def test_who_withdrew_a_request_is_not_said_as_freezing_does_it_too(visitor: Visitor) -> None:
    visitor.rssp.add_request(state="REVOKED")
    assert "Cổng đã" not in visitor.get(HERE).text


def test_a_request_whose_time_is_over_takes_no_answer(visitor: Visitor) -> None:
    visitor.rssp.add_request(expires_at="2020-01-01T00:00:00Z")
    assert visitor.get(HERE).status_code == 410


@pytest.mark.parametrize("path", [APPROVE, REFUSE, f"{SERVICE_HERE}/approve"])
def test_a_reload_of_a_forms_address_leads_to_its_page(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).headers["location"] == path.rpartition("/")[0]


# ------------------------------------------------------------------------------------- services


def test_access_is_allowed_and_the_portal_told(visitor: Visitor) -> None:
    visitor.rssp.add_service()
    page = visitor.get(SERVICE_HERE)
    assert "đề nghị được xem danh sách chứng thư số" in page.text
    answer = visitor.send(page, f"{SERVICE_HERE}/approve")
    assert answer.headers["location"].startswith(f"{PORTAL}/callback?code=")
    assert "Đã cho phép" in visitor.get(SERVICE_HERE).text
    again = visitor.send(page, f"{SERVICE_HERE}/refuse")
    assert "đã được trả lời trước đó" in visitor.follow(again).text


def test_access_is_refused_and_the_portal_told(visitor: Visitor) -> None:
    visitor.rssp.add_service()
    answer = visitor.send(visitor.get(SERVICE_HERE), f"{SERVICE_HERE}/refuse")
    assert answer.headers["location"].startswith(f"{PORTAL}/callback?error=access_denied")
    assert "Đã từ chối" in visitor.get(SERVICE_HERE).text


def test_a_wish_for_access_expires(visitor: Visitor) -> None:
    visitor.rssp.add_service(expires_at="2020-01-01T00:00:00Z")
    answer = visitor.get(SERVICE_HERE)
    assert answer.status_code == 410
    assert "Đã hết thời hạn" in answer.text


# -------------------------------------------------------------------------------------- attacks


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": HOME, "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_a_form_from_another_site_does_nothing(visitor: Visitor, headers: dict[str, str]) -> None:
    data = hidden_fields(visitor.get(HERE).text, APPROVE) | {"pin": PIN, "otp": OTP}
    answer = visitor.ask("POST", APPROVE, data=data, headers=headers)
    assert answer.status_code == 403
    assert "Biểu mẫu không được chấp nhận" in answer.text
    assert visitor.rssp.count("POST", "/approve") == 0


def test_a_form_of_an_old_browser_counts_by_its_origin(visitor: Visitor) -> None:
    data = hidden_fields(visitor.get(HERE).text, APPROVE) | {"pin": PIN, "otp": OTP}
    answer = visitor.ask("POST", APPROVE, data=data, headers={"Origin": HOME})
    assert answer.status_code == 303


@pytest.mark.parametrize("path", [APPROVE, REFUSE, "/sign-out", "/sign-in"])
@pytest.mark.parametrize("token", ["", "x", "a" * 43])
def test_a_form_without_its_token_does_nothing(visitor: Visitor, path: str, token: str) -> None:
    visitor.get("/")
    headers = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}
    data = {"form_token": token, "pin": PIN, "otp": OTP, "username": "x", "password": "x"}
    assert visitor.ask("POST", path, data=data, headers=headers).status_code == 403


def test_a_token_of_another_session_does_nothing(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    visitor.cookies["__Host-consent-session"] = "01mcc5rm00mratbh8wk05wn2gk." + "t" * 43
    assert visitor.send(page, APPROVE, pin=PIN, otp=OTP).status_code == 403


def test_a_token_without_cookies_does_nothing(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    visitor.cookies.clear()
    assert visitor.send(page, APPROVE, pin=PIN, otp=OTP).status_code == 403


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"pin=1&pin=2", "application/x-www-form-urlencoded", 400),
        (b"pin=%ff", "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 400),
        (b"", "", 400),
        (b"pin=1", "application/x-www-form-urlencoded; charset=utf-16", 400),
        (b"pin=" + b"1" * 5000, "application/x-www-form-urlencoded", 413),
    ],
)
def test_a_malformed_body_is_refused(
    visitor: Visitor, content: bytes, media_type: str, status: int
) -> None:
    headers = {"Origin": HOME, "Sec-Fetch-Site": "same-origin", "Content-Type": media_type}
    answer = visitor.ask("POST", APPROVE, content=content, headers=headers)
    assert answer.status_code == status
    assert "Không đọc được biểu mẫu" in answer.text


def test_a_form_with_a_missing_or_long_field_is_refused(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    assert visitor.send(page, APPROVE, pin=PIN).status_code == 400
    assert visitor.send(page, APPROVE, pin=PIN, otp="1" * 33).status_code == 400


def test_a_parameter_twice_in_the_address_is_refused(visitor: Visitor) -> None:
    assert visitor.get("/language/en?next=/&next=/").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/requests/x",
        "/requests/" + "0" * 26,
        "/services/" + "0" * 26,
        "/requests/..%2f..%2fetc",
        "/static/../app.py",
        "/static/none.css",
        "/docs",
        "/openapi.json",
    ],
)
def test_what_does_not_exist_is_said_in_words(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 404
    assert "Không tìm thấy" in answer.text


def test_a_wrong_method_is_refused(visitor: Visitor) -> None:
    assert visitor.ask("PUT", "/").status_code == 405


def test_every_page_forbids_foreign_scripts_frames_and_caches(visitor: Visitor) -> None:
    for path in ("/", HERE, "/nowhere", "/healthz"):
        headers = visitor.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert not re.search(r"https?:", policy.replace(PORTAL, ""))
        assert "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "no-store, no-transform"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"]
        assert len(headers["x-request-id"]) >= 16


def test_only_the_requests_page_may_lead_to_its_portal(visitor: Visitor) -> None:
    assert f"form-action 'self' {PORTAL};" in visitor.get(HERE).headers["content-security-policy"]
    assert "form-action 'self';" in visitor.get("/").headers["content-security-policy"]


def test_a_notice_is_for_its_request_alone(visitor: Visitor) -> None:
    other = "01mcc5rm00mratbh8wk05wn2gh"
    visitor.rssp.add_request(other)
    approve(visitor, pin="1")
    assert "không đúng" not in visitor.get(f"/requests/{other}").text


def test_a_forged_notice_is_not_shown(visitor: Visitor) -> None:
    visitor.cookies["__Host-consent-notice"] = f"locked.{REQUEST}.." + "a" * 43
    assert "bị khóa" not in visitor.get(HERE).text


def test_nothing_that_was_typed_gets_into_a_log(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    approve(visitor, pin="55667788", otp="998877")
    visitor.rssp.away = True
    visitor.send(Visitor(visitor.rssp).get("/sign-in"), "/sign-in", username="u", password="x7x7x7")
    approve_anyway = visitor.get(f"{HERE}?pin=55667788")
    visitor.rssp.away = False
    approve(visitor)
    visitor.cookies.clear()
    visitor.sign_in("x7x7x7x7")
    visitor.sign_in()
    assert approve_anyway.status_code == 503
    # The visitor's own client logs what it asks.
    records = [item for item in caplog.records if HOME not in item.getMessage()]
    out = "".join(map(JsonLines().format, records)) + "".join(capsys.readouterr())
    assert "answered" in out
    for secret in ("55667788", "998877", "x7x7x7", PIN, OTP, PASSWORD, SESSION, "code=abc"):
        assert secret not in out


def test_an_unforeseen_error_is_a_page_with_a_reference(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret cause")

    monkeypatch.setattr(visitor.app.state.site.rssp, "waiting", fail)
    answer = visitor.get("/", headers={"X-Request-Id": "from-the-proxy"})
    assert answer.status_code == 500
    assert "<h1>Đã xảy ra lỗi</h1>" in answer.text
    assert "from-the-proxy" in answer.text
    assert "secret cause" not in answer.text


def test_even_broken_templates_end_in_an_answer(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = visitor.app.state.site.environments["vi"]
    monkeypatch.setattr(templates, "loader", None)
    templates.cache.clear()
    answer = visitor.get("/sign-in" if not visitor.cookies else "/")
    assert answer.status_code == 500
    assert answer.text == f"500 {answer.headers['x-request-id']}"


def test_a_request_id_that_could_do_harm_is_replaced(visitor: Visitor) -> None:
    answer = visitor.get("/", headers={"X-Request-Id": "<script>alert(1)</script>"})
    assert "<" not in answer.headers["x-request-id"]


# ----------------------------------------------------------------------------------- the site


def test_the_style_sheet_is_cached_for_ever_under_its_version(visitor: Visitor) -> None:
    page = visitor.get("/")
    address = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    exact, other = visitor.get(address), visitor.get("/static/consent.css?v=0")
    assert exact.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert other.headers["cache-control"] == "public, max-age=300"
    assert exact.headers["cross-origin-resource-policy"] == "cross-origin"
    assert page.headers["cross-origin-resource-policy"] == "same-origin"
    assert exact.headers["content-type"] == "text/css; charset=utf-8"
    assert visitor.get("/static/mark.svg").headers["content-type"] == "image/svg+xml"


def test_a_page_names_no_other_host(visitor: Visitor) -> None:
    for path in ("/", HERE, "/static/consent.css"):
        text = visitor.get(path).text
        assert "http://" not in text
        assert "https://" not in text


def test_health_needs_no_back_end(visitor: Visitor) -> None:
    visitor.rssp.away = True
    assert visitor.get("/healthz").status_code == 200
    answer = visitor.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (200, {"rssp": "unreachable"})
    visitor.rssp.away = False
    assert visitor.get("/readyz").json() == {"status": "ready", "checks": {"rssp": "ok"}}
    visitor.app = create_app(settings(), _Unreachable(httpx.ConnectError("refused")))
    assert visitor.get("/readyz").json()["checks"] == {"rssp": "unreachable"}


def test_a_process_on_its_way_out_is_not_ready(visitor: Visitor) -> None:
    visitor.app.state.site.drain.started = True
    assert visitor.get("/readyz").status_code == 503
    assert visitor.get("/").status_code == 200
