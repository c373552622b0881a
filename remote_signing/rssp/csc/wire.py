"""What both versions of the CSC API share on the wire: answers, and bytes in base64."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/json"
NO_CONTENT = 204

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_FROM_URL = str.maketrans("-_", "+/")


def answer(
    members: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer. A member that has no value is left out by the caller, never null.

    204 has no body: there is nothing to tell.
    """
    if status == NO_CONTENT:
        return Response(status_code=status, headers=dict(headers or {}))
    text = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def encode(data: bytes) -> str:
    """Standard base64 with padding, as everywhere in answers."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str, *, strict: bool = False) -> bytes | None:
    """The bytes of base64 in either alphabet, padded or not; None when ``text`` is neither.

    Clients send all four spellings, so hashes are compared as bytes, never as text. ``strict``
    takes the standard's alone: the first alphabet, padded.
    """
    if strict and (len(text) % 4 or "-" in text or "_" in text):
        return None
    text = text.translate(_FROM_URL)
    if _BASE64.fullmatch(text) is None:
        return None
    bare = text.rstrip("=")
    padding = -len(bare) % 4
    padded = len(text) - len(bare)
    if padding == 3 or padded not in {0, padding}:  # noqa: PLR2004 - one character over is no byte
        return None
    return base64.b64decode(bare + "=" * padding)
