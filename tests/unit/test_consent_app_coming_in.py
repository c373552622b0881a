"""Signing in with a passkey, first steps with a code, and what the account holds, as a visitor."""

from __future__ import annotations

import json

import pytest

from tests.support.consent_api import OTHER_REQUEST, PASSWORD, SESSION
from tests.support.consent_visitor import HOME, Visitor, hidden_fields
from tests.support.fake_coming_in import ACTIVATION_CODE, ENTRY, GOOD_ANSWER, HELD, held

MADE = {"token": "AAAA", "client_data": "AAAA", "attestation_object": "AAAA", "transports": []}
PASSKEY = "/sign-in/passkey"


@pytest.fixture
def visitor() -> Visitor:
    return Visitor().signed_in()


def by_passkey(visitor: Visitor, answer: object = GOOD_ANSWER, path: str = "/sign-in") -> str:
    """Where a passkey's answer leads, or the page that refuses it."""
    page = visitor.get(path)
    answered = visitor.send(page, PASSKEY, answer=json.dumps(answer))
    return answered.headers.get("location") or answered.text


# ------------------------------------------------------------------------------------ signing in


def test_the_passkey_comes_first_and_the_password_needs_no_script() -> None:
    text = Visitor().get("/sign-in").text
    assert text.index(f'action="{PASSKEY}"') < text.index('action="/sign-in"')
    assert "data-when-ready hidden" in text


def test_a_passkey_signs_in_and_leads_where_the_visitor_was_going() -> None:
    visitor = Visitor()
    assert by_passkey(visitor, path="/sign-in?next=/devices") == "/devices"
    assert visitor.cookies["__Host-consent-session"] == SESSION


def test_a_passkey_that_is_refused_is_told_in_words_and_gives_no_session() -> None:
    visitor = Visitor()
    assert "Khóa truy cập này không đăng nhập được" in by_passkey(visitor, {"signature": "x"})
    assert "__Host-consent-session" not in visitor.cookies


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "/devices/../../x",
        "/devices?x=1",
        "/sign-out",
        "javascript:alert(1)",
    ],
)
def test_signing_in_leads_to_our_own_pages_only(target: str) -> None:
    visitor = Visitor()
    page = visitor.get("/sign-in")
    answer = json.dumps(GOOD_ANSWER)
    assert visitor.send(page, PASSKEY, answer=answer, next=target).headers["location"] == "/"


@pytest.mark.parametrize("path", ["/sign-in/passkey", "/sign-in/openid"])
def test_a_restored_tab_of_a_failed_sign_in_leads_to_the_form(path: str) -> None:
    assert Visitor().get(path).headers["location"] == "/sign-in"


@pytest.mark.parametrize("value", ["\xe9" * 70, SESSION[:-1] + "\xe9"])
def test_a_cookie_of_strange_letters_is_no_session(value: str) -> None:
    cookie = f"__Host-consent-session={value}".encode("latin-1")
    answer = Visitor().get("/devices", headers={"Cookie": cookie})
    assert answer.headers["location"].startswith("/sign-in?next=")


def test_a_session_that_somebody_planted_is_replaced_at_sign_in() -> None:
    visitor = Visitor()
    planted = "0" * 26 + "." + "p" * 43
    visitor.cookies["__Host-consent-session"] = planted
    visitor.get("/")  # the rssp does not know it: it goes
    assert "__Host-consent-session" not in visitor.cookies
    by_passkey(visitor)
    assert visitor.cookies["__Host-consent-session"] == SESSION != planted


@pytest.mark.parametrize(
    "path", [PASSKEY, "/sign-in/options", "/activate", "/devices/add", "/devices/options"]
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {},
        {"Origin": HOME, "Sec-Fetch-Site": "cross-site"},
        {"Origin": HOME, "Sec-Fetch-Site": "same-origin"},
    ],
    ids=["origin", "none", "site", "no-token"],
)
def test_a_form_of_another_site_or_without_our_token_does_nothing(
    visitor: Visitor, path: str, headers: dict[str, str]
) -> None:
    data = {"answer": json.dumps(GOOD_ANSWER), "made": json.dumps(MADE), "password": PASSWORD}
    answer = visitor.ask("POST", path, data=data, headers=headers)
    assert answer.status_code == 403
    assert visitor.rssp.calls == []
    assert visitor.rssp.coming_in.added == []


def test_the_module_is_asked_to_wait_when_the_rssp_is_away() -> None:
    visitor = Visitor()
    page = visitor.get("/sign-in")
    token = page.text.partition('data-ask-token="')[2].partition('"')[0]
    headers = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}
    asked = {"data": {"form_token": token}, "headers": headers}
    assert visitor.ask("POST", "/sign-in/options", **asked).json()["challenge"] == "AAAA"
    visitor.rssp.away = True
    assert visitor.ask("POST", "/sign-in/options", **asked).status_code == 503


# ------------------------------------------------------------------------------------ activation


def activate(visitor: Visitor, code: str = ACTIVATION_CODE, password: str = PASSWORD) -> str:
    page = visitor.get("/activate")
    fields = {"code": code, "password": password, "again": password}
    answer = visitor.send(page, "/activate", **fields)
    return answer.headers.get("location") or answer.text


def test_a_code_opens_the_account_and_leads_to_the_next_steps() -> None:
    visitor = Visitor()
    assert activate(visitor) == "/welcome"
    text = visitor.get("/welcome").text
    assert text.count('<li class="card prose">') == 4
    assert 'href="/devices/add"' in text
    assert f'href="/passkeys/{HELD}/add"' in text


def test_opening_the_link_uses_nothing_up() -> None:
    visitor = Visitor()
    visitor.get(f"/activate#{ACTIVATION_CODE}")
    assert visitor.rssp.calls == []


@pytest.mark.parametrize(
    ("code", "password", "again", "told"),
    [
        ("00000", PASSWORD, PASSWORD, "Mã này không dùng được"),
        ("  ", PASSWORD, PASSWORD, "Mã này không dùng được"),
        (ACTIVATION_CODE, "ngắn", "ngắn", "ít nhất 12 ký tự"),
        (ACTIVATION_CODE, PASSWORD, PASSWORD + "x", "không giống nhau"),
    ],
    ids=["wrong", "empty", "short", "differ"],
)
def test_what_is_wrong_at_activation_is_told_and_keeps_no_password(
    code: str, password: str, again: str, told: str
) -> None:
    visitor = Visitor()
    page = visitor.get("/activate")
    answer = visitor.send(page, "/activate", code=code, password=password, again=again)
    assert answer.status_code == 401
    assert told in answer.text
    assert password not in answer.text


def test_what_is_set_already_is_shown_as_done(visitor: Visitor) -> None:
    visitor.rssp.coming_in.add_entry()
    visitor.rssp.coming_in.credentials = [held(passkeys=["Điện thoại"]), held(state="frozen")]
    text = visitor.get("/welcome").text
    assert text.count('class="good"') == 5
    assert "/add" not in text


# --------------------------------------------------------------------------------------- account


@pytest.mark.parametrize(
    "path", ["/certificates", "/devices", "/devices/add", "/delegation", "/welcome"]
)
def test_the_account_is_its_owners(path: str) -> None:
    answer = Visitor().get(path)
    assert answer.headers["location"].startswith("/sign-in?next=")


def test_a_certificate_is_shown_and_downloaded(visitor: Visitor) -> None:
    text = visitor.get("/certificates").text
    assert "Đang dùng" in text
    assert "14/01/2029" in text
    file = visitor.get(f"/certificates/{HELD}/file")
    assert file.headers["content-type"] == "application/pkix-cert"
    assert file.content == b"\x30\x03\x02\x01\x07"
    assert visitor.get(f"/certificates/{OTHER_REQUEST}/file").status_code == 404


def test_devices_are_in_one_place(visitor: Visitor) -> None:
    visitor.rssp.coming_in.credentials = [held(passkeys=["Khóa của tôi"])]
    text = visitor.get("/devices").text
    for part in ("Khóa của tôi", "+84912345678", "Mã PIN ký số và ứng dụng xác thực"):
        assert part in text


def test_a_passkey_for_signing_in_needs_the_password(visitor: Visitor) -> None:
    def add(password: str, name: str = "Máy tính") -> str:
        page = visitor.get("/devices/add")
        fields = {"made": json.dumps(MADE), "name": name, "password": password}
        answer = visitor.send(page, "/devices/add", **fields)
        return str(answer.headers["location"])

    assert add("sai") == "/devices/add"
    assert "Mật khẩu sai" in visitor.get("/devices/add").text
    assert add(PASSWORD, name=" ") == "/devices/add"
    assert visitor.rssp.coming_in.added == []
    assert add(PASSWORD) == "/devices"
    assert "Từ nay bạn đăng nhập được" in visitor.get("/devices").text


def test_why_no_further_passkey_is_taken_is_told_to_the_module(visitor: Visitor) -> None:
    visitor.rssp.coming_in.is_full = True
    page = visitor.get("/devices/add")
    token = page.text.partition('data-ask-token="')[2].partition('"')[0]
    headers = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}
    answer = visitor.ask("POST", "/devices/options", data={"form_token": token}, headers=headers)
    assert (answer.status_code, answer.json()) == (403, {"reason": "passkey_many"})


def test_a_passkey_for_signing_in_is_removed_with_the_password(visitor: Visitor) -> None:
    here = f"/devices/{ENTRY}/remove"
    assert visitor.get(here).status_code == 404
    visitor.rssp.coming_in.add_entry()
    for password in ("", "sai"):
        answer = visitor.send(visitor.get(here), here, password=password)
        assert answer.headers["location"] == here
    answer = visitor.send(visitor.get(here), here, password=PASSWORD)
    assert answer.headers["location"] == "/devices"
    assert visitor.rssp.coming_in.entries == []


def test_another_session_is_ended_from_the_list(visitor: Visitor) -> None:
    page = visitor.get("/security")
    here = f"/account/sessions/{1:026}/end"
    assert f"/account/sessions/{0:026}/end" not in page.text, "this one is signed out of"
    assert hidden_fields(page.text, here)
    assert visitor.send(page, here).headers["location"] == "/security"
    assert visitor.rssp.ended == [f"{1:026}"]
    assert "Phiên đó đã kết thúc" in visitor.get("/security").text


def test_help_is_for_everybody_and_nobody_signs_for_others_yet(visitor: Visitor) -> None:
    assert "Tôi bị mất điện thoại" in Visitor().get("/help").text
    assert "Không ai ký thay bạn" in visitor.get("/delegation").text


def test_an_outage_keeps_what_was_typed_and_no_secret(visitor: Visitor) -> None:
    page = visitor.get("/devices/add")
    visitor.rssp.away = True
    made = json.dumps(MADE)
    fields = {"made": made, "name": "Máy của tôi", "password": PASSWORD}
    away = visitor.send(page, "/devices/add", **fields)
    assert away.status_code == 503
    assert 'value="Máy của tôi"' in away.text
    assert PASSWORD not in away.text
    assert hidden_fields(away.text, "/devices/add")["made"] == made
    stranger = Visitor()
    page = stranger.get("/sign-in")
    stranger.rssp.away = True
    away = stranger.send(page, "/sign-in", username="minhkhai", password="sai mật khẩu")
    assert 'value="minhkhai"' in away.text
    assert "sai mật khẩu" not in away.text
    stranger.rssp.away = False
    sent = stranger.send(away, "/sign-in", username="minhkhai", password=PASSWORD)
    assert sent.headers["location"] == "/"
