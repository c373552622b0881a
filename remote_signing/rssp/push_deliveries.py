"""Telling browsers that something waits: one row each, with the moment when it is due.

There is no row for a message: a message says nothing but "look", so several are one. A row that is
due is claimed by a guarded UPDATE that also sets when it is due again, so a worker that dies delays
a message by a lease and loses none. ``tries`` rises with each claim and tells whether the row is
still in the same hands; ``wanted`` tells whether a request came while the message was on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, Integer, and_, bindparam, case, delete, exists, select, update
from sqlalchemy import Text as TextType

from remote_signing.rssp.models import push_subscription, signature_activation, subscriber

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services

SCHEDULE: Final = (10, 60, 300, 1800)
"""Seconds from one try to the next: five tries in about half an hour; then the next request's."""
LEASE_MS: Final = 60_000
"""Longer than a try takes."""
QUIET_MS: Final = 15_000
"""Between two messages to one browser."""
_BATCH = 500
_ROW, _ACTIVATION = push_subscription.c, signature_activation.c


@dataclass(frozen=True, slots=True)
class Claimed:
    """A browser in a worker's hands until its lease is over."""

    id: str
    endpoint: str
    tries: int
    wanted: int
    is_needed: bool  # something still waits


def claim(services: Services) -> Claimed | None:
    """The browser that is due longest; None when none is. One statement."""
    now = services.now_ms()
    row = services.database.one(_CLAIM, {"now": now, "next": now + LEASE_MS})
    if row is None:
        return None
    return Claimed(row.id, row.endpoint, row.tries, row.wanted, bool(row.is_needed))


def told(services: Services, message: Claimed) -> None:
    """The push service took it, or nothing waits any more. One statement."""
    now = services.now_ms()
    services.database.run(_TOLD, {**_mine(message), "next": now + QUIET_MS})


def failed(services: Services, message: Claimed) -> bool:
    """Try again later, or not before the next request: then False. One statement."""
    is_last = message.tries > len(SCHEDULE)
    if is_last:
        told(services, message)
    else:
        pause = SCHEDULE[message.tries - 1] * 1000
        services.database.run(_AGAIN, {**_mine(message), "next": services.now_ms() + pause})
    return not is_last


def gone(services: Services, message: Claimed) -> None:
    """The push service knows it no more: forget it. One statement."""
    services.database.run(_FORGET, {"the_id": message.id, "the_endpoint": message.endpoint})


def put_off(services: Services, message: Claimed, pause_ms: int) -> None:
    """Give it back untried: its push service is not to be asked now. One statement."""
    services.database.run(_BACK, {**_mine(message), "next": services.now_ms() + pause_ms})


def prune(services: Services) -> int:
    """Forget browsers that opened no page for long; how many."""
    batch = select(_ROW.id).where(_ROW.expires_at < services.now_ms()).limit(_BATCH)
    statement = delete(push_subscription).where(_ROW.id.in_(batch.scalar_subquery()))
    count = 0
    while done := services.database.run(statement):
        count += done
    return count


def _mine(message: Claimed) -> dict[str, object]:
    return {"the_id": message.id, "its_tries": message.tries, "its_wanted": message.wanted}


_NOW = bindparam("now", type_=BigInteger())
_NEXT = bindparam("next", type_=BigInteger())
_IS_DUE = (_ROW.due_at.is_not(None), _ROW.due_at <= _NOW)
# Of a suspended official nothing is told.
_DUE = (
    select(_ROW.id)
    .join_from(push_subscription, subscriber, subscriber.c.id == _ROW.subscriber_id)
    .where(*_IS_DUE, subscriber.c.state == "active", _ROW.expires_at > _NOW)
    .order_by(_ROW.due_at)
    .limit(1)
    .with_for_update(skip_locked=True, of=push_subscription)
    .cte("due")
)
_WAITS = exists(
    select(_ACTIVATION.id).where(
        _ACTIVATION.state == "PENDING",
        _ACTIVATION.subscriber_id == _ROW.subscriber_id,
        _ACTIVATION.expires_at > _NOW,
    )
).correlate(push_subscription)
_CLAIM = (
    update(push_subscription)
    .where(_ROW.id.in_(select(_DUE.c.id)), *_IS_DUE)
    .values(due_at=_NEXT, tries=_ROW.tries + 1)
    .returning(_ROW.id, _ROW.endpoint, _ROW.tries, _ROW.wanted, _WAITS.label("is_needed"))
)
_ITS = and_(
    _ROW.id == bindparam("the_id", type_=_ROW.id.type),
    _ROW.tries == bindparam("its_tries", type_=Integer()),
)
_IS_ALL = _ROW.wanted == bindparam("its_wanted", type_=Integer())
_TOLD = (
    update(push_subscription)
    .where(_ITS)
    .values(tries=0, not_before=_NEXT, due_at=case((_IS_ALL, None), else_=_NEXT))
)
_AGAIN = update(push_subscription).where(_ITS).values(due_at=_NEXT)
_BACK = update(push_subscription).where(_ITS).values(due_at=_NEXT, tries=_ROW.tries - 1)
_FORGET = delete(push_subscription).where(
    _ROW.id == bindparam("the_id", type_=_ROW.id.type),
    _ROW.endpoint == bindparam("the_endpoint", type_=TextType()),
)
