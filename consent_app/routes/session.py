"""The session that a page needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consent_app.faults import RsspRefused

if TYPE_CHECKING:
    from consent_app.visit import Visit

SESSION_INVALID = "session_invalid"
_UNAUTHORIZED = 401


def required_session(visit: Visit) -> str:
    """The visitor's session; without one the same fault as the rssp's for one that is over."""
    if visit.session is None:
        raise RsspRefused(_UNAUTHORIZED, SESSION_INVALID)
    return visit.session
