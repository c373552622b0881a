"""The weeks of the audit table on PostgreSQL: made ahead, told of, taken out when they are old.

On SQLite the table is one and nothing here has anything to do. The service's role may make weeks
(``make_audit_partitions``, migration 0011) and nothing else; the rest is for the schema's owner.

A row whose week is missing lies in ``audit_event_default``: it is on record, found and guarded
like any other, but as long as it lies there its week cannot be made. Hence the alarm, and
:func:`settle`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from remote_signing.clock import as_datetime
from remote_signing.errors import InvalidInput
from remote_signing.rssp import audit

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from remote_signing.rssp.db import Database

_log = logging.getLogger(__name__)

AHEAD: Final = 4  # weeks: so long may nobody look after it
DEFAULT: Final = "audit_event_default"
_YOUNGEST_MS = 90 * 86_400_000  # what is younger is needed by receipts and stays

_WEEK_MS = 604_800_000
_MONDAY_MS = 345_600_000  # 1970-01-05T00:00Z
_KEPT_WHOLE = (
    "CREATE TRIGGER audit_event_refuses_truncate BEFORE TRUNCATE ON {}"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
)

_MAKE = text("SELECT made, strays FROM make_audit_partitions(:weeks)")
_LIST = text("SELECT name, begins, ends, bytes FROM audit_partition ORDER BY ends NULLS LAST")
_COUNT = text("SELECT count(*) FROM audit_event_default")
_WEEKS = text(
    "SELECT DISTINCT at - (at - CAST(:monday AS bigint)) % CAST(:week AS bigint) AS begins"
    " FROM audit_event_strays"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of the table: rows from ``begins_ms`` on, until before ``ends_ms``.

    ``begins_ms`` is None for what was there before the table was divided, ``ends_ms`` for the
    default one.
    """

    name: str
    begins_ms: int | None
    ends_ms: int | None
    size: int  # bytes, indexes and all


def tend(database: Database) -> int:
    """Make the missing ones of the next weeks; how many. One statement, none on SQLite."""
    if database.dialect != "postgresql":
        return 0
    row = database.one(_MAKE, {"weeks": AHEAD})
    if row is None:
        return 0
    if row.strays:
        _log.error("alarm: audit rows outside every week: `remote-signing db settle-audit`")
    return int(row.made)


def partitions(database: Database) -> list[Partition]:
    """All of them, oldest first; empty on SQLite. One statement."""
    if database.dialect != "postgresql":
        return []
    return [Partition(row.name, row.begins, row.ends, row.bytes) for row in database.all(_LIST)]


def detach(database: Database, before_ms: int, now_ms: int, actor: str | None = None) -> list[str]:
    """Take the weeks that end by ``before_ms`` out of the table; their names, oldest first.

    Each is a table of its own afterwards, still guarded against change, to be kept elsewhere and
    dropped by its owner; ``audit.week_detached`` says so in the table. As the schema's owner.
    Errors: ``InvalidInput``: too young.
    """
    if before_ms > now_ms - _YOUNGEST_MS:
        raise InvalidInput("not before 90 days have passed", parameter="before")
    old = [
        each
        for each in partitions(database)
        if each.ends_ms is not None and each.ends_ms <= before_ms
    ]
    for week in old:
        event = audit.Event(
            "audit.week_detached",
            actor or audit.operator(),
            detail={"table": week.name, "begins": week.begins_ms, "ends": week.ends_ms},
        )
        with database.transaction() as connection:
            connection.exec_driver_sql(f"ALTER TABLE audit_event DETACH PARTITION {week.name}")
            # Its copy of the table's trigger has gone with the tie.
            connection.exec_driver_sql(
                f"CREATE TRIGGER audit_event_refuses_change BEFORE UPDATE OR DELETE ON {week.name}"
                " FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"
            )
            audit.record(connection, event, now_ms)
    return [week.name for week in old]


def settle(database: Database) -> int:
    """Give each row of the default partition the week that it belongs to; how many there were.

    One transaction, in which nobody else reads or writes the table. As the schema's owner.
    """
    with database.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE")
        count = int(connection.scalar(_COUNT) or 0)
        if count:
            _move(connection)
    return count


def _move(connection: Connection) -> None:
    connection.exec_driver_sql(f"ALTER TABLE audit_event DETACH PARTITION {DEFAULT}")
    connection.exec_driver_sql(f"ALTER TABLE {DEFAULT} RENAME TO audit_event_strays")
    times = connection.execute(_WEEKS, {"monday": _MONDAY_MS, "week": _WEEK_MS})
    for begins in sorted(int(row.begins) for row in times):
        name = f"audit_event_{as_datetime(begins):%Y_%m_%d}"
        connection.exec_driver_sql(
            f"CREATE TABLE {name} PARTITION OF audit_event"
            f" FOR VALUES FROM ({begins}) TO ({begins + _WEEK_MS})"
        )
        _finish(connection, name)
    connection.exec_driver_sql(
        "INSERT INTO audit_event SELECT * FROM audit_event_strays ORDER BY number"
    )
    connection.exec_driver_sql("DROP TABLE audit_event_strays")
    connection.exec_driver_sql(f"CREATE TABLE {DEFAULT} PARTITION OF audit_event DEFAULT")
    _finish(connection, DEFAULT)


def _finish(connection: Connection, name: str) -> None:
    connection.exec_driver_sql(_KEPT_WHOLE.format(name))
    connection.exec_driver_sql(f"SELECT take_small_samples('{name}')")
