"""The six cookies, and what is derived from their secrets.

``session``   the rssp's session; the only right a visitor has
``visitor``   a random secret for somebody who is not signed in, so that the sign-in form is bound
``notice``    what the last form led to, shown once; bound to the session by a MAC
``openid``    what binds a sign-in by the identity provider to this browser
``language``  the visitor's choice
``look``      theme, size of text, simple mode: the visitor's choice, no secret

Nothing is kept on the server, and no key of the server's is needed: a form's token and a notice's
MAC are made under the visitor's own secret, which no other site can read (``HttpOnly``) or, with
the ``__Host-`` prefix, set.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Kind = Literal["session", "visitor", "notice", "openid", "language", "look"]
_SHAPES: dict[Kind, re.Pattern[str]] = {
    "session": re.compile(r"[0-9a-z]{26}\.[A-Za-z0-9_-]{43}"),
    "visitor": re.compile(r"[A-Za-z0-9_-]{43}"),
    "notice": re.compile(r"([a-z_]{1,20})\.([0-9a-z]{0,26})\.([0-9]{0,3})\.([A-Za-z0-9_-]{43})"),
    "openid": re.compile(r"[A-Za-z0-9_-]{43}"),
    "language": re.compile(r"[a-z]{2}"),
    "look": re.compile(r"(?:system|light|dark)\.(?:100|125|150|200)\.[01]"),
}
_A_YEAR = 365 * 86_400  # seconds
_LIFE: dict[Kind, int | None] = {  # seconds; None: until the browser closes
    "session": None,
    "visitor": None,
    "notice": 120,
    "openid": 600,
    "language": _A_YEAR,
    "look": _A_YEAR,
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What to tell on the next page. ``about`` is a request's id or empty."""

    kind: str
    about: str = ""
    attempts_left: int | None = None


@dataclass(frozen=True, slots=True)
class Cookies:
    """How cookies are named and set under a public URL."""

    is_secure: bool

    def name(self, kind: Kind) -> str:
        """With https, the prefix by which browsers keep other hosts from setting it."""
        return f"__Host-consent-{kind}" if self.is_secure else f"consent-{kind}"

    def read(self, request: Request, kind: Kind) -> str | None:
        """The cookie's value when it has the right shape."""
        return shaped(kind, request.cookies.get(self.name(kind)))

    def write(self, response: Response, kind: Kind, value: str) -> None:
        """Set it. ``Lax``: a portal's redirect to us brings it along, another site's form not."""
        response.set_cookie(
            self.name(kind),
            value,
            max_age=_LIFE[kind],
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
        )

    def drop(self, response: Response, kind: Kind) -> None:
        """Remove it."""
        response.delete_cookie(
            self.name(kind), path="/", secure=self.is_secure, httponly=True, samesite="lax"
        )


def shaped(kind: Kind, value: str | None) -> str | None:
    """``value``, when it has the shape of such a cookie's."""
    return value if value is not None and _SHAPES[kind].fullmatch(value) else None


def new_visitor() -> str:
    """A secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def form_token(secret: str, path: str) -> str:
    """The token of the form that is sent to ``path`` by the holder of ``secret``."""
    return _mac(secret, f"form\n{path}")


def is_form_token(secret: str, path: str, token: str) -> bool:
    """Whether ``token`` is that token, compared in constant time."""
    return hmac.compare_digest(form_token(secret, path).encode(), token.encode())


def seal_notice(secret: str, notice: Notice) -> str:
    """``notice`` as a cookie's value that only the holder of ``secret`` can have got from us."""
    left = "" if notice.attempts_left is None else str(notice.attempts_left)
    text = f"{notice.kind}.{notice.about}.{left}"
    return f"{text}.{_mac(secret, f'notice{chr(10)}{text}')}"


def open_notice(secret: str, value: str) -> Notice | None:
    """The notice in a cookie's ``value``; None when it was not made for this visitor."""
    match = _SHAPES["notice"].fullmatch(value)
    if match is None:
        return None
    kind, about, left, _ = match.groups()
    notice = Notice(kind, about, int(left) if left else None)
    return notice if hmac.compare_digest(seal_notice(secret, notice), value) else None


def _mac(secret: str, text: str) -> str:
    digest = hmac.digest(secret.encode(), text.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
