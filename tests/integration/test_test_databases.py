"""The ground that other tests stand on: databases that are fresh, copied fast, and really apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine, inspect, text

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.support.postgres import PostgresServer


def _fill(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE page (number INTEGER)"))
        connection.execute(text("INSERT INTO page VALUES (1)"))
    engine.dispose()


def _count(url: str) -> int:
    engine = create_engine(url)
    with engine.begin() as connection:
        count = connection.execute(text("SELECT count(*) FROM page")).scalar_one()
        connection.execute(text("INSERT INTO page VALUES (2)"))
    engine.dispose()
    return int(count)


def test_a_fresh_database_is_empty(database_url: str) -> None:
    _fill(database_url)
    assert _count(database_url) == 1


def test_each_copy_of_a_prepared_database_starts_the_same(databases: Databases) -> None:
    first, second = databases.fresh(_fill), databases.fresh(_fill)
    assert [_count(first), _count(second)] == [1, 1]
    databases.drop(first)
    assert _count(second) == 2


def test_a_migrated_database_has_the_tables(migrated_database_url: str) -> None:
    engine = create_engine(migrated_database_url)
    assert inspect(engine).has_table("signature_activation")
    engine.dispose()


def test_postgresql_is_new_enough(postgres_server: PostgresServer) -> None:
    engine = create_engine(postgres_server.url("postgres"))
    with engine.connect() as connection:
        version = connection.execute(text("SHOW server_version_num")).scalar_one()
    engine.dispose()
    assert int(version) >= 150000
