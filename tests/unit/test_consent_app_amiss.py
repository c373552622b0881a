"""What a visitor is told, and keeps, when something could not be done as it was sent."""

from __future__ import annotations

import json
from html import unescape
from unicodedata import normalize

import httpx
import pytest

from consent_app import forms
from consent_app.app import create_app
from consent_app.faults import RsspAway, RsspRefused
from consent_app.rssp_faults import fault_of
from remote_signing.rssp.showable import is_showable
from tests.support.consent_api import CAME_BY_ITSELF, CODE, OTP, PASSWORD, PIN, REQUEST
from tests.support.consent_visitor import Visitor, settings
from tests.support.fake_coming_in import ACTIVATION_CODE, HELD

HERE = f"/requests/{REQUEST}"
REFUSE = f"{HERE}/refuse"


@pytest.fixture
def visitor() -> Visitor:
    """Signed in, with one request waiting."""
    found = Visitor().signed_in()
    found.rssp.add_request()
    return found


# ------------------------------------------------------------------------------ words of a signer


def test_what_cannot_be_seen_is_dropped_exactly_as_the_rssp_counts_it() -> None:
    for number in (*range(1, 0xD800), *range(0xE000, 0x1_0400)):
        one = chr(number)
        is_kept = is_showable(one) and not one.isspace()
        assert forms.written({"text": one}, "text", 4) == (normalize("NFC", one) * is_kept)
    assert forms.written({"text": "a\u200cb\u200dc"}, "text", 9) == "a\u200cb\u200dc"


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u00ad", "\u2060", "\u3164", "\u202e"])
def test_a_reason_with_something_pasted_along_is_sent_without_it(
    visitor: Visitor, unseen: str
) -> None:
    text = f"{unseen} Sai{unseen} thể thức{unseen}"
    answer = visitor.send(visitor.get(HERE), REFUSE, kind="refused", text=text)
    assert answer.status_code == 303
    assert [denial["text"] for denial in visitor.rssp.denials] == ["Sai thể thức"]


def test_a_name_with_something_pasted_along_is_sent_without_it(visitor: Visitor) -> None:
    assert _add(visitor, "Máy\u200b tính\ufeff").headers["location"] == "/devices"
    assert visitor.rssp.coming_in.added[0]["name"] == "Máy tính"


def test_words_that_are_not_taken_are_kept_to_be_written_anew(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("tests.support.consent_api.is_showable", lambda _: False)
        page = visitor.send(visitor.get(HERE), REFUSE, kind="returned", reason="form", text="Sai")
    assert page.status_code == 422
    assert "ký tự không được chấp nhận" in page.text
    assert 'name="text" type="text" value="Sai"' in page.text
    # At once: what was refused is no answer to what is written now.
    assert visitor.send(page, REFUSE, text="Đúng").headers["location"] == HERE
    assert visitor.rssp.denials == [{"kind": "returned", "reason": "form", "text": "Đúng"}]


def test_a_name_that_is_not_taken_is_kept_without_the_password(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.fake_coming_in.is_showable", lambda _: False)
    page = _add(visitor, "Máy tính")
    assert page.status_code == 422
    assert 'value="Máy tính"' in page.text
    assert PASSWORD not in unescape(page.text)


# ------------------------------------------------------------------- whether it was done or not


def test_who_could_not_be_told_of_the_freeze_is_not_told_that_nothing_was_done(
    visitor: Visitor,
) -> None:
    page = visitor.get("/lost-phone")
    visitor.rssp.fails_after = True
    told = visitor.send(page, "/account/freeze")
    assert told.status_code == 503
    assert "Kết nối bị gián đoạn" in told.text
    assert "có thể đã được thực hiện hoặc chưa" in told.text
    assert "không lần thử nào bị tính" not in told.text
    assert 'class="main" href="/lost-phone"' in told.text
    visitor.rssp.away = True
    assert "không lần thử nào bị tính" in visitor.send(page, "/account/freeze").text


def test_a_page_that_was_only_asked_for_has_lost_nothing(visitor: Visitor) -> None:
    visitor.app = create_app(settings(), httpx.MockTransport(lambda _: httpx.Response(502)))
    assert "Không có gì bị mất" in visitor.get(HERE).text


@pytest.mark.parametrize(
    ("answer", "is_settled"),
    [
        (httpx.Response(503, json={"code": "temporarily_unavailable"}), True),
        # As deploy/haproxy.cfg has it.
        (httpx.Response(503, json={"error": "temporarily_unavailable"}), True),
        (httpx.Response(503, text="no server"), False),
        (httpx.Response(502, json={"error": "temporarily_unavailable"}), False),
        (httpx.Response(500, json={"code": "server_error"}), False),
        (httpx.Response(503, json={"code": ["temporarily_unavailable"]}), False),
    ],
)
def test_only_who_says_so_has_done_nothing(answer: httpx.Response, *, is_settled: bool) -> None:
    fault = fault_of(answer.status_code, answer.content)
    assert isinstance(fault, RsspAway)
    assert fault.is_settled is is_settled


def test_whose_activation_got_lost_may_sign_in_with_the_chosen_password() -> None:
    visitor = Visitor()
    visitor.rssp.fails_after = True
    fields = {"code": ACTIVATION_CODE, "password": PASSWORD, "again": PASSWORD}
    told = visitor.send(visitor.get("/activate"), "/activate", **fields)
    assert "hoặc đăng nhập bằng mật khẩu bạn vừa chọn" in told.text
    assert "không lần thử nào bị tính" not in told.text


@pytest.mark.parametrize("path", [f"/pins/{HELD}/change", f"/passkeys/{HELD}/add"])
def test_an_attempt_that_counted_is_not_denied_when_the_form_cannot_be_shown_again(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    page, site = visitor.get(path), visitor.app.state.site

    async def wrong(*_: object, **__: object) -> None:
        raise RsspRefused(403, "evidence_invalid", 4)

    async def away(*_: object) -> None:
        raise RsspAway("refused", is_settled=True)

    for api, name in ((site.pins, "change"), (site.passkeys, "bind")):
        monkeypatch.setattr(api, name, wrong)
    for api, name in ((site.coming_in, "holdings"), (site.passkeys, "all")):
        monkeypatch.setattr(api, name, away)
    pins = {"pin": PIN, "otp": OTP, "new_pin": "73920164", "again": "73920164"}
    told = visitor.send(page, path, made="{}", name="Máy tính", **pins)
    assert told.status_code == 503
    assert "không lần thử nào bị tính" not in told.text


# ---------------------------------------------------------------------- where it is looked for


def test_a_code_that_could_not_be_picked_is_told(visitor: Visitor) -> None:
    visitor.rssp.add_request(**CAME_BY_ITSELF)
    page = visitor.get(HERE)
    visitor.rssp.away = True
    answer = visitor.send(page, f"{HERE}/match", code=CODE)
    visitor.rssp.away = False
    assert "chưa phản hồi" in visitor.follow(answer).text


@pytest.mark.parametrize("way", ["approve", "passkey"])
def test_an_outage_is_told_at_the_top_and_there_the_browser_is(visitor: Visitor, way: str) -> None:
    visitor.rssp.add_request(passkey_from="2026-01-01T00:00:00Z")
    page = visitor.get(HERE)
    visitor.rssp.away = True
    answer = visitor.send(page, f"{HERE}/{way}", pin=PIN, otp=OTP, answer="{}")
    visitor.rssp.away = False
    assert answer.headers["location"] == HERE
    assert "chưa phản hồi" in visitor.follow(answer).text.partition('class="card"')[0]


# ------------------------------------------------------------------------------------ leaving


def test_who_signs_out_while_the_rssp_is_away_leaves_no_session_behind(visitor: Visitor) -> None:
    page = visitor.get("/")
    visitor.rssp.away = True
    answer = visitor.send(page, "/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "__Host-consent-session" not in visitor.cookies


def test_sessions_elsewhere_that_could_not_be_ended_are_not_said_to_be(visitor: Visitor) -> None:
    page = visitor.get("/security")
    visitor.rssp.away = True
    assert visitor.send(page, "/account/sign-out").status_code == 503
    assert "__Host-consent-session" in visitor.cookies


def _add(visitor: Visitor, name: str) -> httpx.Response:
    fields = {"made": json.dumps({"token": "AAAA"}), "name": name, "password": PASSWORD}
    return visitor.send(visitor.get("/devices/add"), "/devices/add", **fields)
