"""What is left in Chromium: after signing out, of a form that was not sent, of a code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_phone_browser import kept, read_all, settled, shown, wait
from tests.support.consent_api import PASSWORD, REQUEST, SIGNER
from tests.support.consent_stage import Look, Stage, running_stage, sign_in
from tests.support.fake_coming_in import ACTIVATION_CODE, HELD, held
from tests.support.fake_phone import PUBLIC_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Request


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with running_stage() as started:
        yield started


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.reset()
    running.rssp.add_request()
    running.rssp.add_past()
    return running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = Look().open(browser)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("way", ["/sign-out", "/account/sign-out", "offline", "elsewhere"])
def test_nothing_is_left_after_signing_out(page: Page, stage: Stage, way: str) -> None:
    read_all(page, stage)
    page.goto(stage.home + "/security")
    if way == "elsewhere":  # signed out everywhere at another device, or the session was over
        stage.rssp.session_is_valid = False
        page.goto(stage.home + "/")
        assert page.url.startswith(f"{stage.home}/sign-in")
    else:
        page.context.set_offline(offline=way == "offline")
        page.click(f"form[action='{'/sign-out' if way == 'offline' else way}'] button")
    kept(page)
    page.context.set_offline(offline=True)
    assert "Đã ký" not in shown(page, stage.home + "/history")


def test_another_person_finds_nothing_of_the_one_before(
    page: Page, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_all(page, stage)
    # Not even a sign-in form was between them.
    monkeypatch.setitem(SIGNER, "person", "c29tZWJvZHktZWxzZS1hbG")
    page.goto(stage.home + "/history")
    kept(page, "/history")
    page.context.set_offline(offline=True)
    page.goto(f"{stage.home}/history/{REQUEST}")
    assert page.inner_text("h1") == "Không có kết nối"


def test_nothing_is_left_where_no_worker_wipes(page: Page, stage: Stage) -> None:
    read_all(page, stage)
    page.add_init_script("ServiceWorkerContainer.prototype.register = () => new Promise(() => {});")
    page.goto(stage.home + "/security")
    page.evaluate("navigator.serviceWorker.ready.then((there) => there.unregister())")
    page.evaluate("localStorage.setItem('push person', 'somebody')")
    page.click("form[action='/sign-out'] button")
    kept(page)
    assert page.evaluate("navigator.serviceWorker.controller") is None
    assert page.evaluate("localStorage.getItem('push person')") is None
    wait(page, lambda: page.evaluate("caches.has('state').then((there) => !there)"))


def test_signing_out_does_not_wait_for_a_cache_that_never_answers(page: Page, stage: Stage) -> None:
    read_all(page, stage)
    page.goto(stage.home + "/security")
    (worker,) = page.context.service_workers
    worker.evaluate("() => { caches.delete = () => new Promise(() => {}); }")
    page.click("form[action='/sign-out'] button")
    page.wait_for_selector("#username")
    kept(page)  # the page's script did it
    sign_in(page, stage)
    page.wait_for_selector("[data-live]")


def test_signing_out_and_in_again_goes_through_one_worker(page: Page, stage: Stage) -> None:
    """A worker that is replaced while a page is on its way can lose that page for ever."""
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.context.on("request", note)
    sign_in(page, stage)
    page.click("form[action='/sign-out'] button")  # before the first worker has come
    sign_in(page, stage)
    settled(page)
    page.click("form[action='/sign-out'] button")
    sign_in(page, stage)
    settled(page)
    # Each worker that is installed asks for the pages it shows without a connection.
    assert len([each for each in asked if "/offline/vi/offline" in each]) == 1


def test_the_page_of_a_form_that_was_not_sent_leads_back_to_where_it_stood(
    page: Page, stage: Stage
) -> None:
    stage.rssp.phone.public_key, stage.rssp.phone.endpoints = PUBLIC_KEY, ["https://push.example/1"]
    sign_in(page, stage, "/devices")
    settled(page)
    page.context.set_offline(offline=True)
    page.evaluate("document.querySelectorAll('button').forEach((each) => each.disabled = false)")
    page.click("form[action='/devices/push/all'] button")
    assert page.inner_text("h1") == "Chưa gửi được"
    page.context.set_offline(offline=False)
    page.click("main a.main")
    page.wait_for_url(f"{stage.home}/devices")
    assert stage.rssp.phone.endpoints == ["https://push.example/1"]


CODE_LEFT = "sessionStorage.getItem('activation-code')"


def opened_by_code(page: Page, stage: Stage) -> None:
    """An account is opened by the link of a code, and its PIN is still to be chosen."""
    stage.rssp.coming_in.credentials = [held(has_pin=True, may_choose_pin=True)]
    page.goto(f"{stage.home}/activate#{ACTIVATION_CODE}")
    page.wait_for_selector("#password:focus")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/welcome")
    assert ACTIVATION_CODE in page.evaluate(CODE_LEFT)


def test_an_activation_code_is_kept_on_the_way_to_the_pin_and_nowhere_else(
    page: Page, stage: Stage
) -> None:
    opened_by_code(page, stage)
    page.goto(stage.home + "/devices/add")  # a step between
    page.goto(f"{stage.home}/pins/{HELD}/choose")
    page.wait_for_selector("#new_pin:focus")
    assert page.input_value("#code") == ACTIVATION_CODE
    assert page.evaluate(CODE_LEFT) is None
    page.reload()
    assert page.input_value("#code") == "", "typed once more"
    opened_by_code(page, stage)
    page.goto(stage.home + "/")
    wait(page, lambda: page.evaluate(CODE_LEFT) is None)


def test_an_activation_code_is_kept_for_ten_minutes(page: Page, stage: Stage) -> None:
    page.clock.install()
    opened_by_code(page, stage)
    page.clock.fast_forward("09:50")
    assert page.evaluate(CODE_LEFT) is not None
    page.clock.fast_forward("00:11")
    assert page.evaluate(CODE_LEFT) is None
    opened_by_code(page, stage)
    page.evaluate(f"sessionStorage.setItem('activation-code', '1 {ACTIVATION_CODE}')")
    page.goto(f"{stage.home}/pins/{HELD}/choose")
    assert page.input_value("#code") == ""
