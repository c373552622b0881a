"""One request of a browser: who asks, in which language, and how it is answered."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from starlette.responses import HTMLResponse, RedirectResponse

from consent_app import appearance, cookies, forms, language, request_id
from consent_app.site import site_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from consent_app.answers import Signer
    from consent_app.cookies import Notice

_SEE_OTHER = 303


class Visit:
    """Reads the cookies of ``request`` and answers with pages and redirects."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.site = site_of(request)
        jar = self.site.cookies
        self.session = jar.read(request, "session")
        self.visitor = jar.read(request, "visitor")
        self.notice: Notice | None = None  # for the page that answers this very request
        self.look = appearance.from_cookie(jar.read(request, "look"))
        self.language = language.choose(
            jar.read(request, "language"), request.headers.get("accept-language")
        )

    @property
    def secret(self) -> str | None:
        """What this visitor's forms are bound to."""
        return self.session or self.visitor

    def query(self) -> dict[str, str]:
        """The parameters of the address. Errors: ``RequestMalformed``."""
        return forms.fields(self.request.scope["query_string"])

    async def form(self) -> Mapping[str, str]:
        """The fields that were sent, proved to come from our page. Errors: see ``forms.read``."""
        found = await forms.read(self.request, self.secret, self.site.origin)
        self.request.state.sent = found  # for the page that says that the rssp is away
        return found

    def page(  # noqa: PLR0913 - as many facts
        self,
        template: str,
        *,
        status: int = 200,
        form_origin: str | None = None,
        here: str | None = None,
        has_script: bool = False,
        is_kept: bool = False,
        **values: object,
    ) -> Response:
        """A page. ``has_script``: it may run our script and ask us.

        ``is_kept``: it may be read without a connection later, by this signer and for some hours;
        not when it has something to say once.

        ``form_origin``: the portal to which a form's answer may lead the browser.

        ``here`` is the address of this page, for the language switch; None: the one asked for.
        """
        notice = self.notice or self._notice()
        is_kept = is_kept and notice is None  # an old copy would say again what is said once
        secret = self.secret or cookies.new_visitor()
        text = (
            self.site.environments[self.language]
            .get_template(template)
            .render(
                brand=self.site.config.brand,
                language=self.language,
                look=self.look,
                has_session=self.session is not None,
                notice=notice,
                request_id=request_id.current.get(),
                here=quote(here or self.request.url.path, safe="/"),
                has_script=has_script,
                is_signed_out=self.session is None,
                kept_at=datetime.now(UTC) if is_kept else None,
                form_token=lambda path: cookies.form_token(secret, path),
                **values,
            )
        )
        response = HTMLResponse(text, status)
        response.headers["Content-Security-Policy"] = content_policy(
            form_origin, has_script=has_script
        )
        response.headers["Content-Language"] = self.language
        response.headers["X-Offline-Look"] = self.look.cookie
        self._tell_worker(response, values.get("signer"), is_kept=is_kept)
        self._keep(response, secret)
        if notice is not None:
            self.site.cookies.drop(response, "notice")
        return response

    def _tell_worker(self, response: Response, signer: object, *, is_kept: bool) -> None:
        """Whose page it is: the service worker keeps pages of one person at a time.

        ``-`` is nobody: what it has kept, it removes. How its own pages are to look is told beside
        (``X-Offline-Look``): it cannot read the cookie.
        """
        if self.session is None:
            response.headers["X-Offline-Person"] = "-"
        elif signer is not None:
            response.headers["X-Offline-Person"] = cast("Signer", signer).person or "-"
        if is_kept:
            response.headers["X-Offline-Copy"] = "yes"

    def to(self, address: str, notice: Notice | None = None) -> Response:
        """Go to ``address`` (ours, or a portal's), and tell ``notice`` there if it is ours."""
        response = RedirectResponse(address, _SEE_OTHER)
        if notice is not None:
            secret = self.secret or cookies.new_visitor()
            self.site.cookies.write(response, "notice", cookies.seal_notice(secret, notice))
            self._keep(response, secret)
        return response

    def _keep(self, response: Response, secret: str) -> None:
        """Let a visitor who had no secret hold the one that was made."""
        if self.secret is None:
            self.site.cookies.write(response, "visitor", secret)

    def _notice(self) -> Notice | None:
        sealed = self.site.cookies.read(self.request, "notice")
        if sealed is None or self.secret is None:
            return None
        notice = cookies.open_notice(self.secret, sealed)
        here = self.request.url.path
        return notice if notice and (not notice.about or notice.about in here.split("/")) else None


_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(?::[0-9]{1,5})?")
_APP = re.compile(r"([a-z][a-z0-9+.-]{0,60}:)(?://.*)?")


def content_policy(
    form_origin: str | None = None, *, has_script: bool = False, has_worker: bool = False
) -> str:
    """The page may load our style sheet and pictures, run nothing, and be framed by nobody.

    ``has_script``: it may run our own files and ask this site, nothing written into the page.
    ``has_worker``: some of them beside the page.

    Browsers apply ``form-action`` to the redirects after a form, too, so the portal that the
    answer goes back to is named, exactly that one: an origin, or the private scheme of an app
    (RFC 8252 cl. 7.1). What is neither is left out.
    """
    target = _source(form_origin or "")
    script = "script-src 'self'; connect-src 'self'; " if has_script else ""
    # Our own service worker is one of our files, too.
    script += "worker-src 'self'; " if has_script or has_worker else ""
    return (
        f"default-src 'none'; {script}style-src 'self'; img-src 'self'; manifest-src 'self'; "
        f"form-action 'self'{target}; frame-ancestors 'none'; base-uri 'none'"
    )


def _source(origin: str) -> str:
    if _ORIGIN.fullmatch(origin):
        return f" {origin}"
    app = _APP.fullmatch(origin)
    return f" {app[1]}" if app and app[1] not in {"http:", "https:", "javascript:", "data:"} else ""
