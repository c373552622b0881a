"""The weeks of the audit table on PostgreSQL: where rows go, who may do what, what a look costs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from remote_signing import cli
from remote_signing.clock import FixedClock
from remote_signing.errors import InvalidInput
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, audit_partitions, migrations
from remote_signing.rssp.db import Database
from remote_signing.rssp.housekeeping import Housekeeping
from remote_signing.rssp.models import audit_event
from tests.support.world import connect, furnish_before, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer
    from tests.support.sqlite import SqliteFolder

DAY, WEEK = 86_400_000, 604_800_000
NOW = time.time_ns() // 1_000_000
WHERE = text("SELECT tableoid::regclass::text AS part FROM audit_event WHERE number = :number")
SERVICE = "rssp_weeks"
OFTEN_ANALYSED = """
SELECT oid, relname FROM pg_class
WHERE relname = 'credential' OR reloptions::text LIKE '%autovacuum_analyze_scale_factor%'
    OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_event'::regclass)
"""
# An index over an expression has a sample of its own, which no column's setting makes smaller.
LARGE_SAMPLES = """
SELECT often.relname, a.attname
FROM (<often>) often
LEFT JOIN pg_index i ON i.indrelid = often.oid AND i.indexprs IS NOT NULL
JOIN pg_attribute a ON a.attrelid IN (often.oid, i.indexrelid)
WHERE a.attnum > 0 AND NOT a.attisdropped AND coalesce(a.attstattarget, -1) NOT BETWEEN 1 AND 10
""".replace("<often>", OFTEN_ANALYSED)


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    made = postgres_server.fresh(migrations.upgrade)
    yield made
    postgres_server.drop(made)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def add(database: Database, at: int, kind: str = "test") -> int:
    values = {"at": at, "kind": kind, "actor": "test", "detail": "{}"}
    row = database.one(insert(audit_event).returning(audit_event.c.number), values)
    assert row is not None
    return int(row.number)


def part_of(database: Database, number: int) -> str:
    row = database.one(WHERE, {"number": number})
    assert row is not None
    return str(row.part)


def weeks_ahead(database: Database) -> int:
    """How many whole weeks from now on have a table."""
    ends = [each.ends_ms or 0 for each in audit_partitions.partitions(database)]
    return (max(ends) - NOW) // WEEK


def test_a_new_database_has_this_week_and_four_more(database: Database) -> None:
    parts = audit_partitions.partitions(database)
    assert weeks_ahead(database) == audit_partitions.AHEAD
    assert parts[0].name == "audit_event_before"
    assert parts[-1].name == audit_partitions.DEFAULT
    assert [part.begins_ms for part in parts[1:-1]] == [part.ends_ms for part in parts[:-2]]
    assert part_of(database, add(database, NOW)) == parts[1].name
    assert audit_partitions.tend(database) == 0, "nothing is missing"


def test_housekeeping_makes_the_week_that_is_missing(postgres_server: PostgresServer) -> None:
    with new_world(postgres_server) as world:
        last = audit_partitions.partitions(world.database)[-2].name
        world.database.run(text(f"DROP TABLE {last}"))
        assert weeks_ahead(world.database) == audit_partitions.AHEAD - 1
        housekeeping = Housekeeping(world.services, period=3600)
        housekeeping.start()
        housekeeping.stop()
        assert weeks_ahead(world.database) == audit_partitions.AHEAD


def test_rows_of_before_stay_where_they_were(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh()
    migrations.upgrade(url, revision="0010")
    database = Database(url)
    try:
        database.run(text("DROP ROLE IF EXISTS rssp_of_before"))
        database.run(text("CREATE ROLE rssp_of_before"))
        database.run(text("GRANT SELECT, INSERT ON audit_event TO rssp_of_before"))
        old, recent = add(database, 1), add(database, NOW + 2 * WEEK)
        migrations.upgrade(url)
        assert {part_of(database, old), part_of(database, recent)} == {"audit_event_before"}
        next_one = add(database, NOW + 4 * WEEK)
        assert next_one == recent + 1, "numbers go on"
        assert part_of(database, next_one) not in {"audit_event_before", audit_partitions.DEFAULT}
        may = "has_column_privilege('rssp_of_before', 'audit_event', :column, 'INSERT') AS it"
        rights = {
            column: database.all(text(f"SELECT {may}"), {"column": column})[0].it
            for column in ("at", "number")
        }
        assert rights == {"at": True, "number": False}
        database.run(text("DROP OWNED BY rssp_of_before"))
        database.run(text("DROP ROLE rssp_of_before"))
    finally:
        database.close()
        postgres_server.drop(url)


def test_processes_that_run_meanwhile_go_on(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh()
    migrations.upgrade(url, revision="0010")
    world = furnish_before(connect(url, FixedClock(NOW)))
    try:
        # Until statements are prepared, those of triggers too. Consents alone: what signing writes
        # to came in a later revision.
        for _ in range(7):
            world.token("a")
            world.next_step()
        migrations.upgrade(url)
        world.sign(world.token("a"), "a")
        count = "SELECT count(*) AS many FROM audit_event_before"
        (before,) = world.database.all(text(count))
        world.clock.advance(WEEK / 1000)
        world.session = world.new_session()
        world.sign(world.token("a"), "a")
        (after,) = world.database.all(text(count))
        assert after.many == before.many, "the next week's rows are the next week's"
        numbers = [row.number for row in audit.events(world.database)]
        assert numbers == list(range(1, len(numbers) + 1))
    finally:
        world.services.close()
        postgres_server.drop(url)


def test_a_row_that_no_week_takes_is_on_record_and_an_alarm(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    stray = add(database, NOW + 100 * WEEK)
    assert part_of(database, stray) == audit_partitions.DEFAULT
    audit_partitions.tend(database)
    assert "alarm: audit rows outside every week" in caplog.text
    kept = [row.number for row in audit.events(database)]
    assert audit_partitions.settle(database) == 1
    assert part_of(database, stray).startswith("audit_event_20")
    assert [row.number for row in audit.events(database)] == kept
    assert add(database, NOW) == stray + 1
    caplog.clear()
    audit_partitions.tend(database)
    assert caplog.text == ""
    assert audit_partitions.settle(database) == 0
    with pytest.raises(DBAPIError, match="insert-only"):
        database.run(text("UPDATE audit_event SET kind = 'x'"))
    with pytest.raises(DBAPIError, match="insert-only"):
        database.run(text(f"TRUNCATE {audit_partitions.DEFAULT}"))


def test_a_week_is_not_made_while_rows_of_it_lie_elsewhere(database: Database) -> None:
    last = audit_partitions.partitions(database)[-2]
    database.run(text(f"DROP TABLE {last.name}"))
    assert last.begins_ms is not None
    add(database, last.begins_ms)
    assert audit_partitions.tend(database) == 0
    assert audit_partitions.settle(database) == 1
    assert [each.name for each in audit_partitions.partitions(database)].count(last.name) == 1


def test_what_is_analysed_often_is_analysed_by_small_samples(database: Database) -> None:
    database.run(text(f"DROP TABLE {audit_partitions.partitions(database)[-2].name}"))
    assert audit_partitions.tend(database) == 1
    stray = add(database, NOW + 100 * WEEK)
    assert audit_partitions.settle(database) == 1
    often = {row.relname for row in database.all(text(OFTEN_ANALYSED))}
    assert {"signature_activation", "credential", part_of(database, stray)} < often
    assert database.all(text(LARGE_SAMPLES)) == []


def test_old_weeks_are_taken_out_whole_and_stay_guarded(database: Database) -> None:
    old = add(database, NOW - 100 * WEEK)
    young = add(database, NOW)
    with pytest.raises(InvalidInput):
        audit_partitions.detach(database, NOW - 80 * DAY, NOW)
    assert audit_partitions.detach(database, NOW - 100 * DAY, NOW) == []
    much_later = NOW + 20 * WEEK
    assert audit_partitions.detach(database, NOW, much_later) == ["audit_event_before"]
    there, gone = audit.events(database)
    assert there.number == young
    assert (gone.kind, gone.at) == ("audit.week_detached", much_later)
    week = json.loads(gone.detail)
    assert (week["table"], week["begins"]) == ("audit_event_before", None)
    (row,) = database.all(text("SELECT number FROM audit_event_before"))
    assert row.number == old
    for statement in ("DELETE FROM audit_event_before", "TRUNCATE audit_event_before"):
        with pytest.raises(DBAPIError, match="insert-only"):
            database.run(text(statement))


def test_the_service_makes_weeks_and_can_do_no_more_with_them(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.fresh()
    owner = Database(url)
    owner.run(text(f"DROP ROLE IF EXISTS {SERVICE}"))
    owner.run(text(f"CREATE ROLE {SERVICE} LOGIN"))
    migrations.upgrade(url, SERVICE)
    service = Database(url.replace("postgres@", f"{SERVICE}@"))
    try:
        last = audit_partitions.partitions(service)[-2].name
        owner.run(text(f"DROP TABLE {last}"))
        assert audit_partitions.tend(service) == 1
        add(service, NOW)
        for statement in (
            "INSERT INTO audit_event (number, at, kind, actor, detail) VALUES (1, 1, '', '', '')",
            "SELECT setval('audit_event_number_seq', 1)",
            f"DROP TABLE {last}",
            f"ALTER TABLE audit_event DETACH PARTITION {last}",
            f"TABLE {last}",
            f"INSERT INTO {last} DEFAULT VALUES",
            "SELECT * FROM audit_event_before",
        ):
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
                service.run(text(statement))
        with pytest.raises(DBAPIError, match="between 0 and 12"):
            service.run(text("SELECT make_audit_partitions(99)"))
    finally:
        service.close()
        owner.close()
        postgres_server.drop(url)


def test_an_activations_events_are_looked_for_from_its_own_week_on(database: Database) -> None:
    activation = new_id(NOW)
    with_events = list(audit.events(database, activation_id=activation))
    assert with_events == []
    statement = (
        "EXPLAIN SELECT * FROM audit_event WHERE activation_id = :activation AND at >= :since"
        " ORDER BY number LIMIT 500"
    )
    given = {"activation": activation, "since": NOW - 3_600_000}
    plan = "\n".join(str(row[0]) for row in database.all(text(statement), given))
    assert "audit_event_before" not in plan
    assert "Seq Scan" not in plan
    assert plan.count("activation_id_number_idx") == plan.count("Scan using")


def test_the_operator_sees_settles_and_takes_out(
    url: str, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    add(database, NOW + 100 * WEEK)
    assert cli.main(["db", "settle-audit", "--url", url]) == 0
    assert "1 rows were moved" in capsys.readouterr().err
    assert cli.main(["db", "partitions", "--url", url]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["NAME", "FROM", "UNTIL", "BYTES"]
    assert told[1].startswith("audit_event_before")
    assert told[-1].startswith("audit_event_default")
    assert len(told) == 1 + len(audit_partitions.partitions(database))
    assert cli.main(["db", "detach-audit", "--before", "2001-01-01", "--url", url]) == 0
    assert "0 taken out" in capsys.readouterr().err
    assert cli.main(["db", "detach-audit", "--before", "2999-01-01", "--url", url]) != 0
    assert "90 days" in capsys.readouterr().err


def test_sqlite_has_no_weeks(sqlite_folder: SqliteFolder) -> None:
    url = sqlite_folder.fresh(migrations.upgrade)
    database = Database(url)
    assert audit_partitions.partitions(database) == []
    assert audit_partitions.tend(database) == 0
    database.close()
    sqlite_folder.drop(url)
