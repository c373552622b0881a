"""How many SQL statements PostgreSQL was given, counted by itself (pg_stat_statements)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from loadtests.postgres import PostgresServer

_LONGEST = 160
_SHOWN = 25
# BEGIN, COMMIT and the like are round trips, too, but no statements of the budget.
_FRAME = "BEGIN", "COMMIT", "ROLLBACK", "SET", "SHOW", "DEALLOCATE", "SELECT pg_stat"


@dataclass(frozen=True, slots=True)
class Counted:
    """``work``: what reads or writes rows; ``frame``: transactions' begins and ends."""

    work: int
    frame: int
    rows_written: int
    seconds: float
    most: list[dict[str, Any]]


def begin(server: PostgresServer) -> bool:
    """Count from now on; False where PostgreSQL cannot."""
    with server.connect() as connection:
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            connection.execute("SELECT pg_stat_statements_reset()")
        except psycopg.Error:
            return False
    return True


def read(server: PostgresServer) -> Counted:
    """What was counted since :func:`begin`."""
    with server.connect() as connection:
        rows = connection.execute(
            "SELECT query, calls, total_exec_time, rows FROM pg_stat_statements"
            " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " ORDER BY calls DESC"
        ).fetchall()
    work = [row for row in rows if not str(row[0]).startswith(_FRAME)]
    frame = [row for row in rows if str(row[0]).startswith(_FRAME)]
    written = [row for row in work if "INSERT" in str(row[0]) or "UPDATE" in str(row[0])]
    return Counted(
        work=_sum(work, 1),
        frame=_sum(frame, 1),
        rows_written=_sum(written, 3),
        seconds=sum(float(str(row[2])) for row in rows) / 1000,
        most=[
            {
                "statement": " ".join(str(row[0]).split())[:_LONGEST],
                "calls": row[1],
                "milliseconds": round(float(str(row[2])), 1),
            }
            for row in work[:_SHOWN]
        ],
    )


def _sum(rows: list[tuple[object, ...]], column: int) -> int:
    return sum(int(str(row[column])) for row in rows)
