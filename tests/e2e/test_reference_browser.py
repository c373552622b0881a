"""The reference in Chromium: nobody is kept out, and nothing is loaded but what is ours."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

import pytest
from fastapi import FastAPI

from remote_signing.rssp.edge import middleware
from remote_signing.rssp.openapi import routes
from tests.support.served import served
from tests.support.world import configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

AXE = Path(__file__).parents[1] / "data" / "axe-core" / "axe.min.js"
RUN_AXE = """
async () => (await axe.run({resultTypes: ['violations']})).violations
  .map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).join(', '))
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    app = FastAPI(openapi_url=None)
    app.state.services = SimpleNamespace(config=configuration("sqlite:///nowhere"))
    app.include_router(routes.router)
    middleware.install(app)
    with served(lambda _address: app) as found:
        yield found


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_reference_is_for_everybody(
    browser: Browser, address: str, look: Literal["light", "dark"]
) -> None:
    context = browser.new_context(color_scheme=look, viewport={"width": 360, "height": 740})
    page = context.new_page()
    said: list[str] = []
    loaded: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: loaded.append(request.url))
    for path in ("/docs", "/docs/post_csc_v2_signatures_signDoc?lang=en"):
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(RUN_AXE) == []
    assert said == []
    assert all(url.startswith(f"{address}/docs") for url in loaded)
    context.close()
