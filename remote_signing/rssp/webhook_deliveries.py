"""The messages that clients are still to be told, one row each: at least once, in any order.

WAITING → DELIVERED, or after the last try DEAD, until an operator lets it WAIT again. The row was
written by a trigger, in the statement that answered the request. A row that is due is claimed by a
guarded UPDATE that also sets when it is due again, so a worker that dies delays a message by a
lease and loses none; the receiver drops a repeat by ``webhook-id``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, bindparam, delete, select, update

from remote_signing import strict_json
from remote_signing.clock import as_datetime
from remote_signing.rssp import audit
from remote_signing.rssp.models import webhook_delivery, webhook_endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services
    from remote_signing.strict_json import JsonValue

SCHEDULE: Final = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 21600, 36000)
"""Seconds from one try to the next: eleven tries in about a day."""
LEASE_MS: Final = 60_000
"""Longer than a try takes."""
LONGEST_PAUSE_MS: Final = 60_000
"""How long the other messages of a client wait after one was not taken."""
_FIRST_PAUSE_MS = 5_000
_BATCH = 500
_ROW, _ENDPOINT = webhook_delivery.c, webhook_endpoint.c
_TYPES = {
    "AUTHORIZED": "authorization.approved",
    "EXPIRED": "authorization.expired",
    "REVOKED": "authorization.withdrawn",
}


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message in a worker's hands until its lease is over. ``failures``: of its receiver."""

    id: str
    client_id: str
    url: str
    body: bytes
    tries: int
    failures: int


def claim(services: Services) -> Claimed | None:
    """The message that is due longest; None when none is. At most two statements, one transaction.

    Of a receiver that failed, one message at a time is tried, so that it holds one worker at most.
    """
    now = services.now_ms()
    parameters = {"now": now, "next": now + LEASE_MS}
    with services.database.transaction() as connection:
        row = connection.execute(_CLAIM, parameters).one_or_none()
        if row is None:
            return None
        if row.failures:
            its = {"the_client": row.client_id, "next": now + LEASE_MS}
            connection.execute(_HOLD_OTHERS, its)
    return Claimed(row.id, row.client_id, row.url, body(row), row.tries, row.failures)


def body(row: Row[Any]) -> bytes:
    """What is told: the same bytes at each try. No secret is in it, and of words the signer's."""
    denial = None if row.denial is None else json.loads(row.denial)
    kind = _TYPES.get(row.outcome) or f"authorization.{(denial or {}).get('kind', 'refused')}"
    data: dict[str, JsonValue] = {"activationID": row.activation_id}
    if denial is not None:
        data["denial"] = denial
    moment = as_datetime(row.happened_at).isoformat(timespec="milliseconds")
    return strict_json.canonical(
        {"type": kind, "timestamp": moment.replace("+00:00", "Z"), "data": data}
    )


def headers(message: Claimed, secrets: Sequence[bytes], now_ms: int) -> dict[str, str]:
    """The headers of Standard Webhooks: one signature for each secret."""
    timestamp = now_ms // 1000
    signed = f"{message.id}.{timestamp}.".encode() + message.body
    macs = (hmac.digest(secret, signed, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join("v1," + base64.b64encode(mac).decode() for mac in macs),
    }


def delivered(services: Services, message: Claimed) -> None:
    """The receiver took it. One statement, two when the receiver had failed."""
    now = services.now_ms()
    taken = {**_mine(message), "now": now, "new_state": "DELIVERED", "next": None, "why": None}
    services.database.one(_SETTLE, taken)
    if message.failures:
        services.database.run(_RECOVERED, {"the_client": message.client_id})


def failed(services: Services, message: Claimed, cause: str) -> bool:
    """Try again later, or give it up: then False. Two or three statements, one transaction."""
    now = services.now_ms()
    is_last = message.tries > len(SCHEDULE)
    parameters = {
        **_mine(message),
        "now": now,
        "new_state": "DEAD" if is_last else "WAITING",
        "next": None if is_last else now + _pause_ms(message),
        "why": cause[:200],
    }
    pause = min(_FIRST_PAUSE_MS * 2**message.failures, LONGEST_PAUSE_MS)
    with services.database.transaction() as connection:
        if connection.execute(_SETTLE, parameters).one_or_none() is None:
            return True  # another worker has taken it over
        its = {"the_client": message.client_id, "next": now + pause}
        connection.execute(_FAILED, its)
        if is_last:
            detail: dict[str, JsonValue] = {"message_id": message.id, "tries": message.tries}
            event = audit.Event(
                "webhook.dead", "system", client_id=message.client_id, detail=detail
            )
            audit.record(connection, event, now)
    return not is_last


def dead(services: Services, client_id: str | None = None, after: str = "") -> Sequence[Row[Any]]:
    """What was given up, by its id, at most 500. One statement."""
    query = select(webhook_delivery).where(_ROW.state == "DEAD", _ROW.id > after)
    if client_id is not None:
        query = query.where(_ROW.client_id == client_id)
    return services.database.all(query.order_by(_ROW.id).limit(_BATCH))


def requeue(
    services: Services, *, message_id: str | None = None, client_id: str | None = None
) -> int:
    """Let dead messages wait again, with all their tries; how many. Of clients with an address."""
    now = services.now_ms()
    statement = update(webhook_delivery).where(
        _ROW.state == "DEAD", _ROW.client_id.in_(select(_ENDPOINT.client_id))
    )
    if message_id is not None:
        statement = statement.where(_ROW.id == message_id)
    if client_id is not None:
        statement = statement.where(_ROW.client_id == client_id)
    again = {"state": "WAITING", "due_at": now, "tries": 0, "cause": None, "settled_at": None}
    with services.database.transaction() as connection:
        rows = connection.execute(statement.values(again).returning(_ROW.id, _ROW.client_id)).all()
        for row in rows:
            event = audit.Event(
                "webhook.requeued",
                audit.operator(),
                client_id=row.client_id,
                detail={"message_id": row.id},
            )
            audit.record(connection, event, now)
    return len(rows)


def prune(services: Services) -> int:
    """Remove delivered messages, and dead ones of long ago; how many."""
    now, config = services.now_ms(), services.config
    kept = config.lifetimes.retention if config.webhooks is None else config.webhooks.retention
    ends = {"DELIVERED": now - kept * 1000, "DEAD": now - config.lifetimes.retention * 1000}
    count = 0
    for state, end in ends.items():
        batch = select(_ROW.id).where(_ROW.state == state, _ROW.settled_at < end).limit(_BATCH)
        statement = delete(webhook_delivery).where(_ROW.id.in_(batch.scalar_subquery()))
        while done := services.database.run(statement):
            count += done
    return count


def _pause_ms(message: Claimed) -> int:
    """The schedule, and up to a tenth more: messages that failed together come back apart."""
    pause = SCHEDULE[message.tries - 1] * 1000
    spread = hashlib.sha256(f"{message.id}.{message.tries}".encode()).digest()[0]
    return pause + pause * spread // 2560


def _mine(message: Claimed) -> dict[str, object]:
    """``tries`` rises with each claim, so it tells whether the message is still in these hands."""
    return {"the_id": message.id, "its_tries": message.tries}


_NOW = bindparam("now", type_=_ROW.due_at.type)
_NEXT = bindparam("next", type_=_ROW.due_at.type)
_IS_DUE = (_ROW.due_at.is_not(None), _ROW.due_at <= _NOW)
_DUE = (
    select(_ROW.id)
    .join_from(webhook_delivery, webhook_endpoint, _ENDPOINT.client_id == _ROW.client_id)
    .where(*_IS_DUE, _ENDPOINT.paused_until <= _NOW)
    .order_by(_ROW.due_at)
    .limit(1)
    .with_for_update(skip_locked=True, of=webhook_delivery)
    .cte("due")
)


def _of_endpoint(name: str) -> Any:  # noqa: ANN401 - a column of any type
    query = select(_ENDPOINT[name]).where(_ENDPOINT.client_id == _ROW.client_id)
    return query.correlate(webhook_delivery).scalar_subquery().label(name)


_CLAIM = (
    update(webhook_delivery)
    .where(_ROW.id.in_(select(_DUE.c.id)), *_IS_DUE)
    .values(due_at=_NEXT, tries=_ROW.tries + 1)
    .returning(webhook_delivery, _of_endpoint("url"), _of_endpoint("failures"))
)
_SETTLE = (
    update(webhook_delivery)
    .where(
        _ROW.id == bindparam("the_id", type_=Text()),
        _ROW.tries == bindparam("its_tries", type_=_ROW.tries.type),
        _ROW.state == "WAITING",
    )
    .values(
        state=bindparam("new_state", type_=Text()),
        due_at=_NEXT,
        cause=bindparam("why", type_=Text()),
        settled_at=_NOW,
    )
    .returning(_ROW.id)
)
_ITS_ENDPOINT = _ENDPOINT.client_id == bindparam("the_client", type_=Text())
_HOLD_OTHERS = update(webhook_endpoint).where(_ITS_ENDPOINT).values(paused_until=_NEXT)
_FAILED = (
    update(webhook_endpoint)
    .where(_ITS_ENDPOINT)
    .values(failures=_ENDPOINT.failures + 1, paused_until=_NEXT)
)
_RECOVERED = update(webhook_endpoint).where(_ITS_ENDPOINT).values(failures=0, paused_until=0)
