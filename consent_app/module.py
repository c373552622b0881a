"""What passkey.js asks and sends: JSON in a form's field, JSON back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from consent_app.faults import RequestMalformed, RsspRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.responses import Response

    from consent_app.passkey_api import Json, Options

LONGEST_SAID = 3800  # characters that a browser says of a passkey; the whole form has 4,096
_SESSION_INVALID = "session_invalid"
_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409
# Why a passkey is not taken, as notices of the page.
REASONS = {
    "synced": "passkey_synced",
    "known": "passkey_known",
    "too_many": "passkey_many",
    "by_rule": "passkey_by_officer",
    "by_order": "passkey_by_officer",
    "too_late": "passkey_changed",
}


async def for_module(asked: Awaitable[Options]) -> Response:
    """What the module asked for; else which of the page's words to show, or how it stands now.

    403 with ``reason``; 404: no passkey for this; 409: the page is out of date.
    """
    try:
        options = await asked
    except RsspRefused as fault:
        if fault.code == _SESSION_INVALID:
            raise
        if fault.code == "passkey_refused":
            kind = REASONS.get(fault.reason or "", "passkey_refused")
            return JSONResponse({"reason": kind}, _FORBIDDEN)
        return JSONResponse({}, _NOT_FOUND if fault.status == _NOT_FOUND else _CONFLICT)
    return JSONResponse(options.model_dump())


def json_object(said: str) -> Json:
    """What the module wrote: one JSON object. What is in it, the rssp reads strictly."""
    try:
        value = json.loads(said)
    except (ValueError, RecursionError):
        raise RequestMalformed("not JSON") from None
    if not isinstance(value, dict):
        raise RequestMalformed("not a JSON object")
    return value
