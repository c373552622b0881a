"""The audit table: what happened, once written never changed.

Every row has one canonical spelling (:func:`leaf`), so that a Merkle log (RFC 6962) can be laid
over the table. Rows carry digests and ids, never secrets. Changes of a signature activation are
written by a trigger in the very statement that makes the change; everything else calls
:func:`record` in the transaction of the change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from remote_signing import strict_json
from remote_signing.rssp.models import audit_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Row

    from remote_signing.rssp.db import Database
    from remote_signing.strict_json import JsonValue

_LEAF_PREFIX = b"\x00"  # RFC 6962 cl. 2.1: leaves and nodes are hashed apart
_PAGE = 500
_FIELDS = (
    "number",
    "at",
    "kind",
    "actor",
    "client_id",
    "subscriber_id",
    "credential_id",
    "activation_id",
    "sequence",
    "state",
    "detail",
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``kind`` is ``noun.verb``; ``actor`` a role or ``ra:<key id>``."""

    kind: str
    actor: str
    client_id: str | None = None
    subscriber_id: str | None = None
    credential_id: str | None = None
    activation_id: str | None = None
    detail: Mapping[str, JsonValue] = field(default_factory=dict)


def record(connection: Connection, event: Event, at_ms: int) -> None:
    """Write ``event`` in the transaction of the change that it tells of. One statement."""
    connection.execute(
        insert(audit_event),
        {
            "at": at_ms,
            "kind": event.kind,
            "actor": event.actor,
            "client_id": event.client_id,
            "subscriber_id": event.subscriber_id,
            "credential_id": event.credential_id,
            "activation_id": event.activation_id,
            "detail": detail_text(event.detail),
        },
    )


def detail_text(detail: Mapping[str, JsonValue]) -> str:
    """The canonical JSON text of an event's detail."""
    return strict_json.canonical(detail).decode("utf-8")


def leaf(row: Row[Any]) -> bytes:
    """The canonical bytes of a row of ``audit_event``: JSON of all members, names sorted."""
    members = row._mapping  # noqa: SLF001 - the public name of this accessor of Row
    return strict_json.canonical({name: members[name] for name in _FIELDS})


def leaf_hash(row: Row[Any]) -> bytes:
    """SHA-256 of the leaf as RFC 6962 cl. 2.1 has it."""
    return hashlib.sha256(_LEAF_PREFIX + leaf(row)).digest()


def events(
    database: Database, *, after: int = 0, activation_id: str | None = None
) -> Iterator[Row[Any]]:
    """The rows with a number above ``after``, oldest first, read page by page."""
    statement = select(audit_event).order_by(audit_event.c.number).limit(_PAGE)
    if activation_id is not None:
        statement = statement.where(audit_event.c.activation_id == activation_id)
    while rows := database.all(statement.where(audit_event.c.number > after)):
        yield from rows
        after = rows[-1].number
