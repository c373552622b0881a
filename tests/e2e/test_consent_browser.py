"""The consent page in Chromium: flows with and without JavaScript, looks, reach, attacks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from starlette.responses import JSONResponse

from tests.support.consent_api import OTP, PASSWORD, PIN, REQUEST, SERVICE
from tests.support.consent_stage import (
    ALL_LOOKS,
    LARGE_TEXT,
    LOOKS,
    Look,
    Stage,
    answer,
    launched,
    running_stage,
    sign_in,
    tour,
)
from tests.support.reports import report, signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page, Request

AXE = Path(__file__).parents[1] / "data" / "axe-core" / "axe.min.js"
HERE = f"/requests/{REQUEST}"
SMALLEST_TARGET = 48
SEEN = ALL_LOOKS if os.environ.get("CONSENT_LOOKS") == "all" else LOOKS
WITH_AND_WITHOUT_SCRIPTS = [Look(scripts=True), Look(scripts=False)]

# Boxes of everything that is tapped. A link inside a sentence is as high as its line.
TARGETS = """
() => [...document.querySelectorAll('a:not(.skip), button, input:not([type=hidden]), summary')]
  .map(e => e.matches("[type=radio], [type=checkbox]") ? e.closest("label") : e)
  .filter(e => e.checkVisibility())
  .map(e => ({what: e.outerHTML.slice(0, 80), box: e.getBoundingClientRect()}))
  .map(({what, box}) => ({what, width: box.width, height: box.height}))
"""
RUN_AXE = """
async () => (await axe.run({resultTypes: ['violations']})).violations
  .map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).join(', '))
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with running_stage() as started:
        yield started


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.reset()
    running.rssp.add_request()
    return running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = Look().open(browser)
    yield context.new_page()
    context.close()


@pytest.fixture(params=WITH_AND_WITHOUT_SCRIPTS, ids=str)
def any_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """With and without JavaScript."""
    context = request.param.open(browser)
    yield context.new_page()
    context.close()


def complaints(page: Page) -> list[str]:
    """What the browser will say about the content security policy from here on."""
    found: list[str] = []
    page.on(
        "console",
        lambda message: found.append(message.text) if "Content Security" in message.text else None,
    )
    return found


# ---------------------------------------------------------------------------------------- flows


def test_an_official_signs_in_compares_approves_and_is_back_at_the_portal(
    any_page: Page, stage: Stage
) -> None:
    said = complaints(any_page)
    sign_in(any_page, stage, HERE)
    assert any_page.inner_text(".code > span:first-child").split() == list("4821")
    answer(any_page)
    any_page.wait_for_url(f"{stage.portal}/callback?code=abc&state=xyz")
    assert stage.rssp.requests[REQUEST]["state"] == "AUTHORIZED"
    assert said == []


def test_an_official_consents_by_sim_and_is_back_at_the_portal(
    any_page: Page, stage: Stage
) -> None:
    said = complaints(any_page)
    stage.rssp.add_sim()
    sign_in(any_page, stage, HERE)
    any_page.click("#sim button")
    any_page.wait_for_selector("[data-sim-state]")
    assert any_page.inner_text(".code > span:first-child").split() == list("4821")
    assert "ký 2 văn bản" in any_page.inner_text(".phone")
    stage.rssp.sim_says("APPROVED")
    any_page.wait_for_url(f"{stage.portal}/callback?code=abc&state=xyz")
    assert said == []


def test_a_sims_refusal_is_told_and_the_request_can_still_be_answered(
    any_page: Page, stage: Stage
) -> None:
    stage.rssp.add_sim()
    sign_in(any_page, stage, HERE)
    any_page.click("#sim button")
    any_page.wait_for_selector("[data-sim-state]")
    stage.rssp.sim_says("REFUSED", "Bạn đã từ chối trên điện thoại.")
    any_page.wait_for_selector(".notice.bad")
    assert "Bạn đã từ chối trên điện thoại." in any_page.inner_text("main")
    any_page.click("main .actions a")
    answer(any_page)
    any_page.wait_for_url(f"{stage.portal}/callback?code=abc&state=xyz")


def test_an_official_withdraws_the_question_and_a_busy_sim_is_told(
    any_page: Page, stage: Stage
) -> None:
    stage.rssp.add_sim()
    sign_in(any_page, stage, HERE)
    any_page.click("#sim button")
    any_page.click("form[action$='/sim/cancel'] button")
    any_page.wait_for_selector(".notice.bad")
    assert "đã hủy" in any_page.inner_text("main")
    stage.rssp.sim_is_busy = True
    any_page.click("main .actions a")
    any_page.click("#sim button")
    any_page.wait_for_selector(".notice.wait")
    stage.rssp.sim_is_busy = False


def test_an_official_refuses_and_is_back_at_the_portal(any_page: Page, stage: Stage) -> None:
    sign_in(any_page, stage, HERE)
    assert not any_page.is_visible("button.danger")
    any_page.click(".refuse summary")
    any_page.click("button.danger")
    any_page.wait_for_url(f"{stage.portal}/callback?error=access_denied&state=xyz")


def test_a_wrong_code_is_told_beside_the_form_and_can_be_repeated(
    any_page: Page, stage: Stage
) -> None:
    sign_in(any_page, stage, HERE)
    answer(any_page, pin="12345678")
    assert "Còn 4 lần thử" in any_page.inner_text("#answer [role=alert]")
    assert any_page.url.endswith(f"{HERE}#answer")
    assert any_page.input_value("#pin") == ""
    answer(any_page)
    any_page.wait_for_url(f"{stage.portal}/callback?**")


def test_the_back_button_after_approval_shows_that_it_is_done(any_page: Page, stage: Stage) -> None:
    sign_in(any_page, stage, HERE)
    answer(any_page)
    any_page.wait_for_url(f"{stage.portal}/callback?**")
    any_page.go_back()
    assert any_page.inner_text("h1") == "Đã phê duyệt"
    assert any_page.query_selector("#pin") is None


def test_a_reload_after_a_wrong_code_is_not_another_attempt(any_page: Page, stage: Stage) -> None:
    sign_in(any_page, stage, HERE)
    answer(any_page, pin="12345678")
    any_page.wait_for_selector(".notice.bad")
    any_page.reload()
    any_page.reload()
    assert stage.rssp.attempts_left == 4


def test_a_double_click_is_one_approval(page: Page, stage: Stage) -> None:
    sign_in(page, stage, HERE)
    page.fill("#pin", PIN)
    page.fill("#otp", OTP)
    calls = len(stage.rssp.calls)
    page.dblclick("form[action$='/approve'] button")
    expect(page).to_have_url(f"{stage.portal}/callback?code=abc&state=xyz")  # one way is broken off
    asked = [path for method, path in stage.rssp.calls[calls:] if method == "POST"]
    assert asked == [f"/consent/v1{HERE}/approve"]


def test_access_to_the_list_is_allowed(any_page: Page, stage: Stage) -> None:
    stage.rssp.add_service()
    sign_in(any_page, stage, f"/services/{SERVICE}")
    any_page.click("form[action$='/approve'] button")
    any_page.wait_for_url(f"{stage.portal}/callback?code=abc&state=xyz")


def test_the_language_is_switched_and_stays(any_page: Page, stage: Stage) -> None:
    sign_in(any_page, stage, HERE)
    any_page.click("a.language")
    assert any_page.inner_text("h1") == "Signature request"
    assert any_page.url == stage.home + HERE
    any_page.goto(stage.home)
    assert any_page.inner_text("h1") == "Waiting requests"


def test_settings_hold_from_the_next_page_on(any_page: Page, stage: Stage) -> None:
    any_page.goto(f"{stage.home}/settings")
    any_page.check("[name=simple]")
    any_page.check("[name=theme][value=dark]")
    any_page.check("[name=text_size][value='150']")
    any_page.click("main form button.main")
    any_page.wait_for_selector(".notice.good")
    sign_in(any_page, stage, HERE)
    look = "page => [getComputedStyle(page).fontSize, getComputedStyle(page).colorScheme]"
    assert any_page.locator("html").evaluate(look) == ["27px", "dark"]
    assert not any_page.is_visible("text=5F3A 9C1E")
    any_page.click("summary:has-text('Số kỹ thuật')")
    assert any_page.is_visible("text=5F3A 9C1E")


def test_everything_can_be_done_with_the_keyboard(page: Page, stage: Stage) -> None:
    page.goto(stage.home + HERE)
    page.wait_for_selector("[data-start]:not([hidden])")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert "data-start" in page.evaluate("document.activeElement.outerHTML"), "the passkey first"
    page.keyboard.press("Tab")
    page.keyboard.type("minhkhai")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#pin")
    for _ in range(10):
        if page.evaluate("document.activeElement.id") == "pin":
            break
        page.keyboard.press("Tab")
    page.keyboard.type(PIN)
    page.keyboard.press("Tab")
    page.keyboard.type(OTP)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stage.portal}/callback?**")


# ---------------------------------------------------------------------------------------- looks


@pytest.mark.parametrize(
    "look", ALL_LOOKS if os.environ.get("CONSENT_LOOKS") == "all" else LOOKS, ids=str
)
def test_every_page_fits_is_reachable_and_has_no_barrier(
    browser: Browser, running: Stage, look: Look, record_property: Callable[[str, object], None]
) -> None:
    with launched(browser, *([LARGE_TEXT] if look.large else [])) as chromium:
        page = look.open(chromium).new_page()
        look.keep(page, running)
        said = complaints(page)
        pages = tour(page, running, is_whole=look.kept != "" or SEEN is ALL_LOOKS)
        found = {name: faults(page, look) for name in pages}
    record_property("screens", len(found))
    record_property("barriers", sum(map(len, found.values())))
    assert len(found) >= 17
    assert {name: each for name, each in found.items() if each} == {}
    assert said == []


def faults(page: Page, look: Look) -> list[str]:
    """What is wrong with the page that is shown."""
    page.wait_for_load_state("load")  # waits outside the page: its policy forbids to poll inside
    width = page.locator("html").evaluate("page => page.scrollWidth")
    found = [f"scrolls sideways: {width} px"] if width > look.width else []
    found += [
        f"small target: {target}"
        for target in page.evaluate(TARGETS)
        if min(target["width"], target["height"]) < SMALLEST_TARGET
    ]
    if page.get_attribute("html", "lang") != look.language:
        found.append("language")
    page.evaluate(AXE.read_text("utf-8"))
    found += page.evaluate(RUN_AXE)
    return found


def test_a_file_that_is_dropped_on_the_form_is_checked(page: Page, stage: Stage) -> None:
    said = complaints(page)
    stage.rssp.validated = JSONResponse(report(signature()))
    page.goto(f"{stage.home}/validate")
    page.evaluate(
        """
        () => {
          const dropped = new DataTransfer();
          dropped.items.add(new File(["%PDF-1.7 dropped"], "quyet-dinh.pdf"));
          document.querySelector("form.drop").dispatchEvent(
            new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true}));
        }
        """
    )
    page.wait_for_selector(".outcome.good")
    assert page.inner_text("h1") == "Chữ ký số hợp lệ"
    assert b"%PDF-1.7 dropped" in stage.rssp.sent
    assert said == []


def test_a_page_is_small(page: Page, stage: Stage) -> None:
    asked: list[Request] = []

    def note(request: Request) -> None:
        asked.append(request)

    page.on("requestfinished", note)
    page.goto(f"{stage.home}/sign-in")
    page.wait_for_load_state("networkidle")
    told = [each.sizes() for each in asked]
    sizes = [each["responseHeadersSize"] + each["responseBodySize"] for each in told]
    assert 0 < sum(sizes) < 30_000


# -------------------------------------------------------------------------------------- attacks


def test_no_script_can_read_the_session(page: Page, stage: Stage) -> None:
    sign_in(page, stage)
    assert page.evaluate("document.cookie") == ""


def test_the_page_cannot_be_framed(page: Page, stage: Stage) -> None:
    sign_in(page, stage)
    page.goto(stage.portal)
    page.set_content(f'<iframe src="{stage.home}{HERE}"></iframe>')
    page.wait_for_timeout(500)
    assert [frame for frame in page.frames if frame.url.startswith(stage.home)] == []


def test_another_sites_form_approves_nothing(page: Page, stage: Stage) -> None:
    sign_in(page, stage)
    page.goto(stage.portal.replace("127.0.0.1", "localhost"))
    page.set_content(
        f'<form method="post" action="{stage.home}{HERE}/refuse"><button>Gift</button></form>'
    )
    page.click("button")
    assert page.inner_text("h1") == "Biểu mẫu không được chấp nhận"
    assert stage.rssp.requests[REQUEST]["state"] == "PENDING"


def test_an_answer_leads_nowhere_but_to_the_portal_that_was_named(page: Page, stage: Stage) -> None:
    stage.rssp.add_request(redirect_origin="https://somewhere.else.example")
    said = complaints(page)
    sign_in(page, stage, HERE)
    answer(page)
    page.wait_for_timeout(500)
    assert page.url.startswith(stage.home)
    assert any("form-action" in line for line in said)


def test_hostile_labels_do_nothing(page: Page, stage: Stage) -> None:
    hostile = '"><img src=x onerror="document.title=1"><script>document.title=1</script>\u202e'
    document = {"label": hostile + "x" * 400, "digest": "00" * 32}
    stage.rssp.add_request(client_name=hostile, description=hostile, documents=[document])
    sign_in(page, stage, HERE)
    assert page.title().startswith("Yêu cầu ký số")
    assert page.query_selector("main img:not(.logo), main script") is None
    assert page.evaluate("document.documentElement.scrollWidth") == 360
