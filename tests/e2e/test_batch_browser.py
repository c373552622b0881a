"""Several requests in Chromium: looked at in turn, approved by one touch; a hasty thumb's races."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.bench.consent_taps import Way
from tests.e2e.test_consent_browser import complaints, faults
from tests.support.consent_stage import Look
from tests.support.passkey_stage import PasskeyStage, passkey_stage, plug_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.support.sqlite import SqliteFolder

APPROVE = "#passkey [data-start]"


@pytest.fixture
def stage(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[PasskeyStage]:
    with passkey_stage(sqlite_folder, tmp_path) as found:
        yield found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    found = Look().open(browser)
    found.set_default_timeout(15_000)
    yield found
    found.close()


@pytest.fixture
def page(context: BrowserContext, stage: PasskeyStage) -> Page:
    """An official whose passkey counts, signed in."""
    found = context.new_page()
    plug_in(found)
    stage.sign_in(found, "/passkeys")
    stage.add(found)
    stage.cool_off()
    stage.sign_in(found)
    return found


def test_an_official_looks_at_three_in_turn_and_signs_them_by_one_touch_with_the_keyboard(
    page: Page, stage: PasskeyStage
) -> None:
    said = complaints(page)
    waiting = [stage.asked(document) for document in "abc"]
    codes = {item.activation_id: item.verification_code for item in waiting}
    page.goto(stage.home)
    page.focus("a[href='/batch/next']")
    page.keyboard.press("Enter")
    for _ in waiting:
        page.wait_for_url("**/requests/*?then=next")
        name = page.url.rpartition("/")[2].partition("?")[0]
        page.focus(f"form:has([name=code][value='{codes.pop(name)}']) button")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(rf"^(?!.*{name})"))
    page.wait_for_url("**/batch")
    assert faults(page, Look()) == []
    page.focus(APPROVE)
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.good")
    assert "Đã phê duyệt 3 yêu cầu" in page.inner_text("main")
    assert [stage.signed(item, each) for item, each in zip(waiting, "abc", strict=True)] == [1] * 3
    assert said == []


def test_a_double_tap_a_reload_and_the_back_button_are_one_approval(
    page: Page, stage: PasskeyStage
) -> None:
    for document in "ab":
        stage.reviewed(document)
    page.goto(f"{stage.home}/batch")
    page.dblclick(APPROVE)
    page.wait_for_selector(".notice.good")
    page.reload()
    page.go_back()
    expect(page.locator(APPROVE)).to_have_count(0)
    assert stage.given() == 2


def test_of_two_tabs_that_show_the_same_batch_the_second_is_told_how_it_stands(
    page: Page, context: BrowserContext, stage: PasskeyStage
) -> None:
    for document in "ab":
        stage.reviewed(document)
    other = context.new_page()
    plug_in(other)
    for each in (page, other):
        each.goto(f"{stage.home}/batch")
    page.click(APPROVE)
    page.wait_for_selector(".notice.good")
    other.click(APPROVE)
    other.wait_for_selector(".empty")
    assert stage.given() == 2


def test_what_another_tab_left_out_or_refused_is_not_signed_by_an_older_page(
    page: Page, context: BrowserContext, stage: PasskeyStage
) -> None:
    names = [stage.reviewed(document).activation_id for document in "abc"]
    page.goto(f"{stage.home}/batch")
    other = context.new_page()
    other.goto(f"{stage.home}/requests/{names[0]}")
    other.click(".refuse summary")
    other.click("button.danger")
    other.wait_for_url(f"**/requests/{names[0]}")
    page.click(APPROVE)
    expect(page.locator("li.card")).to_have_count(2)  # reloaded: nothing was signed
    assert stage.given() == 0
    page.click(f"a[href='/batch?without={names[1]}']")
    page.wait_for_selector(".empty")


def test_one_request_is_three_taps_and_each_more_of_a_batch_is_one(
    page: Page, stage: PasskeyStage
) -> None:
    by_passkey, typed = Way(stage, page, "passkey"), Way(stage, page, "PIN + OTP")
    one, few = by_passkey.single(), by_passkey.batch(2)
    assert (one.taps, one.touches, one.digits) == (3, 1, 0)
    assert (few.taps, few.touches, few.digits) == (3 + 2, 1, 0)
    one = typed.single()
    assert (one.taps, one.touches, one.digits) == (5, 0, 14)
