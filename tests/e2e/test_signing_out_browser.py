"""Signing out in Chromium when a part of it fails, coming back, and a form that got lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_phone_browser import kept, read_all, settled, wait
from tests.support.consent_stage import Look, Stage, running_stage, sign_in
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
