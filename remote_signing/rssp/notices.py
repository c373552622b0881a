"""What an official must hear of, whoever did it: a new passkey, one gone, one copied, a new PIN.

A notice is written in the transaction of what it tells of. The consent page shows it until the
official says that he has seen it, in any of his sessions; one of a new passkey at least until that
counts, because whoever added it might be in one of these sessions. Whatever sends messages besides
(push, mail, short messages) takes what :func:`untold` gives, sends it, and then calls
:func:`mark_told`: at least once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, bindparam, insert, select, update

from remote_signing import strict_json
from remote_signing.identifiers import new_id
from remote_signing.rssp.models import signer_notice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from remote_signing.rssp.db import Database
    from remote_signing.strict_json import JsonValue

ADDED: Final = "passkey_added"
DROPPED: Final = "passkey_dropped"
COPIED: Final = "passkey_copied"
PIN_CHANGED: Final = "pin_changed"
_BATCH = 100
_ROW = signer_notice.c


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. ``detail`` holds nothing secret: the passkey's name, from when on it counts."""

    id: str
    subscriber_id: str
    credential_id: str
    kind: str
    detail: Mapping[str, JsonValue]
    created_at_ms: int


def record(
    connection: Connection,
    kind: str,
    of: Row[Any],
    detail: Mapping[str, JsonValue],
    at_ms: int,
) -> None:
    """Write a notice in the transaction of the change that it tells of. One statement.

    ``of`` has the ``subscriber_id`` and ``credential_id`` that it is about. With ``usable_from``
    in its ``detail`` it is shown until then at least.
    """
    row = {
        "id": new_id(at_ms),
        "subscriber_id": of.subscriber_id,
        "credential_id": of.credential_id,
        "kind": kind,
        "detail": strict_json.canonical(detail).decode("utf-8"),
        "created_at": at_ms,
        "held_until": detail.get("usable_from", at_ms),
    }
    connection.execute(insert(signer_notice), row)


def unseen(database: Database, subscriber_id: str) -> list[Notice]:
    """What this official has not seen yet, oldest first. One statement."""
    return [_notice(row) for row in database.all(_UNSEEN, {"the_owner": subscriber_id})]


def mark_seen(database: Database, subscriber_id: str, newest: str, now_ms: int) -> int:
    """This official has seen all up to ``newest`` that may go; how many. One statement."""
    parameters = {"the_owner": subscriber_id, "newest": newest, "now": now_ms}
    return database.run(_SEEN, parameters)


def untold(database: Database) -> list[Notice]:
    """What nobody has sent a message about, oldest first. One statement."""
    return [_notice(row) for row in database.all(_UNTOLD)]


def mark_told(database: Database, notice_id: str, now_ms: int) -> bool:
    """A message was sent; False when somebody else was first. One statement."""
    return database.run(_TOLD, {"the_notice": notice_id, "now": now_ms}) == 1


def _notice(row: Row[Any]) -> Notice:
    return Notice(
        row.id,
        row.subscriber_id,
        row.credential_id,
        row.kind,
        strict_json.loads_object(row.detail.encode()),
        row.created_at,
    )


_owner = bindparam("the_owner", type_=_ROW.subscriber_id.type)
_now = bindparam("now", type_=BigInteger())
_HIS = (_ROW.subscriber_id == _owner, _ROW.seen_at.is_(None))
_UNSEEN = select(signer_notice).where(*_HIS).order_by(_ROW.id).limit(_BATCH)
_SEEN = (
    update(signer_notice)
    .where(*_HIS, _ROW.id <= bindparam("newest", type_=_ROW.id.type), _ROW.held_until <= _now)
    .values(seen_at=_now)
)
_UNTOLD = select(signer_notice).where(_ROW.told_at.is_(None)).order_by(_ROW.id).limit(_BATCH)
_TOLD = (
    update(signer_notice)
    .where(_ROW.id == bindparam("the_notice", type_=_ROW.id.type), _ROW.told_at.is_(None))
    .values(told_at=_now)
)
