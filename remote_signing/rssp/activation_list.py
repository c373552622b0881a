"""What waits for the signer. See :mod:`.activation`.

A list is one statement and one page; ``after`` is the cursor that the page before gave. Searching
looks at folded text (:mod:`.request_details`), so accents need not be typed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, literal_column, or_, select

from remote_signing.errors import InvalidInput
from remote_signing.identifiers import is_id
from remote_signing.rssp import request_details
from remote_signing.rssp.activation_model import ActivationSummary, Channel
from remote_signing.rssp.activation_sql import ACTIVATION, code_is_matched, now
from remote_signing.rssp.models import oauth_client, signature_activation

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.request_details import Urgency

LARGEST_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests: of a client, at least so urgent, with this text in them; all by default."""

    client_id: str | None = None
    urgency: Urgency | None = None
    text: str | None = None
    after: str | None = None
    limit: int = LARGEST_PAGE


@dataclass(frozen=True, slots=True)
class PendingPage:
    """``total`` counts what is wanted, ``waiting`` everything that waits, on all pages.

    ``mark`` changes when what waits does. ``clients`` are those with something in the whole list:
    id and name.
    """

    requests: tuple[ActivationSummary, ...]
    total: int
    waiting: int
    after: str | None
    mark: str
    clients: tuple[tuple[str, str], ...] = ()


def pending(services: Services, subscriber_id: str, wanted: Wanted | None = None) -> PendingPage:
    """The requests that wait for this signer, those that end first at the top. One statement.

    A pushed authorization request counts only after a browser has opened it.
    """
    wanted = wanted or Wanted()
    parameters: dict[str, object] = {"the_owner": subscriber_id, "now": services.now_ms()}
    rows = services.database.all(_PENDING, parameters)
    chosen = [row for row in rows if _is_wanted(row, wanted)]
    first = _place(wanted.after)
    following = [row for row in chosen if (row.expires_at, row.id) > first]
    page = following[: wanted.limit]
    is_last = len(page) == len(following)
    return PendingPage(
        requests=tuple(map(_summary, page)),
        total=len(chosen),
        waiting=len(rows),
        mark=mark_of(len(rows), max((row.id for row in rows), default="")),
        after=None if is_last else f"{page[-1].expires_at}.{page[-1].id}",
        clients=tuple(sorted({(row.client_id, row.name) for row in rows}, key=lambda c: c[1])),
    )


def mark_of(waiting: int, newest: str) -> str:
    """What tells two moments of a list apart: how many wait, and the youngest of them.

    Ids rise with time, so what came in the place of something else is the youngest.
    """
    return f"{waiting}.{newest}"


def _is_wanted(row: Row[Any], wanted: Wanted) -> bool:
    return (
        wanted.client_id in {None, row.client_id}
        and row.urgency >= (wanted.urgency or 0)
        and request_details.folded(wanted.text or "") in row.search_text
    )


def _place(after: str | None) -> tuple[int, str]:
    """Where a page begins. ``InvalidInput`` for what no page gave."""
    if after is None:
        return (0, "")
    end, _, last = after.partition(".")
    if not (end.isdecimal() and end.isascii() and len(end) < _DIGITS and is_id(last)):
        raise InvalidInput("no cursor of ours", parameter="after")
    return (int(end), last)


_DIGITS = 19  # of a time that fits 64 bits


def _summary(row: Row[Any]) -> ActivationSummary:
    request = json.loads(row.request)
    return ActivationSummary(
        activation_id=row.id,
        client_id=row.client_id,
        client_name=row.name,
        description=request["description"],
        num_signatures=row.num_signatures,
        verification_code=row.verification_code if row.is_matched else None,
        created_at_ms=row.created_at,
        expires_at_ms=row.expires_at,
        details=request_details.from_members(request.get("details")),
        client_logo=row.logo,
    )


MOST_WAITING = 500
"""Rows that a list looks at: what ends later comes up when these have been answered."""
_owner = bindparam("the_owner", type_=ACTIVATION.subscriber_id.type)
WAITS = (
    # Word for word as the index has it: SQLite uses a partial index for nothing else.
    ACTIVATION.state == literal_column("'PENDING'"),
    ACTIVATION.expires_at > now,
    or_(ACTIVATION.channel == Channel.DECOUPLED.value, ACTIVATION.request_used_at.is_not(None)),
)
"""What waits; the caller says for whom."""
_PENDING = (
    select(
        *(ACTIVATION.id, ACTIVATION.client_id, ACTIVATION.request, ACTIVATION.num_signatures),
        *(ACTIVATION.verification_code, ACTIVATION.created_at, ACTIVATION.expires_at),
        *(ACTIVATION.urgency, ACTIVATION.search_text, oauth_client.c.name),
        oauth_client.c.logo,
        code_is_matched().label("is_matched"),
    )
    .join_from(signature_activation, oauth_client, oauth_client.c.id == ACTIVATION.client_id)
    .where(ACTIVATION.subscriber_id == _owner, *WAITS)
    .order_by(ACTIVATION.expires_at, ACTIVATION.id)
    .limit(MOST_WAITING)
)
