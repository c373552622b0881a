"""Who asks closes an idle connection first: else a request meets its end and has no answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from consent_app import wire
from remote_signing.rssp import app
from remote_signing.rssp.config import ListenConfig

if TYPE_CHECKING:
    import pytest

_PROXY = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"


def test_rssp_keeps_an_idle_connection_longer_than_proxy_and_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda *_, **options: given.update(options))
    app._run(ListenConfig(port=1))  # noqa: SLF001 - what the server is told
    to_servers, to_clients = (
        int(cast("re.Match[str]", re.search(rf"timeout {name} (\d+)s", _PROXY.read_text()))[1])
        for name in ("server", "http-keep-alive")
    )
    page = wire._LIMITS.keepalive_expiry  # noqa: SLF001 - what the client is told
    assert page is not None
    assert page < to_clients < given["timeout_keep_alive"]
    assert to_servers < given["timeout_keep_alive"]
