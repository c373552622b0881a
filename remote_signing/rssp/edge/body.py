"""Reading a request's JSON body: bounded while it streams in, and strict.

What is refused here never reaches a database driver: each of duplicate names, NaN, NUL, half a
surrogate pair and integers beyond 2^53 has turned into a 500 somewhere (see tests/unit).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing import strict_json
from remote_signing.errors import InvalidInput

if TYPE_CHECKING:
    from starlette.requests import Request

    from remote_signing.strict_json import JsonValue

MAX_BODY = 1024 * 1024
"""Bytes. 1,000 hashes of 64 bytes with all their companions need a tenth of it."""


class BodyTooLarge(InvalidInput):
    """The request's body is longer than :data:`MAX_BODY`."""


class MediaTypeUnsupported(InvalidInput):
    """The request's body is not declared as JSON in UTF-8."""


class FormExpected(MediaTypeUnsupported):
    """The request's body is not a form with files (multipart/form-data)."""


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The whole body, at most ``limit`` bytes; more is ``BodyTooLarge`` as soon as it is known."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise BodyTooLarge(f"Content-Length {declared[:20]}")
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise BodyTooLarge(f"more than {limit} bytes")
        body += chunk
    return bytes(body)


async def read_object(request: Request, limit: int = MAX_BODY) -> dict[str, JsonValue]:
    """The JSON object in the body; an empty body counts as ``{}``.

    Errors: ``BodyTooLarge``, ``MediaTypeUnsupported``, ``InvalidInput`` for anything else that
    :mod:`remote_signing.strict_json` refuses.
    """
    body = await read_body(request, limit)
    if not body.strip(b" \t\r\n"):  # the white space of RFC 8259 cl. 2, nothing else
        return {}
    check_media_type(request.headers.get("content-type", ""))
    return strict_json.loads_object(body)


def check_media_type(content_type: str) -> None:
    """Refuse a body that is not ``application/json``; a charset may be named if it is UTF-8."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media_type != "application/json":
        raise MediaTypeUnsupported(f"Content-Type {content_type[:80]!r}")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in {"utf-8", "utf8"}:
            raise MediaTypeUnsupported(f"Content-Type {content_type[:80]!r}")
