"""The registration's records are mended: a misspelt name, another agency, a new address.

What was certified stays as it was certified: the next certificate says what the records say then.
Old and new values go on record in the transaction of the change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from remote_signing.errors import InvalidInput
from remote_signing.rssp import audit
from remote_signing.rssp.models import agency, subscriber
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table

    from remote_signing.clock import Clock
    from remote_signing.rssp.db import Database

    Changes = Mapping[str, str | None]

_OF_AGENCIES: Final = ("name", "name_en", "code", "tax_code", "budget_code", "province")
_OF_SUBSCRIBERS: Final = ("full_name", "position", "email", "agency_id")


def change_subscriber(
    database: Database,
    clock: Clock,
    subscriber_id: str,
    changes: Changes,
    actor: str | None = None,
) -> list[str]:
    """Give a subscriber other values, by column; the names of those that differ from before.

    Three statements. ``InvalidInput``: a name that nobody can have, nothing that differs, or no
    such subscriber.
    """
    _check(changes, _OF_SUBSCRIBERS)
    with database.transaction() as connection:
        detail = _changed(connection, subscriber, subscriber_id, changes)
        event = audit.Event(
            "subscriber.changed",
            actor or audit.operator(),
            subscriber_id=subscriber_id,
            detail=detail,
        )
        audit.record(connection, event, clock.now_ms())
    return list(detail["new"])


def change_agency(
    database: Database, clock: Clock, agency_id: str, changes: Changes, actor: str | None = None
) -> list[str]:
    """:func:`change_subscriber` for an agency; ``InvalidInput`` also for a code that is taken."""
    _check(changes, _OF_AGENCIES)
    with database.transaction() as connection:
        detail = _changed(connection, agency, agency_id, changes)
        event = audit.Event(
            "agency.changed",
            actor or audit.operator(),
            detail={"agency_id": agency_id, **detail},
        )
        audit.record(connection, event, clock.now_ms())
    return list(detail["new"])


def _check(changes: Changes, columns: tuple[str, ...]) -> None:
    needed = ("name", "full_name", "agency_id")
    for name, value in changes.items():
        is_text = value is not None and value.strip() and is_showable(value)
        if name not in columns or not (is_text or (value is None and name not in needed)):
            raise InvalidInput(f"{name} cannot become {value!r}", parameter=name)


def _changed(
    connection: Connection, table: Table, row_id: str, changes: Changes
) -> dict[str, dict[str, Any]]:
    """The ``old`` and ``new`` values of what differs. Two statements."""
    columns = [table.c[name] for name in changes] or [table.c.id]
    row = connection.execute(
        select(*columns).where(table.c.id == row_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise InvalidInput(f"no {table.name} {row_id!r}", parameter=f"{table.name}_id")
    before: Mapping[str, Any] = row._asdict()
    new = {name: value for name, value in changes.items() if value != before[name]}
    if not new:
        raise InvalidInput("nothing would change", parameter=", ".join(changes))
    connection.execute(update(table).where(table.c.id == row_id).values(new))
    return {"old": {name: before[name] for name in new}, "new": new}
