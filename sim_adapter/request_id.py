"""The request id: one name for a request in the visitor's error page, the logs and the rssp's."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-Id"
_HARMLESS = re.compile(rb"[A-Za-z0-9._~-]{8,64}")

current: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that this task is answering; ``-`` outside of one."""


def accept(offered: bytes | None) -> str:
    """``offered`` (by our proxy) when harmless to log and to show, else a new id."""
    if offered is not None and _HARMLESS.fullmatch(offered):
        return offered.decode("ascii")
    return secrets.token_hex(8)  # short enough to read out on the telephone
