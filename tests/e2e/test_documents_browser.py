"""What you see is what you sign, in Chromium: documents shown, checked, read, and tampered with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.attachments import pages
from tests.support.consent_api import OTP, PIN, REQUEST
from tests.support.consent_stage import DECISION, Look, Stage, answer, running_stage, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route

HERE = f"/requests/{REQUEST}"
DOCUMENT = f"{HERE}/documents/0"
PDF = "application/pdf"
TEXT = "Điều 1. Bổ nhiệm ông Nguyễn Văn An.\n".encode()
VENDOR = Path(__file__).parents[2] / "consent_app" / "vendor" / "pdfjs"


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with running_stage() as started:
        yield started


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.reset()
    running.rssp.add_request(count=1)
    running.rssp.attach(DECISION.read_bytes(), PDF, pages=1)
    return running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = Look().open(browser)
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def visit(page: Page, stage: Stage) -> None:
    sign_in(page, stage, HERE)
    page.goto(stage.home + DOCUMENT)


def read_to_the_end(page: Page) -> None:
    page.wait_for_selector("[data-end]:not([hidden])")
    page.keyboard.press("End")
    page.wait_for_selector("[data-read]")


def shown(page: Page) -> list[str]:
    """Which words of the document's page are shown."""
    found = page.locator("#document [data-told]").all()
    return [str(each.get_attribute("data-told")) for each in found if each.is_visible()]


def settled(page: Page) -> list[str]:
    page.locator("#document [data-told=loading]").wait_for(state="hidden")
    page.locator("#document [data-told]:not([data-told=loading]):not([hidden])").first.wait_for()
    return shown(page)


def test_an_official_reads_a_checked_pdf_to_its_end_and_then_approves(
    page: Page, stage: Stage
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    sign_in(page, stage, HERE)
    approve = page.locator("#answer button.main")
    expect(approve).to_be_disabled()
    assert not any("pdf" in url for url in loaded)  # nothing of it before a document is opened
    page.click("a.open")
    page.wait_for_selector("canvas")
    assert settled(page) == ["checked"]
    assert "Độc lập - Tự do - Hạnh phúc" in page.inner_text(".sheet .unseen")
    assert page.get_attribute("#document", "data-read") is None
    page.go_back()
    expect(approve).to_be_disabled()
    page.go_forward()
    page.wait_for_selector("canvas")
    read_to_the_end(page)
    page.click("[data-end] a")
    expect(approve).to_be_enabled()
    answer(page)
    page.wait_for_url(f"{stage.portal}/callback?code=abc&state=xyz")
    assert said == []


def test_a_document_is_read_and_approved_with_the_keyboard(page: Page, stage: Stage) -> None:
    visit(page, stage)
    page.wait_for_selector("canvas")
    read_to_the_end(page)
    for _ in range(12):
        if page.evaluate("document.activeElement.closest('[data-end]') !== null"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(stage.home + HERE)
    expect(page.locator("#answer button.main")).to_be_enabled()
    page.focus("#pin")
    page.keyboard.type(PIN)
    page.keyboard.press("Tab")
    page.keyboard.type(OTP)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stage.portal}/callback?**")


def test_without_scripts_pages_are_pictures_and_a_box_has_to_be_ticked(
    browser: Browser, stage: Stage
) -> None:
    stage.rssp.attach(pages(7), PDF, pages=7)
    page = Look(scripts=False).open(browser).new_page()
    sign_in(page, stage, HERE)
    page.click("a.open")
    page.click("noscript a.main")
    assert page.locator("img.sheet").count() == 5
    page.click(".actions a")
    assert page.locator("img.sheet").count() == 2
    drawn = "image => image.decode().then(() => image.naturalWidth)"
    width = page.locator("img.sheet").first.evaluate(drawn)
    assert width == 1100
    page.click(".actions a")
    answer(page)
    assert page.url == stage.home + HERE  # the browser asks for the box
    assert stage.rssp.requests[REQUEST]["state"] == "PENDING"
    page.check("#answer .check input")
    page.click("#answer button.main")
    page.wait_for_url(f"{stage.portal}/callback?**")
    page.context.close()


def test_a_text_is_shown_as_it_is_with_and_without_scripts(page: Page, stage: Stage) -> None:
    hostile = "<script>document.title = 'x'</script>\nĐiều 1. Bổ nhiệm\n".encode()
    stage.rssp.attach(hostile)
    visit(page, stage)
    assert settled(page) == ["checked"]
    assert page.inner_text("pre") == hostile.decode()
    page.goto(f"{stage.home}{DOCUMENT}?view=plain")
    assert page.inner_text("pre").strip() == hostile.decode().strip()
    assert page.query_selector("main script") is None
    stage.rssp.files[REQUEST, 0] = b"other"
    page.goto(f"{stage.home}{DOCUMENT}?view=plain")
    assert page.query_selector("pre") is None


def test_a_long_document_is_drawn_page_by_page(page: Page, stage: Stage) -> None:
    stage.rssp.attach(pages(200), PDF, pages=200)
    visit(page, stage)
    page.wait_for_selector("canvas")
    assert page.locator(".sheet").count() == 200
    read_to_the_end(page)
    page.wait_for_selector(".sheet:last-child canvas")
    assert page.locator("canvas").count() <= 6


# -------------------------------------------------------------------------------------- attacks


def assert_stopped(page: Page, stage: Stage) -> None:
    """Nothing is shown of it, and approving is gone."""
    assert settled(page) == ["tampered"]
    assert page.query_selector("canvas, pre, #document img") is None
    page.goto(stage.home + HERE)
    page.wait_for_selector("[data-gate-told=stop]:not([hidden])")
    assert page.query_selector("form[action$='/approve'], #pin") is None
    assert page.is_visible(".refuse summary")


def test_a_byte_changed_at_the_service_is_a_red_stop(page: Page, stage: Stage) -> None:
    content = stage.rssp.files[REQUEST, 0]
    stage.rssp.files[REQUEST, 0] = content[:-1] + b"x"
    visit(page, stage)
    assert_stopped(page, stage)


def test_a_byte_changed_on_the_way_is_a_red_stop(page: Page, stage: Stage) -> None:
    def change(route: Route) -> None:
        body = bytearray(route.fetch().body())
        body[100] ^= 1
        route.fulfill(body=bytes(body), content_type="application/octet-stream")

    page.route("**/content", change)
    visit(page, stage)
    assert_stopped(page, stage)


def test_another_document_of_the_same_length_is_a_red_stop(page: Page, stage: Stage) -> None:
    stage.rssp.attach(TEXT)
    stage.rssp.files[REQUEST, 0] = TEXT.replace(b"An.", b"Ba.")
    visit(page, stage)
    assert_stopped(page, stage)


def test_what_was_read_counts_for_these_bytes_alone(page: Page, stage: Stage) -> None:
    stage.rssp.attach(TEXT)
    visit(page, stage)
    read_to_the_end(page)
    stage.rssp.attach(TEXT + b"2")
    page.goto(stage.home + HERE)
    page.wait_for_selector(".gate")
    expect(page.locator("#answer button.main")).to_be_disabled()


def test_without_the_gates_script_nothing_can_be_approved(page: Page, stage: Stage) -> None:
    page.route("**/document_gate.js*", lambda route: route.abort())
    sign_in(page, stage, HERE)
    expect(page.locator("#answer button.main")).to_be_hidden()
    expect(page.locator(".refuse summary")).to_be_visible()


def test_a_pdf_that_slipped_through_runs_nothing(page: Page, stage: Stage) -> None:
    """The rssp refuses these; even so the page would show them and nothing else."""
    asked: list[str] = []
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.on("popup", lambda popup: asked.append(popup.url))
    script = (
        b"/OpenAction<</S/JavaScript/JS(app.alert\\(1\\);app.launchURL\\('http://x.example'\\))>>"
    )
    stage.rssp.attach(pages(root=script), PDF, pages=1)
    visit(page, stage)
    page.wait_for_selector("canvas")
    assert settled(page) == ["checked"]
    assert asked == []


@pytest.mark.parametrize("told", [1, 2], ids=["damaged", "other-pages"])
def test_what_the_phone_cannot_draw_is_shown_as_pictures(
    page: Page, stage: Stage, told: int
) -> None:
    content = b"%PDF-1.7\nnothing" if told == 1 else pages(1)
    stage.rssp.attach(content, PDF, pages=told)
    visit(page, stage)
    page.wait_for_selector(f".sheet:nth-child({told}) img")
    read_to_the_end(page)
    assert shown(page) == ["checked", "pictures"]


def test_a_document_with_a_page_that_cannot_be_shown_was_not_read(page: Page, stage: Stage) -> None:
    stage.rssp.attach(pages(2), PDF, pages=3)  # not as told, so pictures are asked for
    page.route("**/pages/3", lambda route: route.abort())
    visit(page, stage)
    assert settled(page) == ["away"]
    assert page.query_selector("[data-read]") is None
    page.goto(stage.home + HERE)
    page.wait_for_selector(".gate")
    expect(page.locator("#answer button.main")).to_be_disabled()


def test_a_document_that_is_gone_is_told_and_an_ended_session_leads_to_sign_in(
    page: Page, stage: Stage
) -> None:
    content = stage.rssp.files.pop((REQUEST, 0))
    visit(page, stage)
    assert settled(page) == ["away"]
    stage.rssp.files[REQUEST, 0] = content

    def end(route: Route) -> None:
        stage.rssp.session_is_valid = False
        route.continue_()

    page.route("**/content", end)
    page.goto(stage.home + DOCUMENT)
    page.wait_for_selector("#password")


def test_an_answered_request_shows_no_document(page: Page, stage: Stage) -> None:
    stage.rssp.requests[REQUEST]["state"] = "SIGNED"
    visit(page, stage)
    assert page.url == stage.home + HERE


def test_bytes_of_a_stranger_are_a_download_in_a_sandbox(page: Page, stage: Stage) -> None:
    stage.rssp.attach(b"<script>alert(1)</script>")
    sign_in(page, stage, HERE)
    found = page.request.get(f"{stage.home}{DOCUMENT}/content")
    assert found.headers["content-disposition"].startswith("attachment")
    assert found.headers["content-type"] == "application/octet-stream"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in found.headers["content-security-policy"]
    picture = page.request.get(f"{stage.home}{DOCUMENT}/pages/1")
    assert (picture.headers["content-type"], picture.status) == ("image/png", 200)
    assert page.request.get(f"{stage.home}{HERE}/documents/7").status == 404


def test_pdf_js_is_the_one_that_its_page_names() -> None:
    told = (VENDOR / "README.md").read_text("utf-8")
    for name in ("pdf.min.mjs", "pdf.worker.min.mjs"):
        content = (VENDOR / name).read_bytes()
        assert f"| `{name}` | {len(content)} |" in told
        assert hashlib.sha256(content).hexdigest() in told
