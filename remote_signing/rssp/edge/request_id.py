"""The request id: one name for a request in the client's log, the proxy's and ours.

Taken from ``X-Request-Id`` when it is harmless to log and to send back, else made here.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-Id"
_HARMLESS = re.compile(rb"[A-Za-z0-9._~-]{8,64}")

current: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that this task or worker thread is answering; ``-`` outside of one."""


def accept(offered: bytes | None) -> str:
    """``offered`` when it has the shape of an id (8 to 64 unreserved characters), else a new id."""
    if offered is not None and _HARMLESS.fullmatch(offered):
        return offered.decode("ascii")
    return secrets.token_hex(16)
