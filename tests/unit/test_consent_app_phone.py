"""The page as an app on the phone: what is installed, what may be kept, push."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from consent_app import site
from consent_app.installed import SHELL
from consent_app.language import source
from tests.support.consent_api import OTP, PIN, REQUEST, SIGNER
from tests.support.consent_visitor import Visitor, settings
from tests.support.fake_phone import PUBLIC_KEY

if TYPE_CHECKING:
    from pathlib import Path

HERE = f"/requests/{REQUEST}"
ENDPOINT = "https://fcm.googleapis.com/fcm/send/abc"


@pytest.fixture
def visitor() -> Visitor:
    """Signed in; a request waits."""
    found = Visitor().signed_in()
    found.rssp.add_request()
    return found


# ------------------------------------------------------------------------------------ installing


@pytest.mark.parametrize(
    ("language", "name"), [("vi", "Dịch vụ ký số từ xa"), ("en", "Remote Signing Service")]
)
def test_the_manifest_is_complete_in_both_languages(language: str, name: str) -> None:
    visitor = Visitor(language=language)
    page = visitor.get("/sign-in")
    assert f'<link rel="manifest" href="/app/{language}.webmanifest">' in page.text
    assert "manifest-src 'self'" in page.headers["content-security-policy"]
    answer = visitor.get(f"/app/{language}.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    told = answer.json()
    assert (told["name"], told["lang"], told["scope"], told["start_url"]) == (
        *(name, language),
        *("/", "/"),
    )
    purposes = {icon["purpose"] for icon in told["icons"]}
    assert purposes == {"any", "maskable", "monochrome"}
    for icon in told["icons"]:
        picture = visitor.get(icon["src"])
        assert (picture.status_code, picture.headers["content-type"]) == (200, icon["type"])
        assert "immutable" in picture.headers["cache-control"]
    for shortcut in told["shortcuts"]:
        assert shortcut["url"] in {"/history", "/lost-phone"}
    assert visitor.get("/app/fr.webmanifest").status_code == 404


@pytest.mark.parametrize(
    ("name", "size", "middle_of_edge"),
    [
        ("icon-180.png", 180, True),
        ("icon-192.png", 192, True),
        ("icon-512.png", 512, True),
        ("icon-maskable.png", 512, True),
        ("icon-badge.png", 96, False),
    ],
)
def test_an_icon_has_its_size_and_a_ground_where_it_needs_one(
    name: str, size: int, *, middle_of_edge: bool, tmp_path: Any
) -> None:
    file = tmp_path / name
    file.write_bytes(site.load_static()[name].content)
    picture = Image.open(file).convert("RGBA")
    assert picture.size == (size, size)
    assert (picture.getpixel((size // 2, 1)) == (0x8F, 0x14, 0x17, 255)) == middle_of_edge
    corner = picture.getpixel((0, 0))
    assert isinstance(corner, tuple)
    assert (corner[3] == 255) == (name in {"icon-180.png", "icon-maskable.png"})


def test_the_worker_is_for_the_whole_site_and_may_ask_us_alone() -> None:
    answer = Visitor().get("/service-worker.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    setup = json.loads(answer.text.partition("\n")[0].removeprefix("const SETUP = ")[:-1])
    static = site.load_static()
    assert setup["shell"] == [f"/static/{name}?v={static[name].version}" for name in SHELL]
    assert setup["words"]["vi"]["title"] == "Có yêu cầu đang chờ"
    assert setup["words"]["en"]["count"].count("#") == 1
    assert "importScripts" not in answer.text


def test_the_worker_changes_with_any_file_that_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.open_site(settings()).worker
    changed = site.StaticFile(b"changed", b"", "text/javascript", "0" * 12)
    static = {**site.load_static(), "app.js": changed}
    monkeypatch.setattr(site, "load_static", lambda: static)
    monkeypatch.setattr(site, "load_environments", site.load_environments.__wrapped__)
    after = site.open_site(settings()).worker
    assert site.open_site(settings()).worker == after
    versions = {re.search('"version": "([0-9a-f]{16})"', text)[1] for text in (before, after)}  # type: ignore[index]  # it is there
    assert len(versions) == 2


def test_the_worker_changes_with_the_words_of_its_pages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = site.open_site(settings()).worker
    shutil.copytree(source("vi").parents[2], tmp_path / "locales")
    monkeypatch.setattr("consent_app.language._LOCALES", tmp_path / "locales")
    assert site.open_site(settings()).worker == before
    other = source("en")
    other.write_bytes(other.read_bytes() + b"\n# another word\n")
    assert site.open_site(settings()).worker != before


def test_the_workers_own_pages_are_nobodys_and_run_nothing_new(visitor: Visitor) -> None:
    stranger = Visitor()
    for language, words in (("vi", "Chưa gửi được"), ("en", "Not sent")):
        page = stranger.get(f"/offline/{language}/unsent")
        assert words in page.text
        assert "<form" not in page.text
        assert page.headers["content-language"] == language
        assert "data-text" not in page.text
    assert visitor.get("/offline/fr/unsent").status_code == 404
    assert visitor.get("/offline/vi/other").status_code == 404


def test_the_workers_own_pages_come_in_every_look(visitor: Visitor) -> None:
    stranger = Visitor()
    page = stranger.get("/offline/vi/offline?look=dark.150.1")
    assert 'data-text="150" data-simple' in page.text
    assert '<meta name="color-scheme" content="dark">' in page.text
    assert "prefers-color-scheme: dark)" not in page.text.partition("dark.css")[2].partition(">")[0]
    usual = stranger.get("/offline/vi/offline").text
    for wrong in ("system.100.0", "dark.150.1x", "black.150.1", ""):
        assert stranger.get(f"/offline/vi/offline?look={wrong}").text == usual
    # How to look is told with every page, also with one that names nobody.
    assert visitor.get("/settings").headers["x-offline-look"] == "system.100.0"
    visitor.send(
        visitor.get("/settings"), "/settings", theme="dark", text_size="150", language="vi"
    )
    assert visitor.get("/nowhere").headers["x-offline-look"] == "dark.150.0"
    (setup,) = re.findall('"pages": (\\[[^]]*\\])', stranger.get("/service-worker.js").text)
    assert {stranger.get(address).status_code for address in json.loads(setup)} == {200}


# ----------------------------------------------------------------------------------- what is kept


def test_list_history_and_receipts_may_be_kept_and_nothing_else(visitor: Visitor) -> None:
    visitor.rssp.add_past()
    kept = ("/", "/history", f"/history/{REQUEST}")
    never = (
        *(
            HERE,
            "/batch",
            "/security",
            "/settings",
            "/lost-phone",
            "/devices",
            "/certificates",
            "/passkeys",
            "/help",
        ),
        *("/activate", "/sign-in", "/validate", "/welcome", "/?q=x", "/history?q=x", "/nowhere"),
    )
    for path in kept:
        page = visitor.get(path)
        assert page.headers["x-offline-copy"] == "yes"
        assert page.headers["x-offline-person"] == SIGNER["person"]
        assert "Bản lưu cũ lúc" in page.text
        assert 'type="password"' not in page.text
    for path in never:
        assert "x-offline-copy" not in visitor.get(path).headers, path


def test_a_page_without_a_session_says_that_it_is_nobodys() -> None:
    stranger = Visitor()
    for path in ("/sign-in", "/help", "/activate"):
        assert stranger.get(path).headers["x-offline-person"] == "-"


def test_a_page_that_names_nobody_changes_nothing_that_is_kept(visitor: Visitor) -> None:
    visitor.rssp.away = True
    page = visitor.get("/")
    assert page.status_code == 503
    assert "x-offline-person" not in page.headers


@pytest.mark.parametrize("action", ["/sign-out", "/account/sign-out"])
def test_signing_out_leads_to_nobodys_page_and_leaves_the_worker_alone(
    visitor: Visitor, action: str
) -> None:
    page = visitor.get("/security")
    answer = visitor.send(page, action)
    assert "clear-site-data" not in answer.headers  # it would unregister the worker in its midst
    after = visitor.follow(answer)
    assert after.headers["x-offline-person"] == "-"
    assert "data-signed-out" in after.text  # the page's script wipes as well


# ------------------------------------------------------------------------------- what was typed


def test_a_search_that_could_not_be_made_is_in_the_link_that_tries_again(visitor: Visitor) -> None:
    visitor.rssp.away = True
    page = visitor.get("/", params={"q": 'bổ "nhiệm"', "urgency": "urgent"})
    assert page.status_code == 503
    assert 'href="/?q=b%E1%BB%95+%22nhi%E1%BB%87m%22&amp;urgency=urgent"' in page.text
    assert 'class="main" href="/history"' in visitor.get("/history").text
    assert "?x" not in visitor.get(f"{HERE}?x=1").text


def test_no_secret_is_kept_when_an_approval_could_not_be_sent(visitor: Visitor) -> None:
    page = visitor.get(HERE)
    visitor.rssp.away = True
    answer = visitor.send(page, f"{HERE}/approve", pin=PIN, otp=OTP)
    told = visitor.follow(answer)
    assert PIN not in told.text
    assert OTP not in told.text
    assert "data-keep" not in re.findall('<input id="pin"[^>]*>', page.text)[0]
    assert "data-keep" not in re.findall('<input id="otp"[^>]*>', page.text)[0]


# ------------------------------------------------------------------------------------------ push


def test_without_push_the_devices_page_offers_none(visitor: Visitor) -> None:
    page = visitor.get("/devices").text
    assert 'id="push"' not in page


def test_a_browser_is_switched_on_and_off_and_all_at_once(visitor: Visitor) -> None:
    visitor.rssp.phone.public_key = PUBLIC_KEY
    page = visitor.get("/devices")
    assert f'data-push="{PUBLIC_KEY}"' in page.text
    assert 'action="/devices/push/all"' not in page.text
    assert push(visitor, page, "/devices/push", "data-token").status_code == 200
    assert visitor.rssp.phone.endpoints == [ENDPOINT]
    assert push(visitor, page, "/devices/push/end", "data-end-token").status_code == 200
    push(visitor, page, "/devices/push", "data-token")
    page = visitor.get("/devices")
    assert "1 thiết bị đang nhận thông báo" in page.text
    answer = visitor.send(page, "/devices/push/all")
    assert "Không còn thiết bị nào" in visitor.follow(answer).text
    assert visitor.rssp.phone.endpoints == []


def test_an_address_that_the_rssp_does_not_take_is_told_to_the_module(visitor: Visitor) -> None:
    visitor.rssp.phone.public_key = PUBLIC_KEY
    visitor.rssp.phone.refuses = True
    page = visitor.get("/devices")
    assert push(visitor, page, "/devices/push", "data-token").status_code == 403
    assert push(visitor, page, "/devices/push", "data-end-token").status_code == 403
    visitor.rssp.session_is_valid = False
    assert push(visitor, page, "/devices/push", "data-token").status_code == 303


def push(visitor: Visitor, page: httpx.Response, path: str, token: str) -> httpx.Response:
    value = re.findall(rf'{token}="([^"]+)"', page.text)[-1]
    form = f'<form action="{path}"><input type="hidden" name="form_token" value="{value}"></form>'
    return visitor.send(httpx.Response(200, text=form), path, endpoint=ENDPOINT)
