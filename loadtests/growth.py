"""A database as it is after years: many credentials, many past signatures, in little time.

What is real and what is not. A *sample* of officials is enrolled by the operator's command: real
keys, sealed by the token. The others are copies of their rows under ids, names and serial numbers
of their own: as long, as random in their keys and as spread in their indexes as real ones, which
is what the database is slow or quick by. Nobody can sign with a copy: the SAM opens a sealed
record for its own credential only. Past signatures are copies of rows that real ceremonies left,
those of the last week with the lines of the audit table that tell of them. Older lines would lie in
partitions that nothing is written to any more.

Everything is done in portions of one transaction each, counted from what is there already, so the
same command goes on after an interruption. Triggers and foreign keys are off for these connections
(``session_replication_role``), as for any restored dump: the rows are right by construction.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from psycopg import sql

from loadtests.people import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import psycopg

    from loadtests.postgres import PostgresServer

    Connection = psycopg.Connection[tuple[Any, ...]]
    Say = Callable[[str], None]

PORTION = 20_000
COPY_MARK = "copy."
_YEARS_MS = 3 * 365 * 86_400_000  # over which the copies were "registered"
_DAYS_MS = 30 * 86_400_000  # within which the past signatures lie: what is kept of them
_WEEK_MS = 7 * 86_400_000  # within which they have lines of the audit table


def grow_credentials(server: PostgresServer, wanted: int, say: Say) -> int:
    """Copies until there are ``wanted`` credentials; how many there are."""
    with server.connect() as connection:
        _prepare(connection)
        _sample(connection)
        there = _count(connection, "credential")
        begun = time.monotonic()
        while there < wanted:
            portion = min(PORTION, wanted - there)
            with connection.transaction():
                _number(connection, portion, _YEARS_MS)
                _copy_owners(connection)
            there += portion
            say(f"{there} credentials, {time.monotonic() - begun:.0f} s")
        connection.execute("ANALYZE subscriber, credential, issued_certificate")
    return there


def grow_signatures(server: PostgresServer, wanted: int, say: Say) -> int:
    """Copies until there are ``wanted`` signed activations; how many there are."""
    with server.connect() as connection:
        _prepare(connection)
        _past(connection)
        there = _count(connection, "signature_activation")
        begun = time.monotonic()
        while there < wanted:
            portion = min(PORTION, wanted - there)
            with connection.transaction():
                _number(connection, portion, _DAYS_MS)
                _copy_signatures(connection)
            there += portion
            say(f"{there} signatures, {time.monotonic() - begun:.0f} s")
        connection.execute("ANALYZE signature_activation, audit_event")
    return there


def sizes(server: PostgresServer) -> dict[str, tuple[int, int]]:
    """Table → rows as PostgreSQL estimates them, and bytes with indexes."""
    with server.connect() as connection:
        rows = connection.execute(
            "SELECT relname, reltuples::bigint, pg_total_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND reltuples > 0 ORDER BY 3 DESC"
        ).fetchall()
    return {str(row[0]): (int(str(row[1])), int(str(row[2]))) for row in rows}


def _prepare(connection: Connection) -> None:
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET synchronous_commit = off")  # a portion that is lost is made again
    connection.execute(
        "CREATE TEMP TABLE fresh (n bigint, owner text, credential text, serial text,"
        " activation text, at bigint, is_of_this_week boolean)"
    )


def _sample(connection: Connection) -> None:
    """The real ones, numbered."""
    connection.execute(
        "CREATE TEMP TABLE sample AS SELECT row_number() OVER (ORDER BY c.id) - 1 AS k,"
        " c.id AS credential_id, s.id AS subscriber_id, c.certificate_serial AS serial"
        " FROM credential c JOIN subscriber s ON s.id = c.subscriber_id"
        " WHERE s.username NOT LIKE 'copy.%' AND c.certificate_serial IS NOT NULL"
    )
    if not _count(connection, "sample"):
        raise ValueError("nobody is enrolled, so there is nothing to copy")


def _past(connection: Connection) -> None:
    """Signed activations of real officials, numbered; and whom the copies are given to."""
    connection.execute(
        "CREATE TEMP TABLE sample AS SELECT row_number() OVER (ORDER BY a.id) - 1 AS k, a.id"
        " FROM signature_activation a JOIN subscriber s ON s.id = a.subscriber_id"
        " WHERE a.state = 'SIGNED' AND s.username NOT LIKE 'copy.%' LIMIT 1000"
    )
    if not _count(connection, "sample"):
        raise ValueError("nobody has signed, so there is nothing to copy")
    connection.execute(
        "CREATE TEMP TABLE owners AS SELECT row_number() OVER (ORDER BY id) - 1 AS k, id,"
        " subscriber_id FROM credential"
    )
    connection.execute("CREATE UNIQUE INDEX ON owners (k)")
    connection.execute("ANALYZE owners")


def _number(connection: Connection, portion: int, span_ms: int) -> None:
    """Fresh ids and moments for a portion, rising with time as real ones are."""
    connection.execute("TRUNCATE fresh")
    now = time.time_ns() // 1_000_000
    first = secrets.randbelow(1 << 40)
    with connection.cursor().copy("COPY fresh FROM STDIN") as copy:
        for n in range(portion):
            at = now - span_ms + span_ms * n // portion
            serial = f"{secrets.randbits(127) | 1 << 126:X}"
            names = (new_id(at), new_id(at), serial, new_id(at))
            copy.write_row((first + n, *names, at, at > now - _WEEK_MS))


def _copy_owners(connection: Connection) -> None:
    on = "fresh f JOIN sample s ON s.k = f.n % (SELECT count(*) FROM sample)"
    _insert(
        connection,
        "subscriber",
        {"id": "f.owner", "username": f"'{COPY_MARK}' || f.owner", "created_at": "f.at"},
        f"{on} JOIN subscriber t ON t.id = s.subscriber_id",
    )
    _insert(
        connection,
        "credential",
        {
            "id": "f.credential",
            "subscriber_id": "f.owner",
            "certificate_serial": "f.serial",
            "created_at": "f.at",
        },
        f"{on} JOIN credential t ON t.id = s.credential_id",
    )
    _insert(
        connection,
        "issued_certificate",
        {"serial": "f.serial", "credential_id": "f.credential"},
        f"{on} JOIN issued_certificate t ON t.serial = s.serial",
    )


def _copy_signatures(connection: Connection) -> None:
    on = (
        "fresh f JOIN sample s ON s.k = f.n % (SELECT count(*) FROM sample)"
        " JOIN owners o ON o.k = f.n * 7919 % (SELECT count(*) FROM owners)"
    )
    whose = {"credential_id": "o.id", "subscriber_id": "o.subscriber_id"}
    _insert(
        connection,
        "signature_activation",
        {
            **whose,
            "id": "f.activation",
            "created_at": "f.at",
            "expires_at": "f.at + 300000",
            "event_at": "f.at",
            # One factor used one step once, so each copy has a factor of its own.
            "totp_factor_id": "f.owner",
        },
        f"{on} JOIN signature_activation t ON t.id = s.id",
    )
    _insert(
        connection,
        "audit_event",
        {**whose, "activation_id": "f.activation", "at": "f.at"},
        f"{on} JOIN audit_event t ON t.activation_id = s.id AND f.is_of_this_week",
        without=("number",),
    )


def _insert(
    connection: Connection,
    table: str,
    changes: Mapping[str, str],
    source: str,
    without: tuple[str, ...] = (),
) -> None:
    """Rows of ``source``, where ``t`` is the row that is copied, with ``changes`` (SQL)."""
    columns = [
        str(row[0])
        for row in connection.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
            [table],
        )
        if row[0] not in without
    ]
    values = [changes.get(name, f"t.{name}") for name in columns]
    statement = (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {source}"  # noqa: S608 - names and expressions are written above
    )
    connection.execute(sql.SQL(statement))


def _count(connection: Connection, table: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
    found = row.fetchone()
    return 0 if found is None else int(str(found[0]))
