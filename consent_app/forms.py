"""Reading a form: that it is ours, bounded, and names each field once."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from consent_app import cookies
from consent_app.faults import BodyTooLarge, FormForged, RequestMalformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

TOKEN_FIELD = "form_token"  # noqa: S105 - a field's name, not its value
MAX_BODY = 4096
_MAX_FIELDS = 8
_SECONDS_TO_SEND = 15
_MEDIA_TYPE = re.compile(
    r"application/x-www-form-urlencoded\s*(?:;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE
)
# What the rssp takes in no text that somebody will read: nothing of it can be seen.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_JOINERS = {"\u200c", "\u200d"}  # parts of words in some scripts


def fields(encoded: bytes) -> dict[str, str]:
    """The fields of ``application/x-www-form-urlencoded`` text. Errors: ``RequestMalformed``."""
    try:
        text = encoded.decode("ascii")
        pairs = (
            parse_qsl(
                text,
                keep_blank_values=True,
                strict_parsing=True,
                encoding="utf-8",
                errors="strict",
                max_num_fields=_MAX_FIELDS,
            )
            if text
            else []
        )
    except ValueError:
        # Its own text could quote what somebody typed, so it does not go any further.
        raise RequestMalformed("not a form") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RequestMalformed("a parameter is named twice")
    if any("\0" in value for value in found.values()):
        raise RequestMalformed("a parameter holds NUL")
    return found


async def read(request: Request, secret: str | None, origin: str) -> Mapping[str, str]:
    """The fields of the form in ``request``.

    ``secret`` is the visitor's; ``origin`` is ours as browsers write it. Errors: ``FormForged``
    (from another site, without or with a wrong token), ``RequestMalformed``, ``BodyTooLarge``.
    """
    check_origin(request, origin)
    if not _MEDIA_TYPE.fullmatch(request.headers.get("content-type", "")):
        raise RequestMalformed("the body is not a form")
    found = fields(await _body(request))
    token = found.pop(TOKEN_FIELD, "")
    if secret is None or not cookies.is_form_token(secret, request.url.path, token):
        raise FormForged("the form's token is missing or wrong")
    return found


def check_origin(request: Request, origin: str) -> None:
    """Refuse a form that a browser says another site has sent, or says nothing about.

    Every browser in use sends ``Origin`` with a POST; the newer ones ``Sec-Fetch-Site`` too, which
    scripts cannot forge. Our ``Referrer-Policy: same-origin`` keeps ``Origin`` from being ``null``.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        raise FormForged(f"Sec-Fetch-Site is {site[:20]!r}")
    sent = request.headers.get("origin")
    if sent != origin:
        raise FormForged(f"Origin is {'absent' if sent is None else repr(sent[:100])}")


def origin_of(url: str) -> str:
    """``url``'s origin as browsers write it: lower case, without a default port."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in {None, default} else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}"


def one(found: Mapping[str, str], name: str, longest: int) -> str:
    """The field ``name``, with something in it and at most ``longest`` characters."""
    value = found.get(name)
    if value is None:
        raise RequestMalformed(f"the field {name} is missing")
    if len(value) > longest:
        raise RequestMalformed(f"the field {name} is too long")
    return value


def written(found: Mapping[str, str], name: str, longest: int) -> str:
    """The field ``name`` as it was meant, in one line; empty when it is not there.

    What cannot be seen is pasted along from documents and pages unnoticed.
    """
    text = "".join(each for each in found.get(name, "") if each.isspace() or _is_seen(each))
    return unicodedata.normalize("NFC", " ".join(text.split()))[:longest]


def _is_seen(character: str) -> bool:
    category = unicodedata.category(character)
    return character in _JOINERS or (category not in _UNSEEN and character not in _BLANK)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS_TO_SEND):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise BodyTooLarge(f"more than {MAX_BODY} bytes")
    except TimeoutError:
        raise RequestMalformed("the form did not arrive in time") from None
    return bytes(body)
