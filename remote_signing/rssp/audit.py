"""The audit table: what happened, once written never changed.

Every row has one canonical spelling (:func:`leaf`), so that a Merkle log (RFC 6962) can be laid
over the table. Rows carry digests and ids, never secrets. Changes of a signature activation and of
an access token are written by a trigger in the very statement that makes the change; everything
else calls :func:`record` in the transaction of the change. Refusals: :mod:`.refusals`.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, tuple_

from remote_signing import strict_json
from remote_signing.identifiers import is_id, made_at_ms
from remote_signing.rssp.models import audit_event, credential

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Row

    from remote_signing.rssp.db import Database
    from remote_signing.strict_json import JsonValue

_LEAF_PREFIX = b"\x00"  # RFC 6962 cl. 2.1: leaves and nodes are hashed apart
_PAGE = 500
_CLOCKS_APART_MS = 3_600_000  # by far more than any two hosts' clocks
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
    """Something that happened. ``kind`` is ``noun.verb``.

    ``actor``: a role (``client``, ``signer``, ``system``), ``operator:<name>``, ``ra:<key id>``.
    """

    kind: str
    actor: str
    client_id: str | None = None
    subscriber_id: str | None = None
    credential_id: str | None = None
    activation_id: str | None = None
    detail: Mapping[str, JsonValue] = field(default_factory=dict)


def record(connection: Connection, event: Event, at_ms: int) -> None:
    """Write ``event`` in the transaction of the change that it tells of. One statement."""
    connection.execute(insert(audit_event), _values(event, detail_text(event.detail), at_ms))


def write(database: Database, event: Event, detail: str, at_ms: int) -> None:
    """Write ``event``, which tells of no change, with ``detail`` in its place. One statement."""
    database.run(insert(audit_event), _values(event, detail, at_ms))


def operator() -> str:
    """The actor of a command line: ``operator:`` and the name of the system's user.

    Under sudo that is who called it.
    """
    uid = os.getuid()
    caller = os.environ.get("SUDO_UID", "") if uid == 0 else ""
    uid = int(caller) if caller.isdecimal() else uid
    try:
        return f"operator:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"operator:{uid}"


def _values(event: Event, detail: str, at_ms: int) -> dict[str, object]:
    return {
        "at": at_ms,
        "kind": event.kind,
        "actor": event.actor,
        "client_id": event.client_id,
        "subscriber_id": event.subscriber_id,
        "credential_id": event.credential_id,
        "activation_id": event.activation_id,
        "detail": detail,
    }


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


def events(  # noqa: PLR0913 - each is a condition
    database: Database,
    *,
    after: int = 0,
    activation_id: str | None = None,
    credential_id: str | None = None,
    subscriber_id: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> Iterator[Row[Any]]:
    """The rows that meet every condition, oldest first, read page by page along an index.

    ``after`` is a number, ``since_ms`` is within and ``until_ms`` is not. Numbers are given when a
    row is written and seen when its transaction ends: on PostgreSQL a number may appear after a
    higher one, by as long as a transaction lasts (seconds). Who follows the table by ``after``
    starts a minute back and passes over what is known.
    """
    statement = select(audit_event).where(_ROW.number > after).limit(_PAGE)
    for column, wanted in (
        (_ROW.activation_id, activation_id),
        (_ROW.subscriber_id, subscriber_id),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if activation_id is not None and is_id(activation_id):
        # What is told of something is not older than it is: weeks before need no look.
        statement = statement.where(_ROW.at >= made_at_ms(activation_id) - _CLOCKS_APART_MS)
    if credential_id is not None:
        # There is an index by signer; a credential is its signer's for ever.
        signer = select(credential.c.subscriber_id).where(credential.c.id == credential_id)
        statement = statement.where(
            _ROW.credential_id == credential_id, _ROW.subscriber_id == signer.scalar_subquery()
        )
    if until_ms is not None:
        statement = statement.where(_ROW.at < until_ms)
    in_time = since_ms is not None or until_ms is not None
    place = (_ROW.at, _ROW.number) if in_time else (_ROW.number,)
    statement = statement.order_by(*place)
    last = (since_ms or 0, after) if in_time else (after,)
    while rows := database.all(statement.where(tuple_(*place) > tuple_(*last))):
        yield from rows
        last = (rows[-1].at, rows[-1].number) if in_time else (rows[-1].number,)


_ROW = audit_event.c
