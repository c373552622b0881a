"""Portal, small rssp and consent page on real sockets, and a tour through every page.

As a program it takes pictures: ``python -m tests.support.consent_stage FOLDER``.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from consent_app.app import create_app
from consent_app.installed import OFFLINE
from remote_signing.bootstrap import find_chromium
from remote_signing.clock import SystemClock
from remote_signing.identifiers import Ticket, new_id
from tests.support import consent_more
from tests.support.consent_api import (
    CAME_BY_ITSELF,
    CODE,
    OTHER_REQUEST,
    OTP,
    PASSWORD,
    PIN,
    REQUEST,
    SERVICE,
    FakeRssp,
)
from tests.support.consent_visitor import OPENID, settings
from tests.support.fake_coming_in import ACTIVATION_CODE, ENTRY, HELD, FakeComingIn, held
from tests.support.fake_phone import PUBLIC_KEY
from tests.support.reports import report, signature
from tests.support.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from playwright.sync_api import Browser, BrowserContext, Page
    from starlette.requests import Request

    from consent_app.config import LiveConfig

DECISION = Path(__file__).parents[2] / "remote_signing" / "demo" / "decision.pdf"
LARGE_TEXT = "--blink-settings=defaultFontSize=32"  # 200 % of the browser's normal size


@dataclass
class Stage:
    """Addresses of the portal and of the consent page, and the rssp behind that."""

    portal: str
    home: str
    rssp: FakeRssp
    app: FastAPI

    def reset(self) -> None:
        self.rssp.requests.clear()
        self.rssp.services.clear()
        self.rssp.past.clear()
        fresh = FakeComingIn()
        self.rssp.coming_in.credentials, self.rssp.coming_in.entries = fresh.credentials, []
        self.rssp.phone.public_key, self.rssp.phone.refuses = None, False
        self.rssp.phone.endpoints.clear()
        self.rssp.session_is_valid = True
        self.rssp.passkeys.there, self.rssp.passkeys.notices = [], []
        self.rssp.frozen = 0
        self.rssp.after = None
        self.rssp.files.clear()
        self.rssp.attempts_left = 5
        self.rssp.away = False
        self.rssp.portal = self.portal
        # Another session, so that the page takes no answer for the repeat of an earlier test's.
        self.rssp.session = str(Ticket.issue(new_id(SystemClock().now_ms())))


@dataclass(frozen=True)
class Look:
    """How a visitor sees the page."""

    width: int = 360
    language: str = "vi"
    scheme: str = "light"
    scripts: bool = True
    large: bool = False
    kept: str = ""  # what the page of settings has kept in its cookie

    def __str__(self) -> str:
        parts = [str(self.width), self.language, self.scheme, "200" if self.large else "100"]
        parts += [self.kept] if self.kept else []
        return "-".join([*parts, "js" if self.scripts else "nojs"])

    def keep(self, page: Page, stage: Stage) -> None:
        """Let the browser hold what was chosen on the page of settings."""
        if self.kept:
            cookie: Any = {"name": "consent-look", "value": self.kept, "url": stage.home}
            page.context.add_cookies([cookie])

    def open(self, browser: Browser) -> BrowserContext:
        options: dict[str, Any] = {
            "viewport": {"width": self.width, "height": 740},
            "locale": {"vi": "vi-VN", "en": "en-GB"}[self.language],
            "color_scheme": self.scheme,
            "java_script_enabled": self.scripts,
            "reduced_motion": "reduce",
        }
        return browser.new_context(**options)


def _portal() -> Starlette:
    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(f"<!doctype html><title>Portal</title><h1>{request.url.path}</h1>")

    return Starlette(routes=[Route("/{path:path}", page)])


@contextmanager
def running_stage(live: LiveConfig | None = None) -> Iterator[Stage]:
    """Everything in threads of this process; ``live``: how the page follows its list."""
    rssp = FakeRssp()
    apps: list[FastAPI] = []

    def home_of(address: str) -> FastAPI:
        known = settings(address, back_end, openid=OPENID)
        apps.append(create_app(replace(known, live=live or known.live)))
        return apps[0]

    with (
        served(lambda _: _portal()) as portal,
        served(lambda _: rssp.app()) as back_end,
        served(home_of) as home,
    ):
        stage = Stage(portal, home, rssp, apps[0])
        stage.reset()
        yield stage


@contextmanager
def launched(browser: Browser, *flags: str) -> Iterator[Browser]:
    """Another Chromium with these command-line flags."""
    other = browser.browser_type.launch(executable_path=find_chromium(), args=[*sandbox(), *flags])
    yield other
    other.close()


def sandbox() -> list[str]:
    """Chromium's own sandbox does not work as root; the pages are ours."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


def sign_in(page: Page, stage: Stage, path: str = "/") -> None:
    page.goto(stage.home + path)
    page.fill("#username", "minhkhai")
    page.fill("#password", PASSWORD)
    page.click("form[action='/sign-in'] button")


def answer(page: Page, pin: str = PIN, otp: str = OTP) -> None:
    page.fill("#pin", pin)
    page.fill("#otp", otp)
    page.click("form[action$='/approve'] button")


def tour(page: Page, stage: Stage, *, is_whole: bool = False) -> Iterator[str]:
    """Through every page; its name each time one is shown. ``is_whole``: rarer states too."""
    stage.reset()
    rssp = stage.rssp
    page.goto(stage.home + "/")
    yield "sign-in"
    yield from _coming_in(page, stage)
    yield from consent_more.settings(page, stage) if is_whole else ()
    page.goto(stage.home + "/")
    page.fill("#username", "minhkhai")
    page.fill("#password", "sai")
    page.click("form[action='/sign-in'] button")
    yield "sign-in-refused"
    sign_in(page, stage)
    yield "empty-list"
    rssp.add_request(redirect_origin=None)
    description = "Ký duyệt hồ sơ cấp giấy phép xây dựng số 0045/GPXD-2026 " * 4
    rssp.add_request(OTHER_REQUEST, 12, description=description, verification_code="0097")
    page.reload()
    yield "list"
    yield from _desk(page, stage)
    rssp.add_request(redirect_origin=None)
    rssp.add_request(OTHER_REQUEST, 12, description=description, verification_code="0097")
    yield from _answers(page, stage)
    yield from _checking(page, stage)
    yield from _ends(page, stage)
    yield from _account(page, stage)
    yield from consent_more.rarer(page, stage) if is_whole else ()
    yield from _holdings(page, stage)
    yield from _phone(page, stage)


def _coming_in(page: Page, stage: Stage) -> Iterator[str]:
    """What somebody sees who has no session: help, and the first steps with a code."""
    page.goto(stage.home + "/help")
    yield "help"
    page.goto(f"{stage.home}/activate")
    yield "activate"
    activate(page, "00000-00000-00000-00000")
    yield "activate-refused"
    activate(page, ACTIVATION_CODE)
    page.wait_for_url("**/welcome")
    yield "welcome"
    page.click("form[action='/sign-out'] button")


def activate(page: Page, code: str) -> None:
    page.fill("#code", code)
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("form[action='/activate'] button")


def _holdings(page: Page, stage: Stage) -> Iterator[str]:
    """Certificates, devices, delegation."""
    coming_in = stage.rssp.coming_in
    page.goto(f"{stage.home}/certificates")
    yield "certificates"
    coming_in.add_entry()
    page.goto(f"{stage.home}/devices")
    yield "devices"
    page.goto(f"{stage.home}/devices/add")
    yield "device-add"
    page.goto(f"{stage.home}/devices/{ENTRY}/remove")
    yield "device-remove"
    page.fill("#password", "sai")
    page.click("main form button")
    yield "device-remove-refused"
    page.fill("#password", coming_in.password)
    page.click("main form button")
    yield "device-removed"
    yield from _pins(page, stage)
    page.goto(f"{stage.home}/delegation")
    yield "delegation"
    coming_in.credentials = []
    page.goto(f"{stage.home}/certificates")
    yield "certificates-none"


def _phone(page: Page, stage: Stage) -> Iterator[str]:
    """What only somebody sees who switched it on, or has no connection."""
    rssp = stage.rssp
    rssp.phone.public_key, rssp.phone.endpoints = PUBLIC_KEY, ["https://push.example/1"]
    page.goto(f"{stage.home}/devices")
    yield "devices-push"
    page.click("form[action='/devices/push/all'] button")
    yield "push-ended"
    language = page.get_attribute("html", "lang")
    for kind in OFFLINE:
        page.goto(f"{stage.home}/offline/{language}/{kind}")
        yield kind
    page.goto(f"{stage.home}/history")
    page.evaluate("document.documentElement.dataset.oldCopy = ''")
    page.evaluate("document.querySelector('[data-no-connection]').hidden = false")
    yield "old-copy"
    rssp.add_request()
    page.goto(stage.home + "/")
    page.evaluate("document.querySelectorAll('[hidden]').forEach((each) => each.hidden = false)")
    yield "list-told"
    page.goto(f"{stage.home}/requests/{REQUEST}")
    page.click(".refuse summary")
    page.fill("#text", "Thiếu phụ lục")
    rssp.away = True
    page.click("button.danger")
    yield "refuse-again"
    rssp.away = False


def _pins(page: Page, stage: Stage) -> Iterator[str]:
    """The signing PIN: changed, and chosen with a code."""
    coming_in = stage.rssp.coming_in
    page.goto(f"{stage.home}/pins/{HELD}/change")
    yield "pin-change"
    coming_in.credentials = [held(may_choose_pin=True)]
    page.goto(f"{stage.home}/pins/{HELD}/choose")
    yield "pin-choose"
    coming_in.pin_refused = (403, "pin_refused", {"reason": "date"})
    for name, value in (("code", ACTIVATION_CODE), ("new_pin", "190580"), ("again", "190580")):
        page.fill(f"#{name}", value)
    page.fill("#otp", OTP)
    page.click("main form button")
    yield "pin-refused"
    coming_in.pin_refused = None


def _desk(page: Page, stage: Stage) -> Iterator[str]:
    """A request that came by itself."""
    rssp = stage.rssp
    rssp.add_request(**CAME_BY_ITSELF)
    rssp.after = "7"
    page.goto(stage.home + "/")
    page.click(".finder summary")
    yield "list-filter"
    page.goto(f"{stage.home}/?q=nowhere")
    yield "list-nothing-found"
    rssp.after = None
    page.goto(f"{stage.home}/requests/{REQUEST}")
    yield "pick"
    page.click(".refuse summary")
    yield "return"
    page.fill("#text", "Thiếu phụ lục 2")
    rssp.away = True
    page.click("button[value=returned]")
    page.wait_for_selector("#text[value]")
    yield "return-away"
    rssp.away = False
    page.goto(f"{stage.home}/requests/{REQUEST}")
    page.click(f"form:has(input[value='{CODE}']) button")
    yield "picked"
    rssp.add_request(OTHER_REQUEST, **(CAME_BY_ITSELF | {"codes": []}))
    page.goto(f"{stage.home}/batch")
    yield "batch"
    rssp.add_request(**CAME_BY_ITSELF)
    page.goto(f"{stage.home}/batch")
    yield "batch-empty"
    page.goto(f"{stage.home}/requests/{REQUEST}")
    page.click("form:has(input[value='0357']) button")
    yield "mismatched"


def _account(page: Page, stage: Stage) -> Iterator[str]:
    rssp = stage.rssp
    sign_in(page, stage, "/history")
    yield "history-empty"
    rssp.add_past()
    denial = {"kind": "returned", "reason": "form", "text": "Thiếu dấu của cơ quan"}
    rssp.add_past(OTHER_REQUEST, state="DENIED", denial=denial, factor=None)
    page.reload()
    yield "history"
    page.goto(f"{stage.home}/history/{REQUEST}")
    yield "receipt"
    page.goto(f"{stage.home}/history/{OTHER_REQUEST}")
    yield "receipt-returned"
    yield from consent_more.security(page, stage)
    page.click("form[action='/account/freeze'] button")
    yield "frozen"


def _answers(page: Page, stage: Stage) -> Iterator[str]:
    rssp = stage.rssp
    page.goto(f"{stage.home}/requests/{REQUEST}")
    yield "request"
    answer(page, otp="111 111")
    yield "wrong"
    page.click(".refuse summary")
    yield "refuse"
    rssp.attempts_left = 1
    answer(page, otp="222222")
    yield "locked"
    page.goto(f"{stage.home}/requests/{OTHER_REQUEST}")
    page.click(".documents + details summary")
    yield "many-documents"
    rssp.away = True
    answer(page)
    yield "away"
    rssp.away = False
    yield from _by_sim(page, stage)
    yield from _documents(page, stage)
    rssp.add_service()
    page.goto(f"{stage.home}/services/{SERVICE}")
    yield "service"


def _by_sim(page: Page, stage: Stage) -> Iterator[str]:
    rssp = stage.rssp
    rssp.add_request()
    rssp.add_sim()
    page.goto(f"{stage.home}/requests/{REQUEST}")
    yield "sim-offered"
    page.click("#sim button")
    page.wait_for_selector("[data-sim-state]")
    yield "sim-waiting"
    rssp.sim_says("REFUSED", "Bạn đã từ chối trên điện thoại.")
    page.wait_for_selector(".notice.bad")  # the page finds out by itself
    page.wait_for_load_state()
    yield "sim-refused"
    rssp.add_sim(is_active=False, cause="SIM đã được thay. Hãy đăng ký lại SIM PKI.")
    page.goto(f"{stage.home}/requests/{REQUEST}")
    yield "sim-suspended"


def _checking(page: Page, stage: Stage) -> Iterator[str]:
    page.goto(f"{stage.home}/validate")
    page.wait_for_load_state()
    yield "check"
    problems = (
        *("content_changed", "revoked", "changed_after_signing", "no_status"),
        *("weak_algorithm", "not_trusted"),
    )
    fallen = signature(
        indication="TOTAL-FAILED",
        sub_indication="CERTIFICATE_CHAIN_GENERAL_FAILURE",
        reasons=list(problems),
        warnings=["no_time_stamp_holds"],
        changes={"level": "other", "allowed": False},
    )
    stage.rssp.validated = JSONResponse(report(signature(), fallen))
    page.set_input_files("#document", {"name": "a.pdf", "mimeType": "", "buffer": b"%PDF"})
    page.click("form[action='/validate'] button")
    page.wait_for_selector(".signature")
    page.wait_for_load_state()
    page.click(".signature details summary")
    yield "report"


def _documents(page: Page, stage: Stage) -> Iterator[str]:
    rssp, here = stage.rssp, f"{stage.home}/requests/{REQUEST}"
    rssp.add_request(count=3)
    rssp.attach(DECISION.read_bytes(), "application/pdf", pages=1, remarks=["embedded_files"])
    rssp.attach("Điều 1. Bổ nhiệm ông Nguyễn Văn An.\n".encode() * 30, position=1)
    page.goto(here)
    page.wait_for_selector(".gate")
    yield "documents-unread"
    page.click("a.open")
    page.wait_for_selector("canvas")
    yield "document-pdf"
    page.goto(f"{here}/documents/1")
    page.wait_for_selector("pre")
    yield "document-text"
    page.goto(f"{here}/documents/0?view=plain")
    yield "document-pictures"
    rssp.files[REQUEST, 0] = rssp.files[REQUEST, 0][:-1] + b"x"
    page.goto(f"{here}/documents/0")
    page.wait_for_selector("[data-told=tampered]:not([hidden])")
    yield "document-tampered"
    page.goto(here)
    page.wait_for_selector("[data-gate-told=stop]:not([hidden])")
    yield "documents-stop"


def _ends(page: Page, stage: Stage) -> Iterator[str]:
    for state in ("SIGNED", "DENIED", "EXPIRED", "REVOKED", "FAILED"):
        stage.rssp.add_request(state=state)
        page.goto(f"{stage.home}/requests/{REQUEST}")
        yield state.lower()
    stage.rssp.add_service(state="GRANTED")
    page.goto(f"{stage.home}/services/{SERVICE}")
    yield "service-allowed"
    page.goto(f"{stage.home}/nowhere")
    yield "not-found"
    page.goto(stage.home)
    page.click("form[action='/sign-out'] button")
    yield "signed-out"


LOOKS = (
    Look(),
    Look(width=320, language="en", scheme="dark"),
    Look(width=320, kept="dark.200.1"),
)
"""What each run of the tests sees: both widths, languages and schemes, and text of 200 %."""
ALL_LOOKS = (
    *LOOKS,
    Look(language="en", scheme="dark"),
    Look(scheme="dark"),
    Look(width=320, large=True),
    Look(kept="light.100.1"),
    Look(width=320, language="en", scheme="dark", kept="light.200.0"),
    Look(width=320, language="en", large=True),
    Look(width=1280),
)


def take_pictures(folder: Path) -> None:
    """A picture of every page in every look; CONSENT_LOOKS picks some by their start."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, running_stage() as stage:
        wanted = os.environ.get("CONSENT_LOOKS", "")
        for look in (each for each in ALL_LOOKS if str(each).startswith(wanted)):
            flags = [LARGE_TEXT] if look.large else []
            browser = playwright.chromium.launch(
                executable_path=find_chromium(), args=[*sandbox(), *flags]
            )
            page = look.open(browser).new_page()
            look.keep(page, stage)
            for name in tour(page, stage, is_whole=True):
                page.screenshot(path=folder / f"{look}-{name}.png", full_page=True)
            browser.close()


if __name__ == "__main__":
    take_pictures(Path(sys.argv[1]))
