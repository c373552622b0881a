"""Hasty thumbs and attackers, in Chromium. What each shows: docs/attacks-on-consent.md."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_consent_browser import complaints
from tests.support.consent_api import CAME_BY_ITSELF, CODE, OTHER_REQUEST, REQUEST
from tests.support.consent_stage import Look, Stage, running_stage, sign_in
from tests.support.passkey_stage import PasskeyStage, passkey_stage, plug_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.support.sqlite import SqliteFolder

APPROVE = "#passkey [data-start]"
MARKUP = '"><img src=x onerror="document.title=1"><script>document.title=1</script>'
HOSTILE = f"{MARKUP}\u202etxt.exe\u2066"


@pytest.fixture(scope="module")
def stage(
    sqlite_folder: SqliteFolder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PasskeyStage]:
    with passkey_stage(sqlite_folder, tmp_path_factory.mktemp("attacks")) as found:
        yield found


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    found = Look().open(browser)
    found.set_default_timeout(15_000)
    yield found
    found.close()


@pytest.fixture(scope="module")
def page(context: BrowserContext, stage: PasskeyStage) -> Page:
    """An official whose passkey counts, signed in."""
    found = context.new_page()
    plug_in(found)
    stage.sign_in(found, "/passkeys")
    stage.add(found)
    stage.cool_off()
    stage.sign_in(found)
    return found


def test_a_stolen_session_sees_what_it_may_and_neither_signs_nor_brings_a_device(
    browser: Browser, context: BrowserContext, page: Page, stage: PasskeyStage
) -> None:
    name = stage.reviewed("quyết định.pdf").activation_id
    stage.reviewed("tờ trình.pdf")
    page.goto(stage.home)
    before = stage.given()
    thief = Look().open(browser)
    stolen: Any = context.cookies()
    thief.add_cookies(stolen)
    theirs = thief.new_page()
    plug_in(theirs)  # a phone of his own, which verifies him
    theirs.goto(f"{stage.home}/requests/{name}")
    assert "quyết định.pdf" in theirs.inner_text("main")
    for address in (f"/requests/{name}", "/batch"):
        theirs.goto(stage.home + address)
        theirs.click(APPROVE)
        theirs.wait_for_selector("[data-told=cancelled]:not([hidden])")
    theirs.fill("#pin", "00000000")
    theirs.fill("#otp", "000000")
    theirs.click("#answer button.main")
    theirs.wait_for_selector(".notice.bad")
    theirs.goto(f"{stage.home}/passkeys")
    theirs.click("main a.main")
    theirs.click("[data-passkey=make] [data-start]")
    theirs.wait_for_selector("#confirm:not([hidden])")
    theirs.fill("#name", "Máy lạ")
    theirs.fill("#pin", "00000000")
    theirs.fill("#otp", "000000")
    theirs.click("[data-confirm] button")
    theirs.wait_for_selector(".notice.bad")
    theirs.goto(f"{stage.home}/devices/add")
    theirs.fill("#name", "Máy lạ")
    theirs.fill("#password", "không biết")
    theirs.click("[data-start]")
    theirs.wait_for_selector(".notice.bad")
    thief.close()
    page.goto(f"{stage.home}/devices")
    assert "Máy lạ" not in page.inner_text("main")
    assert stage.given() == before


def test_a_reload_while_an_approval_is_under_way_and_a_second_touch_are_one_outcome(
    page: Page, stage: PasskeyStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = stage.reviewed("quyết định.pdf").activation_id
    before, activate = stage.given(), stage.place.sap.activate
    asked, answer = threading.Semaphore(0), threading.Event()

    def slow(*arguments: Any) -> Any:
        given = activate(*arguments)
        asked.release()
        assert answer.wait(15)
        return given

    monkeypatch.setattr(stage.place.sap, "activate", slow)
    page.goto(f"{stage.home}/requests/{name}")
    for _ in range(2):  # the first is on its way when the page is loaded again
        page.click(APPROVE, no_wait_after=True)
        page.wait_for_timeout(300)  # lets the browser speak
        assert asked.acquire(timeout=15)
        page.goto(f"{stage.home}/requests/{name}")
    answer.set()
    for _ in range(20):
        page.goto(f"{stage.home}/requests/{name}")
        if page.inner_text("h1") == "Đã phê duyệt":
            break
    assert page.inner_text("h1") == "Đã phê duyệt"
    assert stage.given() == before + 1


def test_of_two_tabs_on_one_request_the_second_is_told_how_it_ended(
    page: Page, context: BrowserContext, stage: PasskeyStage
) -> None:
    name = stage.reviewed("quyết định.pdf").activation_id
    before, other = stage.given(), context.new_page()
    plug_in(other)
    for each in (page, other):
        each.goto(f"{stage.home}/requests/{name}")
    page.click(APPROVE)
    page.wait_for_selector("h1:has-text('Đã phê duyệt')")
    other.click(APPROVE)
    other.wait_for_selector("h1:has-text('Đã phê duyệt')")
    other.close()
    assert stage.given() == before + 1


@pytest.fixture(scope="module")
def shown() -> Iterator[Stage]:
    with running_stage() as started:
        yield started


def test_hostile_labels_are_only_text_in_the_list_the_batch_and_the_history(
    browser: Browser, shown: Stage
) -> None:
    context = Look(width=320).open(browser)
    page = context.new_page()
    said = complaints(page)
    text = HOSTILE + "x" * 400
    details = CAME_BY_ITSELF["details"] | {"document_name": text, "label": text, "reference": text}
    document = {"label": text, "digest": "00" * 32}
    told = {"client_name": text, "description": text, "details": details, "documents": [document]}
    for name in (REQUEST, OTHER_REQUEST):
        looked_at = CAME_BY_ITSELF | {"codes": [], "verification_code": CODE}
        shown.rssp.add_request(name, **(looked_at | told))
        shown.rssp.add_past(name, **told)
    sign_in(page, shown)
    for address in ("/", "/batch", f"/requests/{REQUEST}", "/history", f"/history/{REQUEST}"):
        page.goto(shown.home + address)
        assert "<script>" in page.inner_text("main"), address
        assert page.query_selector("main img:not(.logo), main script") is None, address
        assert page.title() != "1", address
        assert "\u202e" not in page.inner_text("main"), address
        assert page.evaluate("document.documentElement.scrollWidth") == 320, address
    assert said == []
    context.close()
