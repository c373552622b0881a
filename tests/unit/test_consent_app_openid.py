"""Signing in by an identity provider, as a visitor's browser sees it."""

from __future__ import annotations

import pytest

from consent_app.config import ConfigInvalid
from tests.support.consent_api import SESSION
from tests.support.consent_visitor import OPENID, Visitor, settings

START, CALLBACK = "/sign-in/openid", "/sign-in/openid/callback"
COOKIE, SESSION_COOKIE = "__Host-consent-openid", "__Host-consent-session"


@pytest.fixture
def visitor() -> Visitor:
    return Visitor(tables={"openid": OPENID})


def start(visitor: Visitor, path: str = "/sign-in") -> str:
    """Where the button leads, or the page that is shown instead."""
    answer = visitor.send(visitor.get(path), START)
    return answer.headers.get("location") or answer.text


def test_the_provider_comes_last_and_only_where_it_is_configured(visitor: Visitor) -> None:
    text = visitor.get("/sign-in").text
    places = [text.index(f'action="{path}"') for path in ("/sign-in/passkey", "/sign-in", START)]
    assert places == sorted(places)
    assert "Đăng nhập bằng VNeID" in text
    without = Visitor()
    assert START not in without.get("/sign-in").text
    assert without.get(CALLBACK).status_code == 404


def test_there_and_back_again_leads_to_where_the_visitor_was_going(visitor: Visitor) -> None:
    page = visitor.get("/sign-in?next=/devices")
    assert f"form-action 'self' {OPENID['origin']};" in page.headers["content-security-policy"]
    assert start(visitor, "/sign-in?next=/devices").startswith(f"{OPENID['origin']}/authorize")
    binding = visitor.cookies[COOKIE]
    answer = visitor.get(f"{CALLBACK}?state=s&code=good&iss=https%3A%2F%2Fdinh-danh.example")
    assert answer.headers["location"] == "/devices"
    assert visitor.cookies[SESSION_COOKIE] == SESSION
    assert COOKIE not in visitor.cookies, "used up"
    assert visitor.rssp.coming_in.answers == [
        {
            "binding": binding,
            "state": "s",
            "code": "good",
            "iss": OPENID["origin"],
            "error": None,
        }
    ]


def test_an_answer_in_another_browser_gives_no_session(visitor: Visitor) -> None:
    start(visitor)
    other = Visitor(rssp=visitor.rssp, tables=visitor.tables)
    answer = other.get(f"{CALLBACK}?state=s&code=good")
    assert answer.headers["location"] == "/sign-in"
    assert SESSION_COOKIE not in other.cookies
    assert visitor.rssp.coming_in.answers == []


@pytest.mark.parametrize(
    "query",
    [
        "state=s&code=bad",
        "state=s&error=access_denied",
        "state=s",
        "code=good",
        "",
        f"state={'s' * 101}&code=good",
    ],
)
def test_an_answer_that_is_none_is_told_in_words_and_used_up(visitor: Visitor, query: str) -> None:
    start(visitor)
    answer = visitor.get(f"{CALLBACK}?{query}")
    # Another address: what the provider sent stays in no address bar and no history.
    assert answer.headers["location"] == "/sign-in"
    assert "không thành công" in visitor.follow(answer).text
    assert "không thành công" not in visitor.get("/sign-in").text, "told once"
    assert {COOKIE, SESSION_COOKIE}.isdisjoint(visitor.cookies)


def test_when_the_provider_is_away_the_other_ways_stay_and_the_page_says_so(
    visitor: Visitor,
) -> None:
    visitor.rssp.coming_in.provider_away = True
    text = start(visitor)
    assert "VNeID hiện không phản hồi" in text
    assert 'action="/sign-in/passkey"' in text
    visitor.rssp.coming_in.provider_away = False
    start(visitor)
    visitor.rssp.coming_in.provider_away = True
    answer = visitor.get(f"{CALLBACK}?state=s&code=good")
    assert "VNeID hiện không phản hồi" in visitor.follow(answer).text
    assert visitor.sign_in().headers["location"] == "/"


def test_a_service_that_is_away_itself_blames_no_provider(visitor: Visitor) -> None:
    page = visitor.get("/sign-in")
    visitor.rssp.away = True
    told = visitor.send(page, START)
    assert told.status_code == 503
    visitor.rssp.away = False
    start(visitor)
    visitor.rssp.away = True
    answer = visitor.get(f"{CALLBACK}?state=s&code=good")
    assert answer.headers["location"] == "/sign-in"
    texts = told.text, visitor.follow(answer).text
    assert all("Hệ thống ký số" in each for each in texts)
    assert not any("VNeID hiện không phản hồi" in each for each in texts)


def test_browsers_are_sent_to_the_configured_provider_and_nowhere_else(visitor: Visitor) -> None:
    visitor.rssp.coming_in.provider = "https://attacker.example"
    answer = visitor.send(visitor.get("/sign-in"), START)
    assert answer.status_code == 500
    assert COOKIE not in visitor.cookies


def test_a_refusal_that_nobody_foresaw_is_a_page_of_its_own(visitor: Visitor) -> None:
    start(visitor)
    visitor.rssp.coming_in.provider_refuses = (404, "openid_not_offered")
    assert visitor.get(f"{CALLBACK}?state=s&code=bad").status_code == 404


@pytest.mark.parametrize("origin", ["http://dinh-danh.example", "https://a.example/path", "x"])
def test_the_provider_of_the_page_is_an_https_origin(origin: str) -> None:
    with pytest.raises(ConfigInvalid):
        settings(openid={**OPENID, "origin": origin})
