"""The database: one statement in one round trip, or a short transaction. Nothing in between.

PostgreSQL runs at READ COMMITTED, SQLite in WAL mode with ``synchronous=FULL``. On both, a guarded
``UPDATE … RETURNING`` lets exactly one of many racers through (measured: 0 of 150 doubles, where
SELECT-then-UPDATE gave 149), so a step of the state machine is such a statement in autocommit.
``transaction()`` is ``BEGIN IMMEDIATE`` on SQLite: a transaction that starts by reading cannot
become a writer there once another has written, whatever the busy timeout.

Never hold a transaction open while calling the SAM.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from remote_signing.errors import Unavailable
from remote_signing.rssp.database_errors import domain_error
from remote_signing.rssp.prepared import Outcome, Prepared

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine, Executable, Row

_BUSY_MS = 10_000
_CONNECTIONS = 20
_POOL_TIMEOUT = 5.0

# No call waits for ever: not for a lock, not for a server that is busy, not for one that is gone
# without a word (milliseconds). The longest statement is a batch of housekeeping.
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

# PostgreSQL has undone the statement so that another could go on: deadlock, serialization failure.
_GAVE_WAY = frozenset({"40P01", "40001"})


class Database:
    """A pool of connections to ``url`` (``sqlite:///path`` or ``postgresql+psycopg://…``).

    ``password`` is kept out of the URL so that it stays out of logs and process lists.
    """

    def __init__(
        self, url: str | URL, password: str | None = None, connections: int = _CONNECTIONS
    ) -> None:
        parsed = make_url(url)
        if password is not None:
            parsed = parsed.set(password=password)
        self.engine: Engine = _engine(parsed, connections)
        self._prepared = None if self.dialect == "sqlite" else Prepared(self.engine)
        self._apart: list[Database] = []

    def apart(self) -> Database:
        """The same database by one connection of its own, closed with this one.

        For who must not stand in line with those who work.
        """
        self._apart.append(Database(self.engine.url, connections=1))
        return self._apart[-1]

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    def connections_in_use(self) -> int:
        """How many of the pool's connections somebody has at this moment."""
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    def one(
        self, statement: Executable, parameters: Mapping[str, object] | None = None
    ) -> Row[Any] | None:
        """Run one statement in autocommit: one round trip, atomic with its triggers.

        The first row of its result, or None: for a guarded UPDATE … RETURNING that means that the
        guard did not hold. Errors: the domain error of a trigger or index, or ``Unavailable``.
        """
        rows = self.all(statement, parameters)
        return rows[0] if rows else None

    def all(
        self, statement: Executable, parameters: Mapping[str, object] | None = None
    ) -> Sequence[Row[Any]]:
        """Like :meth:`one`, every row. Without a result (plain INSERT, UPDATE) an empty list."""
        return self._done(statement, parameters or {}).rows

    def run(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> int:
        """Run one INSERT, UPDATE or DELETE without RETURNING; the number of rows it touched."""
        return self._done(statement, parameters or {}).touched

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction for several statements, committed at the end, rolled back on an error."""
        with _translated, self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if self.dialect == "sqlite" else "BEGIN")
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                # A connection that is already broken has nothing left to roll back.
                if not connection.invalidated:
                    connection.exec_driver_sql("ROLLBACK")
                raise

    def _done(self, statement: Executable, parameters: Mapping[str, object]) -> Outcome:
        """What one statement in autocommit gives; once more when it gave way to another."""
        with _translated:
            try:
                return self._run(statement, parameters)
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) not in _GAVE_WAY:
                    raise
                return self._run(statement, parameters)

    def _run(self, statement: Executable, parameters: Mapping[str, object]) -> Outcome:
        if self._prepared is not None:  # the short way of a constant statement on PostgreSQL
            done = self._prepared.run(statement, parameters)
            if done is not None:
                return done
        # SQLAlchemy forgets the count of an INSERT unless told to keep it.
        kept = {"preserve_rowcount": True}
        with self.engine.connect() as connection:
            result = connection.execute(statement, parameters, execution_options=kept)
            # All rows are fetched: SQLite commits when the statement has run to its end.
            rows = result.fetchall() if result.returns_rows else ()
            return Outcome(rows, result.rowcount)

    def close(self) -> None:
        """Close the pool's connections."""
        for other in self._apart:
            other.close()
        self.engine.dispose()


def _engine(url: URL, connections: int) -> Engine:
    # SQLAlchemy's own transactions are off: transaction() says BEGIN and COMMIT itself, and a
    # single statement costs one round trip instead of three.
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "pool_reset_on_return": None,  # likewise: who borrows a connection ends what he began
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": _POOL_TIMEOUT,
    }
    if url.get_backend_name() != "sqlite":
        limits = " ".join(f"-c {name}={value}" for name, value in _LIMITS.items())
        # What the URL says comes last and counts.
        link = _LINK | {"options": f"{limits} {url.query.get('options', '')}"}
        return create_engine(url, pool_use_lifo=True, connect_args=link, **options)
    engine = create_engine(url, connect_args={"timeout": _BUSY_MS / 1000}, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",  # with NORMAL, power loss may undo the last commits: a used SAD is back
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


class _Translated:
    """Within the block the database's errors become the domain's. Each statement has it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, PoolTimeout):
            raise Unavailable(f"database: {error}") from error
        if isinstance(error, DBAPIError) and (fact := domain_error(error)) is not None:
            raise fact from error


_translated = _Translated()
