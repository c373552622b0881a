"""Consent by SIM as a visitor of the page meets it, against a small rssp."""

from __future__ import annotations

import pytest

from consent_app.visit import content_policy
from tests.support.consent_api import PORTAL, REQUEST
from tests.support.consent_visitor import Visitor

HERE = f"/requests/{REQUEST}"
ASK, CANCEL, WAIT = f"{HERE}/sim/ask", f"{HERE}/sim/cancel", f"{HERE}/sim"


@pytest.fixture
def visitor() -> Visitor:
    """Signed in, with one request waiting that a SIM may answer."""
    found = Visitor().signed_in()
    found.rssp.add_request()
    found.rssp.add_sim()
    return found


def ask(visitor: Visitor) -> None:
    answer = visitor.send(visitor.get(HERE), ASK)
    assert answer.headers["location"] == WAIT


def test_without_a_sim_nothing_is_said_of_it() -> None:
    visitor = Visitor().signed_in()
    visitor.rssp.add_request()
    assert "SIM" not in visitor.get(HERE).text
    assert visitor.get(WAIT).headers["location"] == HERE


def test_the_waiting_page_shows_code_and_text_and_reloads_itself(visitor: Visitor) -> None:
    ask(visitor)
    page = visitor.get(WAIT)
    assert "4 8 2 1" in page.text
    assert "ký 2 văn bản" in page.text
    assert '<noscript><meta http-equiv="refresh" content="4"></noscript>' in page.text
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'; connect-src 'self'" in policy
    assert "script-src" not in content_policy()
    assert "Đang hỏi SIM" in visitor.get(HERE).text


def test_the_module_is_told_the_state_and_nothing_else(visitor: Visitor) -> None:
    ask(visitor)
    told = visitor.get(f"{WAIT}/state?version=0").json()
    assert told == {"state": "WAITING", "version": 1, "isDelivered": False}
    visitor.rssp.sim_says("REFUSED", "Đã từ chối.")
    assert visitor.get(f"{WAIT}/state?version=1").json()["state"] == "REFUSED"
    assert visitor.get(f"{WAIT}/state?version=x").status_code == 404
    assert visitor.get("/static/sim.js").headers["content-type"].startswith("text/javascript")


def test_who_waits_stays_there_in_another_language_and_comes_back_after_signing_in(
    visitor: Visitor,
) -> None:
    ask(visitor)
    assert visitor.switch(visitor.get(WAIT)) == WAIT
    visitor.rssp.session_is_valid = False
    assert visitor.switch(visitor.follow(visitor.get(WAIT))).endswith(WAIT.replace("/", "%2F"))
    assert visitor.sign_in(path=f"/sign-in?next={WAIT}").headers["location"] == WAIT


def test_the_page_of_a_question_that_could_not_be_withdrawn_is_the_one_that_waits(
    visitor: Visitor,
) -> None:
    ask(visitor)
    forged = visitor.ask("POST", CANCEL)
    assert forged.status_code == 403
    assert f'<a class="main" href="{WAIT}">' in forged.text


def test_after_the_sims_consent_the_browser_is_back_at_the_portal(visitor: Visitor) -> None:
    ask(visitor)
    visitor.rssp.sim_says("APPROVED")
    target = visitor.get(WAIT).headers["location"]
    assert target == f"{PORTAL}/callback?code=abc&state=xyz"


def test_a_question_that_is_cancelled_too_late_may_lead_to_the_portal(visitor: Visitor) -> None:
    ask(visitor)
    page = visitor.get(WAIT)
    assert f"form-action 'self' {PORTAL};" in page.headers["content-security-policy"]
    visitor.rssp.sim_says("APPROVED")
    waiting = visitor.send(page, CANCEL)
    assert visitor.follow(waiting).headers["location"].startswith(f"{PORTAL}/callback?code=")


def test_where_no_portal_waits_the_outcome_is_shown(visitor: Visitor) -> None:
    ask(visitor)
    visitor.rssp.requests[REQUEST]["redirect_origin"] = None
    visitor.rssp.sim_says("APPROVED")
    answer = visitor.get(WAIT)
    assert answer.headers["location"] == HERE
    assert "Đã phê duyệt" in visitor.follow(answer).text


@pytest.mark.parametrize("fault", ["used", "away"])
def test_a_code_that_cannot_be_had_leads_to_the_request(visitor: Visitor, fault: str) -> None:
    ask(visitor)
    visitor.rssp.sim_says("APPROVED")
    visitor.rssp.resume_fault = fault
    assert visitor.get(WAIT).headers["location"] == HERE


def test_causes_are_told_and_the_request_can_be_answered_otherwise(visitor: Visitor) -> None:
    ask(visitor)
    visitor.rssp.sim_says("FAILED", "Không kết nối được với nhà mạng.")
    page = visitor.get(WAIT)
    assert "Không kết nối được với nhà mạng." in page.text
    assert "refresh" not in page.text
    again = visitor.get(HERE).text
    assert "Không kết nối được với nhà mạng." in again
    assert f'action="{ASK}"' in again


def test_a_busy_or_suspended_sim_is_told(visitor: Visitor) -> None:
    visitor.rssp.sim_is_busy = True
    answer = visitor.send(visitor.get(HERE), ASK)
    assert "yêu cầu khác" in visitor.follow(answer).text
    visitor.rssp.add_sim(is_active=False, cause="SIM đã được thay.")
    page = visitor.get(HERE).text
    assert "SIM đã được thay." in page
    assert ASK not in page


def test_an_outage_while_asking_or_waiting_loses_nothing(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    visitor.rssp.away = True
    answer = visitor.send(page, ASK)
    visitor.rssp.away = False
    assert answer.headers["location"] == HERE
    assert "chưa phản hồi" in visitor.follow(answer).text.partition('class="card"')[0]
    ask(visitor)
    visitor.rssp.sim_is_away = True
    page = visitor.get(WAIT)
    assert "4 8 2 1" in page.text
    answer = visitor.send(page, CANCEL)
    assert "chưa phản hồi" in visitor.follow(answer).text
    assert "chưa phản hồi" not in visitor.get(HERE).text, "told once, and where it was true"
    visitor.rssp.sim_is_away = False
    visitor.send(visitor.get(WAIT), CANCEL)
    assert "đã hủy" in visitor.get(WAIT).text


def test_a_form_of_another_site_asks_no_sim(visitor: Visitor) -> None:
    assert visitor.ask("POST", ASK, data={"factor": "0" * 26}).status_code == 403
    assert visitor.rssp.count("POST", "/sim") == 0
