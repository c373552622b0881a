"""Pages that stayed open while something else happened, in Chromium: no words that never help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remote_signing.clock import SystemClock
from remote_signing.identifiers import Ticket, new_id
from tests.support.consent_api import REQUEST
from tests.support.consent_stage import Look, Stage, running_stage, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

HERE = f"/requests/{REQUEST}"
APPROVE = "#passkey [data-start]"
ENTER = "[data-passkey=signIn] [data-start]"
OVER = ".notice:has-text('Phiên làm việc đã kết thúc') ~ form #username"
FORGED = 403


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with running_stage() as started:
        yield started


@pytest.fixture
def stage(running: Stage) -> Stage:
    """One request waits, which a passkey may approve and a SIM, too."""
    running.reset()
    running.rssp.add_request(passkey_from="2026-01-01T00:00:00Z")
    running.rssp.add_sim()
    return running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = Look().open(browser)
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def tapped(page: Page, button: str) -> int:
    """Tap ``button``; the status of what it asks."""
    with page.expect_response("**/options") as asked:
        page.click(button)
    return asked.value.status


def check_that_it_helps_itself(page: Page, button: str) -> None:
    """A tap is refused, and loads the page anew without a word; the next one is taken."""
    with page.expect_event("load"):
        assert tapped(page, button) == FORGED
    page.wait_for_selector(f"{button}:not([hidden])")
    assert page.locator("[data-told]").filter(visible=True).count() == 0
    assert tapped(page, button) != FORGED


def test_the_passkeys_button_of_a_session_that_is_over_works_in_the_one_after_it(
    page: Page, stage: Stage
) -> None:
    sign_in(page, stage, HERE)
    page.wait_for_selector(f"{APPROVE}:not([hidden])")
    stage.rssp.session = str(Ticket.issue(new_id(SystemClock().now_ms())))
    sign_in(page.context.new_page(), stage)
    check_that_it_helps_itself(page, APPROVE)


def test_of_two_sign_in_forms_of_a_restored_browser_the_first_one_works(
    page: Page, stage: Stage
) -> None:
    page.goto(stage.home + "/sign-in")
    page.wait_for_selector(f"{ENTER}:not([hidden])")
    page.context.clear_cookies()
    page.context.new_page().goto(stage.home + "/sign-in")
    check_that_it_helps_itself(page, ENTER)


def test_who_taps_after_the_session_is_over_is_told_that_it_is(page: Page, stage: Stage) -> None:
    sign_in(page, stage, HERE)
    page.wait_for_selector(f"{APPROVE}:not([hidden])")
    stage.rssp.session_is_valid = False
    page.click(APPROVE)
    page.wait_for_selector(OVER)


@pytest.mark.parametrize("ending", ["over", "gone"])
def test_who_waits_for_a_sim_does_not_wait_for_ever(page: Page, stage: Stage, ending: str) -> None:
    sign_in(page, stage, HERE)
    page.click("#sim button")
    page.wait_for_selector("[data-sim-state]")
    question = stage.rssp.requests[REQUEST]["sim"]
    if ending == "over":
        stage.rssp.session_is_valid = False
    else:
        stage.rssp.requests.clear()
    question["version"] += 1  # answers the question under way; the next one meets what has changed
    page.wait_for_selector(OVER if ending == "over" else "h1:has-text('Không tìm thấy')")


def test_what_was_read_is_said_to_be_while_a_passkey_is_asked(page: Page, stage: Stage) -> None:
    content = "Điều 1. Bổ nhiệm ông Nguyễn Văn An.\n".encode()
    stage.rssp.attach(content)
    sign_in(page, stage, HERE)
    page.click("a.open")
    page.wait_for_selector("pre")
    page.keyboard.press("End")
    page.wait_for_selector("[data-read]")
    page.goto(stage.home + HERE)
    read = page.locator("#documents .good")
    read.wait_for()
    page.click(APPROVE)
    page.wait_for_selector("#passkey [data-told]:not([hidden])")
    assert read.is_visible()
