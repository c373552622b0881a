"""The database's own facts: how connections are set, and what its errors become."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError, OperationalError

from remote_signing.errors import InvalidInput, ReplayDetected, Unavailable
from remote_signing.identifiers import new_id
from remote_signing.rssp import migrations
from remote_signing.rssp.db import Database
from remote_signing.rssp.models import agency, replay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer


@pytest.fixture
def database(migrated_database_url: str) -> Iterator[Database]:
    opened = Database(migrated_database_url)
    yield opened
    opened.close()


def scalar(database: Database, statement: str) -> object:
    row = database.one(text(statement))
    assert row is not None
    return row[0]


def test_sqlite_survives_power_loss_and_keeps_its_references(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    assert scalar(database, "PRAGMA journal_mode") == "wal"
    assert scalar(database, "PRAGMA synchronous") == 2
    assert scalar(database, "PRAGMA foreign_keys") == 1
    assert scalar(database, "PRAGMA busy_timeout") == 10_000
    database.close()


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    row = {"digest": b"x", "expires_at": 1}
    with pytest.raises(ReplayDetected), database.transaction() as connection:
        connection.execute(insert(replay), [row, row])
    assert database.all(replay.select()) == []
    with database.transaction() as connection:
        connection.execute(insert(replay), row)
    assert len(database.all(replay.select())) == 1


def test_what_is_seen_twice_is_a_replay(database: Database) -> None:
    row = {"digest": b"x", "expires_at": 1}
    assert database.run(insert(replay), row) == 1
    with pytest.raises(ReplayDetected):
        database.run(insert(replay), row)


def test_a_name_that_is_taken_is_the_callers_mistake(database: Database) -> None:
    for_both = {"name": "Bộ Nội vụ", "code": "G08", "state": "active"}
    database.run(insert(agency), for_both | {"id": new_id(0)})
    with pytest.raises(InvalidInput):
        database.run(insert(agency), for_both | {"id": new_id(0)})


def test_a_wrong_statement_is_not_hidden_as_an_outage(database: Database) -> None:
    with pytest.raises(DBAPIError):
        database.one(text("SELECT * FROM nowhere"))
    with pytest.raises(DBAPIError, match=r"(?i)not.null"):
        database.run(text("INSERT INTO replay (digest) VALUES ('x')"))


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    passwords = {
        f"sqlite:///{tmp_path}/none/x.sqlite3": None,
        f"postgresql+psycopg://nobody@/x?host={tmp_path}": "x",
    }
    for url, password in passwords.items():
        database = Database(url, password=password)
        with pytest.raises(Unavailable):
            database.one(text("SELECT 1"))
        assert "x@" not in str(database.engine.url)
        database.close()


def test_a_pool_without_a_free_connection_is_unavailable(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote_signing.rssp.db._POOL_TIMEOUT", 0.1)
    database = Database(migrated_database_url, connections=1)
    with database.transaction(), pytest.raises(Unavailable):
        database.one(text("SELECT 1"))
    assert scalar(database, "SELECT 1") == 1
    database.close()


def test_a_connection_that_is_cut_is_unavailable_and_the_next_is_new(database: Database) -> None:
    if database.dialect == "sqlite":
        return
    with pytest.raises(Unavailable), database.transaction() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with pytest.raises(Unavailable):
        scalar(database, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert scalar(database, "SELECT 1") == 1


def test_writers_of_sqlite_wait_for_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.sqlite3'}"
    first, second = Database(url), Database(url)
    first.run(text("CREATE TABLE t (x)"))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with first.transaction() as connection:
            connection.execute(text("INSERT INTO t VALUES (1)"))
            held.set()
            release.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    threading.Timer(0.3, release.set).start()
    assert second.run(text("INSERT INTO t VALUES (2)")) == 1
    holder.join()
    first.close()
    second.close()


def test_a_writer_that_waits_too_long_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote_signing.rssp.db._BUSY_MS", 100)
    url = f"sqlite:///{tmp_path / 'x.sqlite3'}"
    first, second = Database(url), Database(url)
    first.run(text("CREATE TABLE t (x)"))
    with first.transaction(), pytest.raises(Unavailable) as refusal:
        second.run(text("INSERT INTO t VALUES (2)"))
    assert isinstance(refusal.value.__cause__, OperationalError)
    first.close()
    second.close()


def test_no_call_to_a_server_waits_for_ever(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh(migrations.upgrade)
    database = Database(url)
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert scalar(database, f"SHOW {name}") != "0", name
    database.close()
    hasty = Database(f"{url}&options=-c%20statement_timeout=200%20-c%20lock_timeout=100")
    with pytest.raises(Unavailable, match="statement timeout"):
        hasty.one(text("SELECT pg_sleep(5)"))
    row = {"digest": b"x", "expires_at": 1}
    with hasty.transaction() as connection:
        connection.execute(insert(replay), row)
        with pytest.raises(Unavailable, match="lock timeout"):
            hasty.run(insert(replay), row)
    hasty.close()
    postgres_server.drop(url)


def test_an_upgrade_waits_for_another_as_long_as_it_takes(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh()
    limits = "&options=-c%20statement_timeout=300%20-c%20lock_timeout=200"
    upgrade = threading.Thread(target=migrations.upgrade, args=(f"{url}{limits}",))
    database = Database(url)
    with database.transaction() as connection:
        key = migrations._LOCK  # noqa: SLF001 - the lock of an upgrade, held here
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        upgrade.start()
        upgrade.join(0.8)
        assert upgrade.is_alive()
    upgrade.join()
    assert migrations.at_head(database)
    database.close()
    postgres_server.drop(url)
