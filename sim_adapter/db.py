"""The adapter's own database: one statement in one round trip, or a short transaction.

SQLite runs in WAL mode with ``synchronous=FULL``, PostgreSQL at READ COMMITTED. On both a guarded
``UPDATE … RETURNING`` lets exactly one of many racers through, so each change of a state is one.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, make_url, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sim_adapter.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import URL, ColumnElement, Connection, Engine, Executable, Row, Table

_BUSY_MS = 10_000

# No call waits for ever: not for a lock, not for a server that is busy, not for one that is gone
# without a word (milliseconds). The longest statement is a step of :meth:`Database.prune`.
_LIMITS = {
    "statement_timeout": 10_000,
    "lock_timeout": 5_000,
    "idle_in_transaction_session_timeout": 10_000,
}
_LINK = {
    "connect_timeout": 5,  # s
    "keepalives_idle": 10,  # s
    "keepalives_interval": 5,  # s
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # ms
}
_PRUNED_AT_ONCE = 1000


class Database:
    """A pool of connections to ``url``; ``password`` stays out of the URL and so out of logs."""

    def __init__(self, url: str, password: str | None = None, connections: int = 20) -> None:
        parsed = make_url(url)
        if password is not None:
            parsed = parsed.set(password=password)
        self.engine: Engine = _engine(parsed, connections)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    def one(
        self, statement: Executable, parameters: Mapping[str, object] | None = None
    ) -> Row[Any] | None:
        """The first row of one statement in autocommit; None: the guard did not hold."""
        rows = self.all(statement, parameters)
        return rows[0] if rows else None

    def all(
        self, statement: Executable, parameters: Mapping[str, object] | None = None
    ) -> Sequence[Row[Any]]:
        """Like :meth:`one`, every row; an empty list for a statement without a result."""
        with _translated(), self.engine.connect() as connection:
            result = connection.execute(statement, parameters or {})
            return result.fetchall() if result.returns_rows else []

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Several statements as one, rolled back on an error. BEGIN IMMEDIATE on SQLite."""
        with _translated(), self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if self.dialect == "sqlite" else "BEGIN")
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                if not connection.invalidated:
                    connection.exec_driver_sql("ROLLBACK")
                raise

    def prune(self, table: Table, is_over: ColumnElement[bool]) -> None:
        """Remove rows of ``table`` (with a column ``id``), some at a time."""
        some = select(table.c.id).where(is_over).limit(_PRUNED_AT_ONCE).scalar_subquery()
        statement = table.delete().where(table.c.id.in_(some)).returning(table.c.id)
        while self.all(statement):
            pass

    def close(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()


def _engine(url: URL, connections: int) -> Engine:
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": 5.0,
    }
    if url.get_backend_name() != "sqlite":
        limits = " ".join(f"-c {name}={value}" for name, value in _LIMITS.items())
        # What the URL says comes last and counts.
        link = _LINK | {"options": f"{limits} {url.query.get('options', '')}"}
        return create_engine(url, connect_args=link, **options)
    engine = create_engine(url, connect_args={"timeout": _BUSY_MS / 1000}, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable(f"database: {error}") from error
    except DBAPIError as error:
        lost = isinstance(error, OperationalError | InterfaceError) and not _is_mistake(error)
        if lost or error.connection_invalidated:
            raise Unavailable(f"database: {error.orig}") from error
        raise


def _is_mistake(error: DBAPIError) -> bool:
    """Whether SQLite means a wrong statement: it uses one class for that and for a locked file."""
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
