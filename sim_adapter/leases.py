"""Taking up rows that are due, so that one process works on each and a crash leaves none behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Table, select, update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from sim_adapter.db import Database


def operators(database: Database, table: Table, now_ms: int) -> list[str]:
    """Whose rows of ``table`` are due."""
    due = select(table.c.operator).where(table.c.next_at <= now_ms).distinct()
    return [row.operator for row in database.all(due)]


def claim(
    database: Database,
    table: Table,
    now_ms: int,
    limit: int,
    lease_ms: int,
    *only: ColumnElement[bool],
) -> Sequence[Row[Any]]:
    """Up to ``limit`` rows of ``table`` whose ``next_at`` has come, moved on by ``lease_ms``.

    ``only`` narrows which rows.

    If the caller neither finishes nor postpones a row, it is due again when the lease is over.
    """
    due = (
        select(table.c.id)
        .where(table.c.next_at <= now_ms, *only)
        .order_by(table.c.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(table)
        .where(table.c.id.in_(due.scalar_subquery()), table.c.next_at <= now_ms)
        .values(next_at=now_ms + lease_ms)
        .returning(table)
    )
    return database.all(statement)
