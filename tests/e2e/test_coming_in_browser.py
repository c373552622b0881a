"""From the link of a one-time code to signing in by touch, in Chromium with its authenticator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remote_signing.rssp import account_codes
from remote_signing.rssp.pin_orders import PinOrders
from tests.e2e.test_consent_browser import complaints, faults
from tests.support.consent_stage import Look
from tests.support.passkey_stage import PasskeyStage, passkey_stage, plug_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.support.sqlite import SqliteFolder

PASSWORD, NEW_PIN = "mật khẩu tôi tự chọn", "73519482"


@pytest.fixture
def stage(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[PasskeyStage]:
    with passkey_stage(sqlite_folder, tmp_path) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = Look().open(browser)
    yield context.new_page()
    context.close()


def test_from_the_link_to_a_passkey_that_signs_in_with_the_keyboard_alone(
    page: Page, stage: PasskeyStage
) -> None:
    said = complaints(page)
    plug_in(page)
    world = stage.place.world
    code = account_codes.issue(world.services, world.subscriber_id)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.goto(f"{stage.home}/activate#{code}")
    page.wait_for_selector("#password:focus")
    assert page.input_value("#code") == code
    assert code not in page.url
    assert not any(code in url.partition("#")[0] for url in sent)
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/welcome")
    page.focus("main a[href='/devices/add']")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-start]:not([hidden])")
    page.focus("#name")
    page.keyboard.type("Điện thoại")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices")
    assert "Điện thoại" in page.inner_text("main")
    assert faults(page, Look()) == []
    page.click("form[action='/sign-out'] button")
    page.focus("[data-passkey=signIn] [data-start]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".signer")
    assert "Nguyễn" in page.inner_text(".signer")
    assert said == []


def test_a_new_official_chooses_a_pin_with_the_code_of_the_link_and_signs_with_it(
    page: Page, stage: PasskeyStage
) -> None:
    said = complaints(page)
    world = stage.place.world
    code = account_codes.issue(world.services, world.subscriber_id)
    desk = PinOrders(world.services, world.authority)
    desk.let_choose(world.subscriber_id, account_codes.read_as(code), 3_600_000)
    page.goto(f"{stage.home}/activate#{code}")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/welcome")
    page.click("main a[href$='/choose']")
    page.wait_for_selector("#new_pin:focus")
    assert page.input_value("#code") == code, "it need not be typed again"
    assert page.evaluate("sessionStorage.length") == 0
    assert faults(page, Look()) == []
    for pin, wanted in (("123456", "**/choose"), (NEW_PIN, "**/welcome")):
        page.fill("#new_pin", pin)
        page.fill("#again", pin)
        page.fill("#otp", world.otp())
        page.keyboard.press("Enter")
        page.wait_for_selector(".notice")
        page.wait_for_url(wanted)
        assert faults(page, Look()) == []
    # The answer 422 of the first try.
    assert [each for each in said if "422" not in each] == []
    world.pin, world.session = NEW_PIN, world.new_session()
    world.next_step()
    assert world.approve(world.opened()).redirect_to


def test_a_user_who_is_not_verified_stays_outside_and_the_password_remains(
    page: Page, stage: PasskeyStage
) -> None:
    plug_in(page, isUserVerified=False)
    page.goto(stage.home + "/sign-in")
    page.click("[data-passkey=signIn] [data-start]")
    page.wait_for_selector("[data-told=cancelled]:not([hidden])")
    assert faults(page, Look()) == []
    stage.sign_in(page, "/security")
    assert page.inner_text("h1") == "Bảo mật"
