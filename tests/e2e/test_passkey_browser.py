"""Passkeys in Chromium, with its virtual authenticator: added, used, refused, removed; looks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from remote_signing.identifiers import Ticket
from tests.e2e.test_consent_browser import complaints, faults
from tests.support.consent_stage import LARGE_TEXT, Look, launched
from tests.support.passkey_stage import NAME, PasskeyStage, passkey_stage, plug_in
from tests.support.world import REDIRECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.support.sqlite import SqliteFolder


@pytest.fixture
def stage(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[PasskeyStage]:
    with passkey_stage(sqlite_folder, tmp_path) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = Look().open(browser)
    yield context.new_page()
    context.close()


def sign(stage: PasskeyStage, page: Page, button: str) -> int:
    """The portal takes the code that comes back, and signs with it; how many signatures."""
    with page.expect_request(lambda sent: sent.url.startswith(f"{REDIRECT}&code=")) as back:
        page.dblclick(button)
    code = Ticket.parse(back.value.url.partition("code=")[2].partition("&")[0])
    assert code is not None
    token = stage.place.world.redeem(code).ticket
    return len(stage.place.world.sign(token))


def test_an_official_adds_a_passkey_and_signs_with_one_touch_and_a_double_tap_is_one(
    page: Page, stage: PasskeyStage
) -> None:
    said = complaints(page)
    plug_in(page)
    stage.sign_in(page, "/passkeys")
    stage.add(page)
    assert NAME in page.inner_text("main")
    assert "Có hiệu lực phê duyệt từ" in page.inner_text(".passkeys")
    page.goto(stage.home)
    assert "Đã thêm một khóa truy cập" in page.inner_text(".notice.wait"), "in every session"
    page.goto("about:blank")  # the list would leave by itself when its session is over
    stage.cool_off()
    stage.sign_in(page, f"/requests/{stage.place.world.opened()}")
    assert sign(stage, page, "#passkey [data-start]") == 1
    assert said == []


def test_everything_about_passkeys_can_be_done_with_the_keyboard(
    page: Page, stage: PasskeyStage
) -> None:
    plug_in(page)
    stage.sign_in(page, "/passkeys")
    page.focus("main a.main")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-passkey=make] [data-start]")
    page.focus("[data-start]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#name:focus")
    page.keyboard.type(NAME)
    page.keyboard.press("Tab")
    page.keyboard.type(stage.place.world.pin)
    page.keyboard.press("Tab")
    page.keyboard.type(stage.place.world.otp())
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.good")


def test_a_passkey_approves_by_keyboard(page: Page, stage: PasskeyStage) -> None:
    plug_in(page)
    stage.sign_in(page, "/passkeys")
    stage.add(page)
    stage.cool_off()
    stage.sign_in(page, f"/requests/{stage.reviewed('Tờ trình').activation_id}")
    for _ in range(30):
        if page.locator("#passkey [data-start]:focus").count():
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Đã phê duyệt')")


def test_a_user_who_is_not_verified_signs_nothing_and_pin_and_code_remain(
    page: Page, stage: PasskeyStage
) -> None:
    link, device = plug_in(page)
    stage.sign_in(page, "/passkeys")
    stage.add(page)
    stage.cool_off()
    name = stage.place.world.opened()
    stage.sign_in(page, f"/requests/{name}")
    verified = {"authenticatorId": device, "isUserVerified": False}
    link.send("WebAuthn.setUserVerified", verified)
    page.click("#passkey [data-start]")
    page.wait_for_selector("[data-told=cancelled]:not([hidden])")
    assert "mã PIN" in page.inner_text("[data-told=cancelled]")
    stage.proof(page)
    assert sign(stage, page, "#answer button") == 1


def test_a_passkey_of_another_site_is_not_offered_to_it(page: Page, stage: PasskeyStage) -> None:
    """Chromium itself keeps the site's passkeys from a page at another address."""
    plug_in(page)
    stage.sign_in(page, "/passkeys")
    stage.add(page)
    page.goto(stage.home.replace("localhost", "127.0.0.1") + "/sign-in")
    asked = """
    navigator.credentials.get({publicKey: {challenge: new Uint8Array(32), rpId: "localhost"}})
      .then(() => "given", (error) => error.name)
    """
    assert page.evaluate(asked) == "SecurityError"


def test_a_passkey_is_confirmed_by_another_and_removed_with_pin_and_code(
    page: Page, stage: PasskeyStage
) -> None:
    link, device = plug_in(page)
    stage.sign_in(page, "/passkeys")
    stage.add(page)
    stage.cool_off()
    stage.sign_in(page, "/passkeys")
    page.click("form[action='/passkeys/seen'] button")
    page.click("main a.main")
    _, other = plug_in(page, transport="usb")
    page.click("[data-passkey=make] [data-start]")
    page.wait_for_selector("#confirm:not([hidden])")
    link.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": other})
    page.fill("#name", "Khóa USB")
    page.click("[data-passkey=confirm] [data-start]")
    page.wait_for_selector(".notice.good")
    assert page.locator(".passkeys li").count() == 2
    page.click(".passkeys li:nth-child(2) a")
    stage.proof(page)
    page.click("button.danger")
    page.wait_for_selector(".notice.good")
    assert page.locator(".passkeys li").count() == 1
    page.click("main a.main")
    page.click("[data-passkey=make] [data-start]")
    page.wait_for_selector("[data-told=passkey_known]:not([hidden])")
    assert device


def test_without_scripts_pin_and_code_are_offered_and_nothing_else(
    browser: Browser, stage: PasskeyStage
) -> None:
    context = Look(scripts=False).open(browser)
    page = context.new_page()
    with ThreadPoolExecutor() as beside:  # here runs the browser's event loop
        beside.submit(stage.place.register).result()
    name = stage.place.world.opened()
    stage.sign_in(page, f"/requests/{name}")
    assert not page.is_visible("#passkey [data-start]")
    assert page.is_visible("#pin")
    context.close()


LOOKS = (Look(width=320, language="en", scheme="dark"), Look(width=320, large=True))


def tour(page: Page, stage: PasskeyStage) -> Iterator[str]:
    """Through every page about passkeys; its name each time one is shown."""
    plug_in(page)
    name = stage.place.world.opened()
    stage.sign_in(page, "/passkeys")
    yield "none"
    page.click("main a.main")
    page.wait_for_url("**/add")
    yield "add"
    page.click("[data-passkey=make] [data-start]")
    page.wait_for_selector("#confirm:not([hidden])")
    yield "made"
    page.fill("#name", NAME)
    stage.proof(page)
    page.click("[data-confirm] button")
    page.wait_for_selector(".notice.good")
    page.wait_for_load_state()
    yield "added"
    page.goto(stage.home)
    yield "told"
    page.goto(f"{stage.home}/requests/{name}")
    yield "cooling off"
    page.goto(f"{stage.home}/passkeys")
    page.click(".passkeys a")
    page.wait_for_url("**/remove")
    yield "remove"
    stage.cool_off()
    name = stage.place.world.opened()
    stage.sign_in(page, f"/requests/{name}")
    yield "request"
    page.evaluate("document.querySelector('[data-told=cancelled]').hidden = false")
    yield "cancelled"
    for document in ("Quyết định bổ nhiệm", "Tờ trình"):
        stage.reviewed(document)
    page.goto(f"{stage.home}/batch")
    yield "batch"


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_every_page_about_passkeys_fits_and_has_no_barrier(
    browser: Browser,
    stage: PasskeyStage,
    look: Look,
    record_property: Callable[[str, object], None],
) -> None:
    with launched(browser, *([LARGE_TEXT] if look.large else [])) as chromium:
        page = look.open(chromium).new_page()
        said = complaints(page)
        found = {name: faults(page, look) for name in tour(page, stage)}
    record_property("screens", len(found))
    record_property("barriers", sum(map(len, found.values())))
    assert len(found) == 10
    assert {name: each for name, each in found.items() if each} == {}
    assert said == []
