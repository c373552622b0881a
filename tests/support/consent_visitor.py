"""A visitor of the consent page without a browser: cookies, forms, what a browser would send."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from consent_app import config
from consent_app.app import create_app
from tests.support.consent_api import PASSWORD, SESSION, FakeRssp

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from fastapi import FastAPI

HOME = "https://ky.example.gov.vn"
BRAND = {
    "name": "Dịch vụ ký số từ xa",
    "name_en": "Remote Signing Service",
    "operator": "Cơ quan vận hành",
    "operator_en": "Operating agency",
    "support": "1900 0000",
}


OPENID = {"name": "VNeID", "name_en": "VNeID", "origin": "https://dinh-danh.example"}


def settings(
    url: str = HOME, rssp: str = "http://127.0.0.1:1", **tables: Any
) -> config.ConsentConfig:
    members = {"public": {"url": url}, "rssp": {"url": rssp}, "brand": BRAND, **tables}
    return config.read(members, Path())


@dataclass
class Visitor:
    """Follows no redirect by itself. ``rssp`` is what the page talks to."""

    rssp: FakeRssp = field(default_factory=FakeRssp)
    language: str = "vi"
    tables: dict[str, Any] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx.ASGITransport(self.rssp.app())
        self.app = create_app(settings(**self.tables), transport)

    def signed_in(self) -> Visitor:
        self.cookies["__Host-consent-session"] = SESSION
        return self

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self.asked(method, path, **options))

    def together(self, *asks: Coroutine[Any, Any, httpx.Response]) -> list[httpx.Response]:
        async def all_of_them() -> list[httpx.Response]:
            return list(await asyncio.gather(*asks))

        return asyncio.run(all_of_them())

    async def asked(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Accept-Language": self.language, **options.pop("headers", {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=HOME) as client:
            answer = await client.request(method, path, headers=headers, **options)
        self._keep(answer)
        return answer

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("GET", path, **options)

    def follow(self, answer: httpx.Response) -> httpx.Response:
        assert answer.status_code == 303, answer.text
        return self.get(answer.headers["location"].partition("#")[0])

    def switch(self, page: httpx.Response) -> str:
        """Where the link to the other language on ``page`` leads."""
        link = re.search(r'href="(/language/[^"]*)"', page.text)
        assert link is not None
        return self.get(unescape(link[1])).headers["location"]

    def send(self, page: httpx.Response, action: str, **fields: str) -> httpx.Response:
        """Send the form on ``page`` that goes to ``action``, as a browser does."""
        return asyncio.run(self.sent(page, action, **fields))

    async def sent(self, page: httpx.Response, action: str, **fields: str) -> httpx.Response:
        headers = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}
        data = hidden_fields(page.text, action) | fields
        return await self.asked("POST", action, data=data, headers=headers)

    def sign_in(self, password: str = PASSWORD, path: str = "/sign-in") -> httpx.Response:
        page = self.get(path)
        return self.send(page, "/sign-in", username="minhkhai", password=password)

    def _keep(self, answer: httpx.Response) -> None:
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


def hidden_fields(html: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that is sent to ``action``."""
    forms = re.findall(r"<form\b[^>]*>.*?</form>", html, re.DOTALL)
    form = next(form for form in forms if f'action="{action}"' in form)
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
    return {name: unescape(value) for name, value in found}
