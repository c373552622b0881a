"""Constant statements on PostgreSQL: the short way gives what the long one gives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    bindparam,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Boolean

from remote_signing.errors import ReplayDetected, Unavailable
from remote_signing.rssp import migrations, prepared
from remote_signing.rssp.db import Database
from remote_signing.rssp.models import replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer

_THINGS = Table(
    "thing",
    MetaData(),
    Column("name", Text),
    Column("size", BigInteger),
    Column("rank", SmallInteger),
    Column("octets", LargeBinary),
    Column("is_good", Boolean),
)
_THING = _THINGS.c
_ROWS = (
    {"name": "Quyết định 100 %", "size": 2**53, "rank": -7, "octets": b"\0\xff", "is_good": True},
    {"name": "", "size": -1, "rank": 0, "octets": b"", "is_good": False},
    {"name": None, "size": None, "rank": None, "octets": None, "is_good": None},
)
_ADD = insert(_THINGS)
_ALL = select(_THINGS).order_by(_THING.size)
_NAMED = select(_THING.size).where(
    _THING.name.in_(bindparam("names", expanding=True)), _THING.size > bindparam("least")
)
_ONCE = insert(replay)
_FIRST = {"digest": b"x", "expires_at": 1}


@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> Iterator[str]:
    made = postgres_server.fresh(migrations.upgrade)
    yield made
    postgres_server.drop(made)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    opened.run(text("DROP TABLE IF EXISTS thing"))
    opened.run(text("TRUNCATE replay"))
    with opened.engine.connect() as connection:
        _THINGS.create(connection)
    yield opened
    opened.close()


def short(database: Database) -> int:
    """How many statements have a short way."""
    return sum(bool(plan) for plan in database._prepared._plans.values())  # type: ignore[union-attr]  # noqa: SLF001 - whether the short way is taken is what these tests are about


def test_every_kind_of_value_goes_in_and_comes_out_as_it_was(database: Database) -> None:
    for row in _ROWS:
        assert database.run(_ADD, row) == 1
    read = [[tuple(row) for row in database.all(_ALL)] for _ in range(3)]
    assert read[0] == read[1] == read[2]
    assert sorted(map(repr, read[0])) == sorted(repr(tuple(row.values())) for row in _ROWS)
    assert short(database) == 2
    assert database.all(_ALL)[0].name == ""


def test_a_list_of_another_length_takes_the_long_way(database: Database) -> None:
    for row in _ROWS:
        database.run(_ADD, row)
    wanted = {"names": ["", "x"], "least": -5}
    for _ in range(3):
        assert [row.size for row in database.all(_NAMED, wanted)] == [-1]
    assert short(database) == 2
    for names in (["", "x", "y"], [], [""]):
        found = database.all(_NAMED, {"names": names, "least": -5})
        assert [row.size for row in found] == ([-1] if names else [])


def test_what_is_made_for_one_occasion_takes_the_long_way(database: Database) -> None:
    for number in range(3):
        assert database.all(select(_THING.name).where(_THING.size == number)) == []
    assert short(database) == 0


def test_other_parameters_are_another_statement(database: Database) -> None:
    change = update(_THINGS).where(_THING.size == bindparam("the_size"))
    database.run(_ADD, _ROWS[1])
    for _ in range(3):
        assert database.run(change, {"the_size": -1, "rank": 5}) == 1
    assert database.run(change, {"the_size": -1, "name": "anders"}) == 1
    row = database.one(_ALL)
    assert row is not None
    assert (row.rank, row.name) == (5, "anders")


def test_a_type_or_value_without_a_short_way_takes_the_long_one(database: Database) -> None:
    ratio = select(bindparam("ratio", type_=Float()).label("ratio"))
    half = text("SELECT 0.5::float8 AS ratio")
    size = select(_THING.size).where(_THING.size == bindparam("size"))
    for _ in range(3):
        for statement, parameters in ((ratio, {"ratio": 0.5}), (half, {})):
            row = database.one(statement, parameters)
            assert row is not None
            assert row.ratio == 0.5
        assert database.all(size, {"size": 1}) == []
    assert short(database) == 1
    assert database.all(size, {"size": 0.5}) == []


def test_who_listens_hears_every_statement(database: Database) -> None:
    for _ in range(3):
        database.all(_ALL)
    heard: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        heard.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    database.all(_ALL)
    event.remove(database.engine, "before_cursor_execute", note)
    database.all(_ALL)
    assert len(heard) == 1


def test_an_index_and_a_mistake_tell_the_same_on_the_short_way(database: Database) -> None:
    database.run(_ONCE, _FIRST)
    for _ in range(3):
        with pytest.raises(ReplayDetected):
            database.run(_ONCE, _FIRST)
    wrong = text("SELECT 1 / :by AS x")
    assert [database.one(wrong, {"by": 1}) for _ in range(3)] == [(1,)] * 3
    with pytest.raises(DBAPIError, match="division by zero"):
        database.one(wrong, {"by": 0})
    assert database.one(wrong, {"by": 1}) == (1,)
    nowhere = text("SELECT * FROM nowhere")
    for _ in range(3):
        with pytest.raises(DBAPIError, match="nowhere"):
            database.one(nowhere)


def test_a_cut_connection_is_unavailable_once_and_the_pool_is_new(database: Database) -> None:
    cut = text(
        "SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    own = text("SELECT pg_terminate_backend(pg_backend_pid()) AS done WHERE :yes")
    for _ in range(3):
        assert database.one(own, {"yes": False}) is None
    with pytest.raises(Unavailable):
        database.one(own, {"yes": True})
    assert database.all(_ALL) == []
    other = Database(database.engine.url)
    held = [database.engine.raw_connection() for _ in range(3)]
    for connection in held:
        connection.close()
    assert len(other.all(cut)) == 3
    with pytest.raises(Unavailable):
        database.one(own, {"yes": False})
    for _ in range(4):
        assert database.one(own, {"yes": False}) is None
    other.close()


def test_an_error_of_libpq_itself_is_a_lost_connection(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen when PostgreSQL fell over: no SQLSTATE, and a connection not yet known as bad."""
    statement = text("SELECT 1 AS one WHERE :yes")
    assert database.one(statement, {"yes": True})

    def closed(*_: object) -> None:
        raise psycopg.DatabaseError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(prepared, "_outcome", closed)
        with pytest.raises(Unavailable):
            database.one(statement, {"yes": True})
    assert database.one(statement, {"yes": True})


def test_where_no_connection_is_to_be_had_both_ways_are_unavailable() -> None:
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    for _ in range(3):
        with pytest.raises(Unavailable):
            away.one(_ALL)
    away.close()


def test_a_text_with_nul_is_refused_and_never_cut(database: Database) -> None:
    database.run(_ADD, _ROWS[1])
    named = select(_THING.size).where(_THING.name == bindparam("its_name"))
    for _ in range(3):
        assert [row.size for row in database.all(named, {"its_name": ""})] == [-1]
    with pytest.raises(DBAPIError, match="NUL"):
        database.all(named, {"its_name": "\0more"})
    assert short(database) == 1


def test_many_threads_share_the_plans(database: Database) -> None:
    database.run(_ADD, _ROWS[1])
    grow = update(_THINGS).values(size=_THING.size + bindparam("more")).returning(_THING.size)
    seen: list[int] = []

    def work() -> None:
        for _ in range(25):
            row = database.one(grow, {"more": 1})
            assert row is not None
            seen.append(row.size)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(200))


def test_a_statement_that_the_driver_has_deallocated_is_prepared_anew(database: Database) -> None:
    database.run(_ADD, _ROWS[1])
    for _ in range(3):
        assert len(database.all(_ALL)) == 1
    database.run(text("DEALLOCATE ALL"))
    for _ in range(2):
        assert len(database.all(_ALL)) == 1
    assert short(database) == 1
