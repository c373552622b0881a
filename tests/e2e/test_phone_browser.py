"""The app on the phone in Chromium: installed, without a connection, live list, badge, push."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from consent_app.config import LiveConfig
from tests.e2e.test_consent_browser import complaints, faults
from tests.support.consent_api import CAME_BY_ITSELF, OTHER_REQUEST, REQUEST
from tests.support.consent_stage import Look, Stage, answer, running_stage, sign_in
from tests.support.fake_phone import PUBLIC_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

HERE = f"/requests/{REQUEST}"
QUICK = LiveConfig(period=0.2, heartbeat=0.5)
READY = "navigator.serviceWorker.controller !== null"
KEPT = """
async () => {
  const found = [];
  for (const name of await caches.keys())
    if (name.startsWith('pages'))
      for (const each of await (await caches.open(name)).keys())
        found.push(new URL(each.url).pathname);
  return found.sort();
}
"""
COUNTED = """
window.told = [];
navigator.setAppBadge = async (count) => { window.told.push(count); };
navigator.clearAppBadge = async () => { window.told.push(0); };
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with running_stage(QUICK) as started:
        yield started


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.reset()
    running.rssp.add_request()
    running.rssp.add_past()
    return running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    found = Look().open(browser)
    found.add_init_script(COUNTED)
    yield found
    found.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def wait(page: Page, is_so: Callable[[], object]) -> None:
    """Until it is; outside the page, whose policy forbids to poll inside."""
    for _ in range(400):
        if is_so():
            return
        page.wait_for_timeout(50)
    pytest.fail("it never is")


def settled(page: Page) -> None:
    """Until the worker answers for this page."""
    wait(page, lambda: page.evaluate(READY))


def kept(page: Page, *paths: str) -> None:
    """Until exactly these pages are kept."""
    wait(page, lambda: page.evaluate(KEPT) == sorted(paths))


def shown(page: Page, url: str) -> str:
    """What ``url`` shows; nothing when the browser has nothing to show."""
    try:
        page.goto(url)
    except PlaywrightError:
        return ""
    return page.inner_text("body")


def pushed(page: Page, stage: Stage) -> tuple[str, str]:
    """Title and body of the notification that an empty message leads to."""
    cdp = page.context.new_cdp_session(page)
    known: list[dict[str, Any]] = []
    cdp.on(
        "ServiceWorker.workerRegistrationUpdated", lambda told: known.extend(told["registrations"])
    )
    cdp.send("ServiceWorker.enable")
    wait(page, lambda: any(each["scopeURL"] == f"{stage.home}/" for each in known))
    found = next(each for each in known if each["scopeURL"] == f"{stage.home}/")
    message = {"origin": stage.home, "registrationId": found["registrationId"], "data": ""}
    shown: list[list[str]] = []
    looks = itertools.count()

    def is_shown() -> bool:
        # Again after a while: a message that meets a worker which is just being stopped is lost.
        if next(looks) % 100 == 0:
            cdp.send("ServiceWorker.deliverPushMessage", message)
        shown[:] = page.evaluate(
            """async () => {
              const found = await (await navigator.serviceWorker.ready).getNotifications();
              const told = found.map((each) => [each.title, each.body]);
              found.forEach((each) => each.close());
              return told;
            }"""
        )
        return bool(shown)

    wait(page, is_shown)
    cdp.detach()
    (one,) = shown
    return one[0], one[1]


def read_all(page: Page, stage: Stage) -> None:
    """Sign in, and see the list, the history and a receipt."""
    sign_in(page, stage)
    settled(page)
    for path in ("/", "/history", f"/history/{REQUEST}"):
        page.goto(stage.home + path)
    kept(page, "/", "/history", f"/history/{REQUEST}")


def test_the_browser_finds_nothing_amiss_with_installing_it(page: Page, stage: Stage) -> None:
    said = complaints(page)
    sign_in(page, stage)
    settled(page)
    cdp = page.context.new_cdp_session(page)
    manifest = cdp.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert json.loads(manifest["data"])["display"] == "standalone"
    errors = cdp.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A page in a private window is never installed; nothing else may be amiss.
    assert {each["errorId"] for each in errors} <= {"in-incognito"}
    assert said == []


def test_list_history_and_receipts_are_read_without_a_connection_as_old_copies(
    page: Page, stage: Stage
) -> None:
    read_all(page, stage)
    page.context.set_offline(offline=True)
    for path, words in (
        ("/", "1 yêu cầu"),
        ("/history", "Đã ký"),
        (f"/history/{REQUEST}", "Biên nhận"),
    ):
        page.goto(stage.home + path)
        assert re.search(r"Bản lưu cũ lúc \d\d/\d\d/\d{4} \d\d:\d\d", page.inner_text(".old-copy"))
        assert words in page.inner_text("main"), path
        assert page.locator("main form").filter(visible=True).count() == 0
    page.goto(stage.home + HERE)  # it has a form for a PIN: never kept
    assert page.inner_text("h1") == "Không có kết nối"
    page.context.set_offline(offline=False)
    page.click("main a.main")
    page.wait_for_selector("#pin")


def test_the_workers_own_pages_have_the_look_that_was_chosen(page: Page, stage: Stage) -> None:
    sign_in(page, stage)
    settled(page)
    page.goto(stage.home + "/settings")
    page.check("input[name=theme][value=dark]")
    page.check("input[name=text_size][value='150']")
    page.check("input[name=simple]")
    page.click("form[action='/settings'] button")
    page.wait_for_selector(".notice")
    # Chosen on a page that names nobody: it is known from the answer itself.
    dressed = "caches.match('/offline/vi/offline?look=dark.150.1').then((found) => !!found)"
    wait(page, lambda: page.evaluate(dressed))
    page.context.set_offline(offline=True)
    page.goto(stage.home + HERE)
    assert page.inner_text("h1") == "Không có kết nối"
    assert page.evaluate("document.documentElement.dataset.text") == "150"
    assert page.evaluate("'simple' in document.documentElement.dataset")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert faults(page, Look()) == []
    page.context.set_offline(offline=False)


def test_no_page_with_a_secret_and_no_form_of_one_is_ever_kept(page: Page, stage: Stage) -> None:
    read_all(page, stage)
    for path in (HERE, "/devices/add", "/activate", "/security", "/batch"):
        page.goto(stage.home + path)
    page.goto(stage.home + HERE)
    answer(page, pin="12345678")
    everything = page.evaluate(
        """async () => {
          let all = '';
          for (const name of await caches.keys())
            for (const each of await (await caches.open(name)).matchAll())
              if (each.headers.get('content-type').includes('html')) all += await each.text();
          return all;
        }"""
    )
    kept(page, "/", "/history", f"/history/{REQUEST}")
    assert "12345678" not in everything
    assert 'type="password"' not in everything
    assert stage.rssp.session not in everything


def test_an_approval_without_a_connection_is_off_and_never_sent_later(
    page: Page, stage: Stage
) -> None:
    read_all(page, stage)
    page.goto(stage.home + HERE)
    sent = stage.rssp.count("POST", "/approve")
    page.context.set_offline(offline=True)
    expect(page.locator("form[action$='/approve'] button")).to_be_disabled()
    expect(page.locator("[data-no-connection]")).to_be_visible()
    expect(page.locator("form[action='/sign-out'] button")).to_be_enabled()
    assert faults(page, Look()) == []
    # A browser that has not noticed sends it all the same: the worker says that it was not.
    page.evaluate("document.querySelectorAll('button').forEach((each) => each.disabled = false)")
    answer(page)
    assert page.inner_text("h1") == "Chưa gửi được"
    page.context.set_offline(offline=False)
    page.wait_for_timeout(300)
    assert stage.rssp.count("POST", "/approve") == sent
    page.click("main a.main")
    page.wait_for_selector("#pin")  # it waits as before


def test_buttons_come_back_with_the_connection_and_typed_words_stay(
    page: Page, stage: Stage
) -> None:
    sign_in(page, stage, HERE)
    settled(page)
    page.click(".refuse summary")
    page.fill("#text", "Thiếu phụ lục")
    page.fill("#pin", "12345678")
    page.context.set_offline(offline=True)
    expect(page.locator("button.danger")).to_be_disabled()
    page.context.set_offline(offline=False)
    expect(page.locator("button.danger")).to_be_enabled()
    page.goto(stage.home + "/")
    page.goto(stage.home + HERE)
    assert page.input_value("#text") == "Thiếu phụ lục"
    assert page.input_value("#pin") == ""
    page.context.set_offline(offline=True)
    page.goto(stage.home + HERE)  # a page with no session in it, though nobody has signed out
    assert page.inner_text("h1") == "Không có kết nối"
    page.context.set_offline(offline=False)
    page.goto(stage.home + HERE)
    assert page.input_value("#text") == "Thiếu phụ lục"
    page.click("form[action='/sign-out'] button")
    sign_in(page, stage, HERE)
    assert page.input_value("#text") == ""


def test_a_form_of_another_site_goes_past_the_worker_and_does_nothing(
    page: Page, stage: Stage
) -> None:
    read_all(page, stage)
    page.goto(stage.portal + "/evil")
    page.evaluate(
        f"""() => {{
          const form = document.createElement('form');
          form.method = 'post';
          form.action = '{stage.home}{HERE}/refuse';
          document.body.append(form);
          form.submit();
        }}"""
    )
    page.wait_for_url(f"{stage.home}/**")
    assert stage.rssp.requests[REQUEST]["state"] == "PENDING"
    assert stage.rssp.denials == []


def test_the_worker_does_not_loosen_where_an_answer_may_lead(page: Page, stage: Stage) -> None:
    stage.rssp.add_request(redirect_origin="https://somewhere.else.example")
    read_all(page, stage)
    page.goto(stage.home + HERE)
    said = complaints(page)
    answer(page)
    wait(page, lambda: any("form-action" in line for line in said))
    assert page.url.startswith(stage.home)


def test_the_list_the_title_and_the_badge_follow_what_waits(page: Page, stage: Stage) -> None:
    said = complaints(page)
    sign_in(page, stage)
    page.focus(f"a[href='{HERE}']")
    stage.rssp.add_request(OTHER_REQUEST, **CAME_BY_ITSELF)
    page.wait_for_selector(f"a[href='/requests/{OTHER_REQUEST}']")
    assert "(2)" in page.title()
    assert page.evaluate("window.told.at(-1)") == 2
    assert page.evaluate("document.activeElement.getAttribute('href')") == HERE
    expect(page.locator("[data-live-said]")).to_contain_text("2 yêu cầu")
    stage.rssp.requests.clear()
    page.wait_for_selector(".empty")
    assert "(" not in page.title()
    assert page.evaluate("window.told.at(-1)") == 0
    assert said == []


def test_who_is_typing_a_search_is_not_interrupted(page: Page, stage: Stage) -> None:
    stage.rssp.add_request(OTHER_REQUEST)
    sign_in(page, stage)
    page.click(".finder summary")
    page.fill("#q", "bổ nhi")
    stage.rssp.requests.pop(OTHER_REQUEST)
    page.wait_for_selector("[data-live-told=changed]:not([hidden])")
    assert page.input_value("#q") == "bổ nhi"
    assert "(1)" in page.title()


def test_what_was_unfolded_stays_so_in_a_new_list(page: Page, stage: Stage) -> None:
    stage.rssp.add_request(OTHER_REQUEST)
    sign_in(page, stage)
    page.click(".finder summary")
    stage.rssp.add_request("01mcc5rm00mratbh8wk05wn2gx")
    page.wait_for_selector("a[href='/requests/01mcc5rm00mratbh8wk05wn2gx']")
    expect(page.locator("#q")).to_be_visible()


def test_a_stream_ends_with_the_session_and_when_its_page_is_gone(page: Page, stage: Stage) -> None:
    streams = stage.app.state.site.live
    sign_in(page, stage)
    wait(page, lambda: len(streams) == 1)
    page.goto(stage.home + "/history")
    wait(page, lambda: len(streams) == 0)
    page.goto(stage.home + "/")
    wait(page, lambda: len(streams) == 1)
    stage.rssp.session_is_valid = False
    page.wait_for_url(f"{stage.home}/sign-in**")
    wait(page, lambda: len(streams) == 0)


def test_a_message_without_content_is_shown_with_the_count_in_the_persons_language(
    page: Page, stage: Stage
) -> None:
    page.context.grant_permissions(["notifications"])
    sign_in(page, stage)
    settled(page)
    page.goto(stage.home + "/help")
    assert pushed(page, stage) == ("Có yêu cầu đang chờ", "Đang chờ bạn trả lời: 1")
    stage.rssp.session_is_valid = False
    assert pushed(page, stage) == ("Có yêu cầu đang chờ", "Hãy đăng nhập để xem yêu cầu đang chờ.")


def test_permission_is_asked_on_a_click_alone(page: Page, stage: Stage) -> None:
    stage.rssp.phone.public_key = PUBLIC_KEY
    page.add_init_script(
        "window.asked = 0;"
        "Notification.requestPermission = async () => { window.asked += 1; return 'default'; };"
    )
    sign_in(page, stage, "/devices")
    page.wait_for_selector("[data-push-told=off]:not([hidden])")
    assert page.evaluate("window.asked") == 0
    page.click("[data-push-on] button")
    wait(page, lambda: page.evaluate("window.asked") == 1)
    assert stage.rssp.phone.endpoints == []


def test_installing_is_offered_quietly_and_left_alone_when_not_now(
    page: Page, stage: Stage
) -> None:
    sign_in(page, stage)
    assert not page.is_visible("#install")
    page.evaluate(
        """() => {
          const event = new Event('beforeinstallprompt', { cancelable: true });
          event.prompt = async () => { window.prompted = true; };
          window.isCancelled = !dispatchEvent(event);
        }"""
    )
    assert page.evaluate("window.isCancelled")
    assert page.is_visible("#install")
    page.click("[data-install-button] button")
    assert page.evaluate("window.prompted")
    page.click("[data-install-later] button")
    page.reload()
    page.evaluate("() => dispatchEvent(new Event('beforeinstallprompt', { cancelable: true }))")
    assert not page.is_visible("#install")
    page.goto(stage.home + "/help")
    assert "Safari" in page.inner_text("#install")
