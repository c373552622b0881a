"""The rows of passkeys: what their owners call them, since when they are there, from when on good.

Each change is written in the transaction of the credential that it changes, together with a notice
to the owner: whoever holds the old factors hears of every passkey that comes or goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from remote_signing.errors import PasskeyUnknown
from remote_signing.rssp import notices
from remote_signing.rssp.models import passkey

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from remote_signing.rssp.db import Database

ACTIVE, DROPPED = "active", "dropped"
LONGEST_NAME: Final = 60
_ROW = passkey.c


def of_subscriber(database: Database, subscriber_id: str) -> list[Row[Any]]:
    """The signer's passkeys, oldest first, without dropped ones. One statement."""
    return _active(database, _ROW.subscriber_id == subscriber_id)


def of_credential(database: Database, credential_id: str) -> list[Row[Any]]:
    """A credential's passkeys, oldest first, without dropped ones. One statement."""
    return _active(database, _ROW.credential_id == credential_id)


def get(database: Database, factor_id: str) -> Row[Any]:
    """The row of one passkey that is not dropped; ``PasskeyUnknown``. One statement."""
    found = _active(database, _ROW.factor_id == factor_id)
    if not found:
        raise PasskeyUnknown(f"no passkey {factor_id!r}")
    return found[0]


def add(connection: Connection, values: dict[str, Any]) -> None:
    """Write a new passkey and tell its owner. Errors: ``PasskeyRefused`` when somebody has it."""
    row = connection.execute(insert(passkey).returning(passkey), values).one()
    told = {"factor_id": row.factor_id, "name": row.name, "usable_from": row.usable_from}
    notices.record(connection, notices.ADDED, row, told, row.registered_at)


def drop(connection: Connection, factor_id: str, at_ms: int) -> None:
    """Note that a passkey is gone and tell its owner; nothing for a factor of another kind."""
    gone = update(passkey).where(_ROW.factor_id == factor_id, _ROW.state == ACTIVE)
    changed = gone.values(state=DROPPED, dropped_at=at_ms).returning(passkey)
    row = connection.execute(changed).first()
    if row is not None:
        told = {"factor_id": row.factor_id, "name": row.name}
        notices.record(connection, notices.DROPPED, row, told, at_ms)


def _active(database: Database, condition: Any) -> list[Row[Any]]:  # noqa: ANN401 - a condition
    query = select(passkey).where(condition, _ROW.state == ACTIVE).order_by(_ROW.factor_id)
    return list(database.all(query))
