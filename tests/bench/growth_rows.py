"""A past for a database: credentials, sessions and signatures that were never made, in bulk.

Each row is a copy of a real one with other ids and times, so its size is right. Ids look as
:func:`remote_signing.identifiers.new_id` makes them and lie between those of the real signers.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from remote_signing.rssp.db import Database
from remote_signing.rssp.models import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH = 500_000  # rows of a statement
_WEEK = 604_800_000  # ms
# As identifiers.new_id writes a time; the rest is any 16 of its digits.
_ID = """
CREATE FUNCTION grown_id(ms bigint, salt text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT <digits> || substr(md5(salt), 1, 16) $$
"""
_DIGIT = "substr('0123456789abcdefghjkmnpqrstvwxyz', ((ms >> {shift}) & 31)::int + 1, 1)"


@dataclass(frozen=True)
class Grown:
    """How much there is: credentials, signatures of the past, weeks over which they were made."""

    credentials: int
    past: int
    weeks: int


def grow(database: Database, rows: Grown) -> dict[str, int]:
    """Fill ``database``, which holds one finished signature and no other; rows of each table."""
    digits = " || ".join(_DIGIT.format(shift=5 * place) for place in range(9, -1, -1))
    database.run(text(_ID.replace("<digits>", digits).replace(":", r"\:")))
    _divide_the_past(database, rows.weeks)
    now = database.one(text("SELECT created_at AS at, id FROM signature_activation"))
    assert now is not None
    # Those of the real ones are of this one millisecond.
    place, people = now.at - 30_000, rows.credentials
    signer = f"(n * 7919 % {people})"  # of a past signature: each in turn, in no order
    at = f"({now.at} - n * {rows.weeks * _WEEK} / {max(1, rows.past)})"
    name = f"grown_id({at}, 'activation' || n)"
    past = {
        "subscriber_id": _id("subscriber", place, signer),
        "credential_id": _id("credential", place, signer),
    }
    times = dict.fromkeys(("created_at", "expires_at", "event_at"), at)
    owner = {"subscriber_id": _id("subscriber", place, "n")}
    made = {
        "subscriber": ({"id": owner["subscriber_id"], "username": "'grown.' || n"}, people),
        "credential": ({"id": _id("credential", place, "n"), **owner}, people),
        "login_session": ({"id": _id("session", place, "n"), **owner}, people),
        "signature_activation": ({"id": name, "totp_step": "n", **past, **times}, rows.past),
        "audit_event": ({"at": at, "activation_id": name, **past}, rows.past),
    }
    with patient(database) as other:
        with _indexes_later(other, "signature_activation"), _indexes_later(other, "audit_event"):
            for table, (changed, count) in made.items():
                _copy(other, table, now.id, changed, count)
        other.run(text("VACUUM (ANALYZE)"))
        other.run(text("CHECKPOINT"))
        return {table: _count(other, table) for table in made}


@contextmanager
def _indexes_later(database: Database, table: str) -> Iterator[None]:
    """Without the table's indexes within the block: making them at once is much faster."""
    indexes = metadata.tables[table].indexes
    with database.engine.connect() as connection:
        for index in indexes:
            index.drop(connection)
        yield
        for index in indexes:
            index.create(connection)


@contextmanager
def patient(database: Database) -> Iterator[Database]:
    """The same database without the service's limit of a statement's time."""
    options = {"options": "-c statement_timeout=0"}
    other = Database(database.engine.url.update_query_dict(options))
    try:
        yield other
    finally:
        other.close()


def _id(kind: str, place: int, number: str) -> str:
    return f"grown_id({place} + {number} % 60000, '{kind}' || {number})"


def _count(database: Database, table: str) -> int:
    row = database.one(text(f"SELECT count(*) AS many FROM {table}"))  # noqa: S608 - as above
    assert row is not None
    return int(row.many)


def _copy(
    database: Database, table: str, signature: str, changed: dict[str, str], count: int
) -> None:
    """Insert ``count`` copies of the finished signature's rows, or of one row, in pieces."""
    columns = [column.name for column in metadata.tables[table].columns]
    if table == "audit_event":
        columns.remove("number")
    values = ", ".join(changed.get(name, f"t.{name}") for name in columns)
    model = {
        "signature_activation": f"SELECT * FROM {table} WHERE id = '{signature}'",  # noqa: S608 - our own table and id
        "audit_event": f"SELECT * FROM {table} WHERE activation_id = '{signature}'",  # noqa: S608 - our own table and id
    }.get(table, f"SELECT * FROM {table} LIMIT 1")  # noqa: S608 - our own tables' names
    with database.transaction() as connection:
        # Neither triggers nor foreign keys: nothing of this has happened.
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(f"CREATE TEMP TABLE model ON COMMIT DROP AS {model}")
        for first in range(0, count, _BATCH):
            last = min(count, first + _BATCH) - 1
            connection.exec_driver_sql(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values}"  # noqa: S608 - as above
                f" FROM generate_series({first}::bigint, {last}) n, model t".replace("%", "%%")
            )


def _divide_the_past(database: Database, weeks: int) -> None:
    """Weeks of the audit table back to where the past begins, as if they had been made in time."""
    row = database.one(text("SELECT ends FROM audit_partition WHERE begins IS NULL AND ends > 0"))
    assert row is not None
    database.run(text("DROP TABLE audit_event_before"))
    for number in range(1, weeks + 2):
        begins = row.ends - number * _WEEK
        database.run(
            text(
                f"CREATE TABLE audit_event_past_{number} PARTITION OF audit_event"
                f" FOR VALUES FROM ({begins}) TO ({begins + _WEEK})"
            )
        )
