"""How much waits, for a page that stays open: asked often, so it costs one statement.

Looking does not count as using the session: a page that is left open must not keep it alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from remote_signing.errors import SessionInvalid
from remote_signing.rssp import sessions
from remote_signing.rssp.activation_list import MOST_WAITING, WAITS, mark_of
from remote_signing.rssp.activation_sql import ACTIVATION

if TYPE_CHECKING:
    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.deps import Services


@dataclass(frozen=True, slots=True)
class Watched:
    """``waiting`` and ``mark`` as of :class:`.activation_list.PendingPage`."""

    waiting: int
    mark: str


def look(services: Services, ticket: Ticket) -> Watched:
    """What waits for this session's signer. One statement that changes nothing.

    Errors: ``SessionInvalid``.
    """
    row = services.database.one(_LOOK, sessions.parameters(services, ticket))
    if row is None:
        raise SessionInvalid("session is unknown or over, or its signer suspended")
    return Watched(row.waiting, mark_of(row.waiting, row.newest or ""))


_me = sessions.LIVE.cte("me")
# The same rows as the list has, found by the same index.
_line = (
    select(ACTIVATION.id)
    .where(ACTIVATION.subscriber_id == select(_me.c.subscriber_id).scalar_subquery(), *WAITS)
    .order_by(ACTIVATION.expires_at, ACTIVATION.id)
    .limit(MOST_WAITING)
    .cte("line")
)
_LOOK = select(
    _me.c.subscriber_id,
    select(func.count(_line.c.id)).scalar_subquery().label("waiting"),
    select(func.max(_line.c.id)).scalar_subquery().label("newest"),
)
