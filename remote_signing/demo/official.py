"""The official: a browser without JavaScript, a password, a PIN and an authenticator app."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpx
import pyotp

from remote_signing.demo.telling import DemoFailed

if TYPE_CHECKING:
    from remote_signing.demo.stage import Signer

_STEP = 30  # seconds of a one-time code
_SKIPPED = {"script", "style", "title"}


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes, and what is filled in already."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """What a person sees of a page, and the forms on it."""

    def __init__(self, url: str, html: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []
        self._texts: list[str] = []
        self._skipping = 0
        self.feed(html)

    @property
    def text(self) -> str:
        """The words, with single blanks between them."""
        return " ".join(" ".join(self._texts).split())

    def form(self, ending: str) -> Form:
        """The form whose address ends so."""
        for form in self.forms:
            if urlsplit(form.action).path.endswith(ending):
                return form
        raise DemoFailed(f"{self.url} has no form for {ending}; it says: {self.text[:400]}")

    def has_form(self, ending: str) -> bool:
        """Whether there is a form whose address ends so."""
        return any(urlsplit(form.action).path.endswith(ending) for form in self.forms)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Forms and their fields."""
        given = {name: value or "" for name, value in attrs}
        self._skipping += tag in _SKIPPED
        if tag == "form":
            self.forms.append(Form(urljoin(self.url, given.get("action", ""))))
        elif tag == "input" and self.forms and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """The end of what is not shown."""
        self._skipping -= tag in _SKIPPED

    def handle_data(self, data: str) -> None:
        """What is shown."""
        if not self._skipping:
            self._texts.append(data)


class Official:
    """Follows the portal's link and answers the question there."""

    def __init__(self, signer: Signer, consent_url: str) -> None:
        self._signer = signer
        self._origin = consent_url
        self._http = httpx.Client(
            follow_redirects=True,
            timeout=60,
            headers={"Accept-Language": "vi", "Accept": "text/html"},
        )

    def close(self) -> None:
        """Close the browser."""
        self._http.close()

    def open(self, url: str) -> Page:
        """Follow a link; sign in where the page asks for it."""
        page = self._page(self._http.get(url))
        if urlsplit(page.url).path == "/sign-in":
            page = self._send(
                page.form("/sign-in"),
                username=self._signer.username,
                password=self._signer.password,
            )
        return page

    def approve(self, page: Page) -> Page:
        """Type signing PIN and one-time code; where the browser ends up."""
        return self._send(page.form("/approve"), pin=self._signer.pin, otp=self._code())

    def ask_sim(self, page: Page) -> Page:
        """Have the SIM asked; the page that waits for it."""
        return self._send(page.form("/sim/ask"))

    def wait_for_sim(self, page: Page, seconds: float) -> Page:
        """Load the page again, as a browser without JavaScript does, until it leads elsewhere."""
        deadline = time.monotonic() + seconds
        while urlsplit(page.url).path.endswith("/sim") and page.has_form("/sim/cancel"):
            if time.monotonic() > deadline:
                raise DemoFailed(f"no answer of the SIM: {page.text[:400]}")
            time.sleep(0.3)
            page = self._page(self._http.get(page.url))
        return page

    def _code(self) -> str:
        """The code of this moment; the next one when this is nearly over."""
        left = _STEP - time.time() % _STEP
        if left < 2:  # noqa: PLR2004 - seconds that a person needs to type
            time.sleep(left)
        return pyotp.TOTP(self._signer.totp_secret).now()

    def _send(self, form: Form, **typed: str) -> Page:
        # A browser says where a form comes from.
        headers = {"Origin": self._origin, "Sec-Fetch-Site": "same-origin"}
        return self._page(
            self._http.post(form.action, data={**form.fields, **typed}, headers=headers)
        )

    def _page(self, answer: httpx.Response) -> Page:
        page = Page(str(answer.url), answer.text)
        if not answer.is_success:
            raise DemoFailed(f"{answer.url.path}: {answer.status_code} {page.text[:400]}")
        return page
