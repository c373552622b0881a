"""The session that a page needs, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consent_app.cookies import Notice
from consent_app.faults import RsspRefused

if TYPE_CHECKING:
    from starlette.responses import Response

    from consent_app.visit import Visit

SESSION_INVALID = "session_invalid"
_UNAUTHORIZED = 401


def required_session(visit: Visit) -> str:
    """The visitor's session; without one the same fault as the rssp's for one that is over."""
    if visit.session is None:
        raise RsspRefused(_UNAUTHORIZED, SESSION_INVALID)
    return visit.session


def signed_out(visit: Visit) -> Response:
    """On to the sign-in form; nothing of the session stays in the browser.

    Its service worker removes what it has kept, and so does the script of the page that follows.
    ``Clear-Site-Data: "storage"`` is not sent: it unregisters the worker that carries this answer,
    and breaks off a registration under way (docs/phone.md).
    """
    visit.session = None
    response = visit.to("/sign-in", Notice("signed_out"))
    visit.site.cookies.drop(response, "session")
    return response
