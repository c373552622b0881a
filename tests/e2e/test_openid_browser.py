"""From the button to a session by way of a real provider, in Chromium."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from remote_signing.rssp import openid_subjects
from remote_signing.rssp.openid_client import OpenidProvider
from remote_signing.rssp.openid_sign_in import CALLBACK
from tests.e2e.test_consent_browser import complaints, faults
from tests.integration.test_openid_sign_in import settings
from tests.support.consent_stage import Look
from tests.support.openid_provider import CITIZEN, real_provider
from tests.support.passkey_stage import passkey_stage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.support.sqlite import SqliteFolder


def test_an_official_comes_in_by_the_provider_and_by_password_when_it_is_away(
    browser: Browser, sqlite_folder: SqliteFolder, tmp_path: Path
) -> None:
    jwks: Any = OpenidProvider(settings(tmp_path, "https://nowhere.example")).public_keys()
    with real_provider(tmp_path, jwks, "https://nowhere.example/") as real:
        table = {"name": "VNeID", "name_en": "VNeID", "origin": real.issuer}
        with passkey_stage(sqlite_folder, tmp_path, openid=table) as stage:
            real.register(stage.home + CALLBACK)
            world = stage.place.world
            world.clock.advance(time.time() - world.clock.now_ms() / 1000)
            config = settings(tmp_path, real.issuer, assertion_audience="endpoint")
            before = OpenidProvider(config)
            # The application holds these services already.
            object.__setattr__(world.services, "openid", before)
            openid_subjects.bind(world.services, world.subscriber_id, CITIZEN)
            context = Look().open(browser)
            page = context.new_page()
            said = complaints(page)
            page.goto(f"{stage.home}/sign-in?next=/devices")
            assert faults(page, Look()) == []
            page.focus("form[action='/sign-in/openid'] button")
            page.keyboard.press("Enter")
            page.wait_for_url("**/devices")
            assert "Nguyễn" in page.inner_text(".signer")
            assert not any("openid" in cookie.get("name", "") for cookie in context.cookies())
            page.click("form[action='/sign-out'] button")
            assert said == []
            real.is_away = True
            before.close()
            object.__setattr__(world.services, "openid", OpenidProvider(config))
            page.click("form[action='/sign-in/openid'] button")
            page.wait_for_selector(".notice.wait")
            assert "VNeID hiện không phản hồi" in page.inner_text("main")
            assert faults(page, Look()) == []
            stage.sign_in(page, "/security")
            context.close()
