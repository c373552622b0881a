"""The schema: made by migrations, equal to the models, guarded by triggers and grants."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, inspect, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from remote_signing.errors import InvalidInput, Unavailable
from remote_signing.rssp import audit_partitions, migrations
from remote_signing.rssp.db import Database
from remote_signing.rssp.migrations import triggers
from remote_signing.rssp.models import audit_event, metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer


_ROOT = Path(__file__).parents[2]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


def test_migrations_make_exactly_what_the_models_say(database_url: str, database: Database) -> None:
    migrations.upgrade(database_url)
    parts = {each.name for each in audit_partitions.partitions(database)}

    def is_ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name not in parts

    options = {"compare_type": True, "compare_server_default": True, "include_name": is_ours}
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_an_upgrade_is_idempotent(database_url: str, database: Database) -> None:
    migrations.upgrade(database_url)
    migrations.upgrade(database_url)
    assert migrations.fits(database)
    migrations.check(database)


def test_asking_for_the_version_leaves_no_line_in_the_log(
    database_url: str, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    migrations.upgrade(database_url)
    caplog.clear()
    with caplog.at_level("INFO"):
        assert migrations.fits(database)
    assert caplog.records == []


@pytest.mark.parametrize(("revision", "is_taken"), [("9999", True), ("0017", False)])
def test_a_schema_of_a_later_release_is_taken_and_one_of_before_is_not(
    database_url: str, database: Database, revision: str, *, is_taken: bool
) -> None:
    migrations.upgrade(database_url)
    database.run(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    assert migrations.fits(database) is is_taken


def test_an_empty_database_does_not_fit(database: Database) -> None:
    assert not migrations.fits(database)
    with pytest.raises(Unavailable):
        migrations.check(database)


def test_two_upgrades_at_once_do_not_quarrel(database_url: str, database: Database) -> None:
    program = f"from remote_signing.rssp import migrations; migrations.upgrade({database_url!r})"
    processes = [subprocess.Popen([sys.executable, "-c", program], cwd=_ROOT) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert migrations.fits(database)


def test_an_upgrade_that_fails_leaves_nothing(
    database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ("CREATE TABLE nonsense (", *triggers.statements(database.dialect))
    monkeypatch.setattr(triggers, "statements", lambda _dialect: broken)
    with pytest.raises(DBAPIError):
        migrations.upgrade(database_url)
    assert inspect(database.engine).get_table_names() == []


def add_event(database: Database) -> None:
    row = {"at": 1, "kind": "test", "actor": "test", "detail": "{}"}
    database.run(insert(audit_event), row)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_event SET kind = 'x'", "DELETE FROM audit_event"]
)
def test_a_line_of_the_audit_table_stays_as_it_is(
    database_url: str, database: Database, statement: str
) -> None:
    migrations.upgrade(database_url)
    add_event(database)
    with pytest.raises(DBAPIError, match="insert-only"):
        database.run(text(statement))


def test_a_line_is_not_replaced_either(database_url: str, database: Database) -> None:
    migrations.upgrade(database_url)
    add_event(database)
    columns = "(number, at, kind, actor, detail) VALUES (1, 1, 'x', 'x', '{}')"
    if database.dialect == "sqlite":
        statement = f"INSERT OR REPLACE INTO audit_event {columns}"
    else:
        statement = "TRUNCATE audit_event"
    with pytest.raises(DBAPIError, match="insert-only"):
        database.run(text(statement))


def test_the_service_role_cannot_touch_the_audit_table(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh()
    owner = Database(url)
    owner.run(text("DROP ROLE IF EXISTS rssp_service"))
    owner.run(text("CREATE ROLE rssp_service LOGIN"))
    migrations.upgrade(url, "rssp_service")
    service = Database(url.replace("postgres@", "rssp_service@"))
    try:
        add_event(service)
        assert migrations.fits(service)
        for table in metadata.tables:
            service.all(text(f"SELECT * FROM {table}"))  # noqa: S608 - our own tables' names
        for statement in (
            "UPDATE audit_event SET kind = 'x'",
            "DELETE FROM audit_event",
            "TRUNCATE audit_event",
            "DROP TABLE audit_event",
            "ALTER TABLE audit_event DISABLE TRIGGER ALL",
            "DELETE FROM credential",
            "UPDATE alembic_version SET version_num = 'x'",
        ):
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
                service.run(text(statement))
    finally:
        service.close()
        owner.close()
        postgres_server.drop(url)


@pytest.mark.parametrize("role", ["x; DROP TABLE audit_event", "", "Upper"])
def test_a_strange_role_is_refused(postgres_server: PostgresServer, role: str) -> None:
    url = postgres_server.fresh()
    with pytest.raises(InvalidInput):
        migrations.upgrade(url, role)
    postgres_server.drop(url)


def test_certificates_of_before_are_listed_unless_another_authority_made_them(
    database_url: str, database: Database
) -> None:
    migrations.upgrade(database_url, revision="0001")
    add_certified(database, "1", '{"certificate_sha256":"x","validity_days":30}')
    add_certified(database, "2", '{"certificate_sha256":"x"}')  # installed, not issued here
    migrations.upgrade(database_url)
    rows = database.all(text("SELECT serial, credential_id, state FROM issued_certificate"))
    assert [tuple(row) for row in rows] == [("A1", "1" * 26, "good")]


def test_what_was_frozen_or_on_hold_before_is_not_used(
    database_url: str, database: Database
) -> None:
    migrations.upgrade(database_url, revision="0018")
    for name, state in (("1", "frozen"), ("2", "enabled"), ("3", "enabled")):
        add_certified(database, name, "{}")
        statement = "UPDATE credential SET state = :state WHERE id = :id"
        database.run(text(statement), {"state": state, "id": name * 26})
    held = """
        INSERT INTO issued_certificate (serial, credential_id, certificate, not_after, state)
        VALUES ('A2', :id, :bytes, 2, 'suspended')
    """
    database.run(text(held), {"id": "2" * 26, "bytes": b"x"})
    migrations.upgrade(database_url)
    rows = database.all(text("SELECT state, frozen FROM credential ORDER BY id"))
    assert [tuple(row) for row in rows] == [("frozen", 1), ("suspended", 0), ("enabled", 0)]
    told = "SELECT credential_id, detail FROM audit_event WHERE kind = 'credential.suspended'"
    (event,) = database.all(text(told))
    assert tuple(event) == ("2" * 26, '{"state":"suspended"}')


_ROWS = (
    "INSERT INTO agency (id, name) VALUES (:id, 'x')",
    """
    INSERT INTO subscriber
        (id, kind, agency_id, full_name, username, password_hash, created_at)
    VALUES (:id, 'person', :id, 'x', :name, 'x', 1)
    """,
    """
    INSERT INTO credential
        (id, subscriber_id, algorithm, state, scal, multisign, auth_mode, factors, certificate,
        certificate_serial, not_before, not_after, public_key, sealed, sealed_version,
        attempt_limit, created_at)
    VALUES (:id, :id, 'p256', 'enabled', '2', 1, 'oauth2code', '[]', :bytes,
        :serial, 1, 2, :bytes, :bytes, 1, 5, 1)
    """,
    """
    INSERT INTO audit_event (at, kind, actor, subscriber_id, credential_id, detail)
    VALUES (1, 'credential.certified', 'ra', :id, :id, :detail)
    """,
)


def add_certified(database: Database, name: str, detail: str) -> None:
    """A credential with a certificate as the first revision has it, and its event."""
    its_id = name * 26
    for statement in _ROWS:
        values = {
            "id": its_id,
            "name": name,
            "bytes": b"x",
            "serial": f"A{name}",
            "detail": detail,
        }
        used = {
            key: value
            for key, value in values.items()
            if f":{key}," in statement or f":{key})" in statement
        }
        database.run(text(statement), used)
