"""Which browsers are told that a request waits. Off until an official switches it on, in each.

An endpoint is an address that the browser's maker chose, brought by the browser; it must lead to
a push service that the configuration names, so that nobody makes us call elsewhere. Of the browser
we keep that address only: messages have no content, so no key to encrypt them is needed.

A row goes with the session that it was made in when that is ended (a trigger), with all others when
its owner signs out everywhere or freezes his keys, when the push service says that it is gone, and
when no page was open for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from remote_signing.errors import InvalidInput
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, callback, sessions
from remote_signing.rssp.models import push_subscription

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.config_push import PushConfig
    from remote_signing.rssp.deps import Services
    from remote_signing.strict_json import JsonValue

MOST: Final = 8
"""Of one official: a further one takes the place of the oldest."""
LONGEST: Final = 1000
"""Characters of an endpoint."""
_ROW = push_subscription.c


def check(config: PushConfig, endpoint: str) -> None:
    """``InvalidInput`` (parameter ``endpoint``) unless it is one of a named push service."""
    if len(endpoint) > LONGEST or not callback.is_uri(endpoint) or not config.allows(endpoint):
        raise InvalidInput("of no push service that is named", parameter="endpoint")


def subscribe(services: Services, session: Ticket, config: PushConfig, endpoint: str) -> bool:
    """Tell this browser from now on, and on behalf of this session's signer alone.

    False when it was told already and only stays. One statement to check, up to three more in one
    transaction. Errors: ``SessionInvalid``, ``InvalidInput``.
    """
    check(config, endpoint)
    owner = sessions.use(services, session).subscriber_id
    now = services.now_ms()
    its = {"subscriber_id": owner, "session_id": session.row_id}
    row = {
        **its,
        "id": new_id(now),
        "endpoint": endpoint,
        "created_at": now,
        "expires_at": now + config.lifetime * 1000,
    }
    with services.database.transaction() as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        known = connection.execute(_KNOWN, {"its_endpoint": endpoint}).one_or_none()
        changed = {**its, "expires_at": row["expires_at"]}
        connection.execute(
            dialect.insert(push_subscription)
            .values(row)
            .on_conflict_do_update(index_elements=["endpoint"], set_=changed)
        )
        if known is not None and known.subscriber_id == owner:
            return False
        connection.execute(_DROP_OLDEST, {"the_owner": owner})
        _note(connection, "push.switched_on", owner, session, now)
    return True


def unsubscribe(services: Services, session: Ticket, endpoint: str | None = None) -> int:
    """Tell this browser no more, or None: any of the signer's; how many that were.

    Errors: ``SessionInvalid``.
    """
    owner = sessions.use(services, session).subscriber_id
    statement = delete(push_subscription).where(_ROW.subscriber_id == owner)
    if endpoint is not None:
        statement = statement.where(_ROW.endpoint == endpoint)
    with services.database.transaction() as connection:
        count = connection.execute(statement).rowcount
        if count:
            _note(connection, "push.switched_off", owner, session, services.now_ms(), count=count)
    return count


def count_of(services: Services, subscriber_id: str) -> int:
    """How many browsers of this signer are told. One statement."""
    return len(services.database.all(_HIS, {"the_owner": subscriber_id}))


def _note(
    connection: Connection,
    kind: str,
    owner: str,
    session: Ticket,
    now: int,
    **more: JsonValue,
) -> None:
    detail = {"session_id": session.row_id, **more}
    event = audit.Event(kind, "signer", subscriber_id=owner, detail=detail)
    audit.record(connection, event, now)


_owner = bindparam("the_owner", type_=_ROW.subscriber_id.type)
_KNOWN = select(_ROW.subscriber_id).where(
    _ROW.endpoint == bindparam("its_endpoint", type_=_ROW.endpoint.type)
)
_HIS = select(_ROW.id).where(_ROW.subscriber_id == _owner)
_youngest = push_subscription.alias("youngest")
_DROP_OLDEST = delete(push_subscription).where(
    _ROW.subscriber_id == _owner,
    _ROW.id.not_in(
        select(_youngest.c.id)
        .where(_youngest.c.subscriber_id == _owner)
        .order_by(_youngest.c.id.desc())
        .limit(MOST)
    ),
)
