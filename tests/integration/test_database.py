"""The database's own facts: how connections are set, and what its errors become."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Integer, Text, bindparam, func, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from remote_signing.errors import ActivationConflict, InvalidInput, ReplayDetected, Unavailable
from remote_signing.identifiers import new_id
from remote_signing.rssp import database_errors, migrations
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


GIVES_WAY = """
    CREATE SEQUENCE tries;
    CREATE FUNCTION give_way(times integer, state text) RETURNS bigint LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('tries') <= times THEN
            RAISE EXCEPTION 'somebody else goes on' USING ERRCODE = state;
        END IF;
        RETURN currval('tries');
    END $$
"""


def test_a_statement_that_gave_way_to_another_is_tried_once_more(database: Database) -> None:
    if database.dialect == "sqlite":
        return  # its writers stand in line
    database.run(text(GIVES_WAY))
    prepared = select(func.give_way(bindparam("n", type_=Integer()), bindparam("s", type_=Text())))
    made_up = "SELECT give_way({n}, '{s}')"
    for state in ("40P01", "40001"):
        for run in range(3):  # from the second time on it is prepared
            database.run(text("ALTER SEQUENCE tries RESTART"))
            assert database.one(prepared, {"n": 1, "s": state}) == (2,), run
            database.run(text("ALTER SEQUENCE tries RESTART"))
            assert scalar(database, made_up.format(n=1, s=state)) == 2
        database.run(text("ALTER SEQUENCE tries RESTART"))
        with pytest.raises(Unavailable, match="somebody else"):
            database.one(prepared, {"n": 2, "s": state})
        assert scalar(database, "SELECT last_value FROM tries") == 2
    database.run(text("ALTER SEQUENCE tries RESTART"))
    with pytest.raises(Unavailable), database.transaction() as connection:
        connection.execute(prepared, {"n": 1, "s": "40P01"})
    assert scalar(database, "SELECT last_value FROM tries") == 1, "what came before is undone, too"


# A release after this one: a trigger that copies into a table of its own, with a rule of its own.
LATER = """
    CREATE TABLE novelty (digest bytea CONSTRAINT pk_novelty PRIMARY KEY);
    CREATE FUNCTION note_novelty() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.expires_at = 7 THEN RAISE EXCEPTION 'seven is over'; END IF;
        IF NEW.expires_at = 8 THEN RAISE EXCEPTION 'this table is insert-only'; END IF;
        INSERT INTO novelty VALUES (substr(NEW.digest, 1, 1));
        RETURN NULL;
    END $$;
    CREATE TRIGGER noted AFTER INSERT ON replay FOR EACH ROW EXECUTE FUNCTION note_novelty();
    ALTER TABLE replay ADD CONSTRAINT ck_replay_novelty CHECK (expires_at <> 9);
    CREATE UNIQUE INDEX uq_agency_novelty ON agency (name)
"""


def test_a_rule_of_a_later_release_is_a_conflict_and_one_of_ours_a_fault(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    if database.dialect == "sqlite":
        return  # there is one release at a time
    database.run(text(LATER))
    row = {"digest": b"ab", "expires_at": 1}
    database.run(insert(replay), row)
    with pytest.raises(ReplayDetected):
        database.run(insert(replay), row)
    for told, later in (("pk_novelty", {"digest": b"ac"}), ("seven", {"expires_at": 7})):
        with pytest.raises(ActivationConflict):
            database.run(insert(replay), row | {"digest": b"x"} | later)
        assert told in vars(caplog.records[-1])["cause"]
        assert "later release" in caplog.records[-1].message
    for_both = {"name": "Bộ Nội vụ", "state": "active"}
    database.run(insert(agency), for_both | {"id": new_id(0), "code": "G08"})
    with pytest.raises(ActivationConflict):
        database.run(insert(agency), for_both | {"id": new_id(0), "code": "G09"})
    # What does not fit, and what we should have kept, is nobody's refusal.
    one = new_id(0)
    database.run(insert(agency), {"id": one, "code": "G10", "name": "Bộ Y tế", "state": "active"})
    with pytest.raises(DBAPIError, match="pk_agency"):
        database.run(insert(agency), {"id": one, "code": "G11", "name": "Bộ", "state": "active"})
    for number in (8, 9):
        with pytest.raises(DBAPIError, match=r"insert-only|ck_replay_novelty"):
            database.run(insert(replay), {"digest": b"y", "expires_at": number})


def test_every_unique_index_of_this_release_is_known_to_it(database: Database) -> None:
    if database.dialect == "sqlite":
        return  # it tells columns, not indexes
    rows = database.all(
        text(
            "SELECT indexrelid::regclass::text AS name, indrelid::regclass::text AS of"
            " FROM pg_index WHERE indisunique AND indrelid::regclass::text NOT LIKE 'pg_%'"
        )
    )
    names = {row.name for row in rows if not row.of.startswith(("audit_event", "alembic"))}
    assert len(names) > 20
    assert names - database_errors._KNOWN == set()  # noqa: SLF001 - what the rule rests on


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
    assert migrations.fits(database)
    database.close()
    postgres_server.drop(url)
