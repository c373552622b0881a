"""Each flow of the consent page by the keyboard alone: Tab, Space, Enter and what one types.

What is to be used is reached as somebody does who cannot point: Tab by Tab from where the page
starts, never put under the cursor by the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import JSONResponse

from tests.support.consent_api import (
    CAME_BY_ITSELF,
    CODE,
    OTHER_REQUEST,
    OTP,
    PASSWORD,
    PIN,
    REQUEST,
    SERVICE,
)
from tests.support.consent_stage import DECISION, Look, Stage, running_stage
from tests.support.fake_coming_in import ACTIVATION_CODE
from tests.support.flows import FLOWS
from tests.support.reports import report, signature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, FileChooser, Page

HERE = f"/requests/{REQUEST}"
FURTHEST = 60  # presses of Tab: what is further away is not reached


@dataclass
class Keys:
    """Somebody with a keyboard in front of ``page``."""

    page: Page
    stage: Stage

    def open(self, path: str) -> None:
        self.page.goto(self.stage.home + path)

    def reach(self, selector: str) -> None:
        """Tab until what ``selector`` names has the focus."""
        for _ in range(FURTHEST):
            if self.page.locator(f":focus:is({selector})").count():
                return
            self.page.keyboard.press("Tab")
        pytest.fail(f"{selector} is not reached by Tab on {self.page.url}")

    def use(self, selector: str, then: str) -> None:
        """Reach it and press Enter; ``then`` is on the page that follows."""
        self.reach(selector)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector(then)

    def type(self, selector: str, text: str) -> None:
        self.reach(selector)
        self.page.keyboard.type(text)

    def sign_in(self) -> None:
        self.open("/sign-in")
        self.type("#username", "minhkhai")
        self.type("#password", PASSWORD)
        self.use("form[action='/sign-in'] button", ".signer")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    context = Look().open(browser)
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with running_stage() as started:
        yield started


@pytest.fixture
def keys(page: Page, running: Stage) -> Keys:
    running.reset()
    running.rssp.add_request()
    page.context.clear_cookies()
    running.rssp.session_is_valid = True
    session: Any = {"name": "consent-session", "value": running.rssp.session, "url": running.home}
    page.context.add_cookies([session])
    page.goto(running.home)
    return Keys(page, running)


def came_by_itself(keys: Keys, *names: str, picked: bool = False) -> None:
    looked_at = {"codes": [], "verification_code": CODE} if picked else {}
    keys.stage.rssp.portal = None  # none waits for this browser
    for name in names:
        keys.stage.rssp.add_request(name, **(CAME_BY_ITSELF | looked_at))


def state(keys: Keys, name: str = REQUEST) -> str:
    found: str = keys.stage.rssp.requests[name]["state"]
    return found


def test_sign_out_and_in_by_keyboard(keys: Keys) -> None:
    keys.use("form[action='/sign-out'] button", "#username")
    keys.sign_in()


def test_first_steps_with_a_code_by_keyboard(keys: Keys) -> None:
    keys.page.context.clear_cookies()
    keys.open("/activate")
    keys.type("#code", ACTIVATION_CODE)
    keys.type("#password", PASSWORD)
    keys.type("#again", PASSWORD)
    keys.use("form[action='/activate'] button", "a[href='/devices/add']")


def test_find_in_the_list_by_keyboard(keys: Keys) -> None:
    came_by_itself(keys, REQUEST, OTHER_REQUEST)
    keys.open("/")
    keys.reach(".finder summary")
    keys.page.keyboard.press("Enter")
    keys.type("#q", "nowhere")
    keys.use("form[role='search'] button", ".empty")


def test_pick_the_code_and_approve_by_keyboard(keys: Keys) -> None:
    came_by_itself(keys, REQUEST)
    keys.open("/")
    keys.use(f"a[href='{HERE}']", "#h-pick")
    keys.use(f"form:has([value='{CODE}']) button", "#pin")
    keys.type("#pin", PIN)
    keys.type("#otp", OTP)
    keys.use("form[action$='/approve'] button", "h1:has-text('Đã phê duyệt')")


def test_return_with_a_reason_by_keyboard(keys: Keys) -> None:
    came_by_itself(keys, REQUEST)
    keys.open(HERE)
    keys.reach(".refuse summary")
    keys.page.keyboard.press("Enter")
    keys.reach("#reason")
    keys.page.keyboard.press("ArrowDown")
    keys.page.keyboard.press("ArrowDown")
    keys.type("#text", "Thiếu dấu")
    keys.use("button[value=returned]", ".outcome")
    assert state(keys) == "DENIED"
    assert keys.stage.rssp.denials[-1]["kind"] == "returned"


def test_refuse_by_keyboard(keys: Keys) -> None:
    keys.open(HERE)
    keys.reach(".refuse summary")
    keys.page.keyboard.press("Space")
    keys.reach("button.danger")
    keys.page.keyboard.press("Enter")
    keys.page.wait_for_url(f"{keys.stage.portal}/callback?error=access_denied**")


def test_leave_one_out_and_approve_the_others_by_keyboard(keys: Keys) -> None:
    third = f"{REQUEST[:-1]}z"
    came_by_itself(keys, REQUEST, OTHER_REQUEST, third, picked=True)
    keys.open("/")
    keys.use("a[href='/batch']", "#h-approve")
    keys.use(f"a[href='/batch?without={OTHER_REQUEST}']", "h2:has-text('2 yêu cầu')")
    keys.type("#pin", PIN)
    keys.type("#otp", OTP)
    keys.use("form[action='/batch'] button", ".notice.good")
    assert [state(keys, each) for each in (REQUEST, OTHER_REQUEST, third)] == [
        "AUTHORIZED",
        "PENDING",
        "AUTHORIZED",
    ]


def test_read_a_document_by_keyboard(keys: Keys) -> None:
    keys.stage.rssp.add_request(count=1)
    keys.stage.rssp.attach(DECISION.read_bytes(), "application/pdf", pages=1)
    keys.open(HERE)
    keys.use("a.open", "canvas")
    keys.page.wait_for_selector("[data-end]:not([hidden])")
    keys.page.keyboard.press("End")
    keys.page.wait_for_selector("[data-read]")
    keys.use("[data-end] a", "#answer button.main:enabled")


def test_ask_the_sim_and_cancel_by_keyboard(keys: Keys) -> None:
    keys.stage.rssp.add_sim()
    keys.open(HERE)
    keys.use("#sim button", "[data-sim-state]")
    keys.use("form[action$='/sim/cancel'] button", ".notice.bad")


def test_read_the_history_and_a_receipt_by_keyboard(keys: Keys) -> None:
    keys.stage.rssp.add_past()
    keys.open("/")
    keys.use("a[href='/history']", "#q")
    keys.use(f"a[href='/history/{REQUEST}']", ".digest")


def test_see_certificates_and_delegation_and_help_by_keyboard(keys: Keys) -> None:
    keys.use("a[href='/security']", "a[href='/lost-phone']")
    keys.use("a[href='/certificates']", "a[download]")
    keys.open("/security")
    keys.use("a[href='/delegation']", "h1")
    keys.use("a[href='/help']", "h1")


def test_remove_a_device_by_keyboard(keys: Keys) -> None:
    keys.stage.rssp.coming_in.add_entry()
    keys.open("/security")
    keys.use("a[href='/devices']", "a[href='/devices/add']")
    keys.use("a[href$='/remove']", "#password")
    keys.type("#password", keys.stage.rssp.coming_in.password)
    keys.use("main form button", ".notice.good")


def test_freeze_all_keys_by_keyboard(keys: Keys) -> None:
    keys.open("/security")
    keys.use("a[href='/lost-phone']", "form[action='/account/freeze']")
    keys.use("form[action='/account/freeze'] button", ".notice.good")
    assert keys.stage.rssp.frozen


def test_sign_out_everywhere_by_keyboard(keys: Keys) -> None:
    keys.open("/security")
    keys.use("form[action='/account/sign-out'] button", "#username")


def test_allow_a_portal_by_keyboard(keys: Keys) -> None:
    keys.stage.rssp.add_service()
    keys.open(f"/services/{SERVICE}")
    keys.reach("form[action$='/approve'] button")
    keys.page.keyboard.press("Enter")
    keys.page.wait_for_url(f"{keys.stage.portal}/callback?code=abc**")


def test_change_the_language_by_keyboard(keys: Keys) -> None:
    keys.use("a.language", "html[lang=en]")


def test_check_a_signed_document_by_keyboard(keys: Keys) -> None:
    keys.stage.rssp.validated = JSONResponse(report(signature()))
    choosers: list[FileChooser] = []

    def note(chooser: FileChooser) -> None:
        choosers.append(chooser)

    keys.page.on("filechooser", note)  # early: the browser takes a moment to hand its dialog over
    keys.use("a[href='/validate']", "#document")
    keys.reach("#document")
    keys.page.wait_for_load_state()
    with keys.page.expect_file_chooser() as chosen:
        keys.page.keyboard.press("Space")
    chosen.value.set_files({"name": "a.pdf", "mimeType": "", "buffer": b"%PDF"})
    keys.use("form[action='/validate'] button", ".signature")


def test_every_flow_has_a_keyboard_run() -> None:
    assert [flow for flow, runs in FLOWS.items() if not runs.keyboard] == []
