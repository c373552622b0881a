"""What is remembered of a proof does not wait for the disk, and nothing else is spared that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, make_url, text

from remote_signing.errors import ReplayDetected
from remote_signing.rssp import migrations, replay
from remote_signing.rssp.db import Database
from remote_signing.rssp.models import replay as replay_table
from remote_signing.rssp.replay import Bound, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer

# A deferred trigger runs at the commit: what it reads is what the commit goes by.
_WATCH = (
    "CREATE TABLE commit_seen (how text)",
    """
    CREATE FUNCTION see_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO commit_seen VALUES (current_setting('synchronous_commit'));
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER replay_commit AFTER INSERT ON replay DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION see_commit()
    """,
    """
    INSERT INTO access_token (id, secret_hash, client_id, scope, jkt, created_at, expires_at)
    VALUES ('token', '\\x00', 'portal', 'service', 'key', 1, 2)
    """,
)
_SETTING = text("SHOW synchronous_commit")
_UNTIL = 2
_ROUNDS = 3  # the first two go through SQLAlchemy, then the prepared way


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    url = postgres_server.fresh(migrations.upgrade)
    waits = {"options": "-c synchronous_commit=on"}  # the server of the tests does not
    opened = Database(make_url(url).update_query_dict(waits), connections=1)
    with opened.engine.connect() as connection:
        connection.exec_driver_sql("SET session_replication_role = replica")  # no foreign keys
        for statement in _WATCH:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("RESET session_replication_role")
    yield opened
    opened.close()
    postgres_server.drop(url)


def seen(database: Database) -> list[str]:
    """How the commits were made since this was last asked."""
    return [row.how for row in database.all(text("DELETE FROM commit_seen RETURNING how"))]


def setting(database: Database) -> str:
    row = database.one(_SETTING)
    assert row is not None
    return str(row[0])


def test_the_row_of_a_proof_is_committed_without_waiting_and_nothing_after_it(
    database: Database,
) -> None:
    token = Bound("service", "token", b"\0", "key")
    for number in range(_ROUNDS):
        first, second, third, fourth = (Mark(bytes([place, number]), _UNTIL) for place in range(4))
        replay.once(database, first)
        assert (seen(database), setting(database)) == (["off"], "on")
        assert replay.once_with(database, second, third)
        assert (seen(database), setting(database)) == (["off"] * 2, "on")
        replay.once_for_token(database, token, fourth)
        assert (seen(database), setting(database)) == (["off"], "on")
        for again in (first, fourth):
            with pytest.raises(ReplayDetected):
                replay.once(database, again)
        # Another statement at the same connection waits again.
        database.run(insert(replay_table), {"digest": bytes([9, number]), "expires_at": _UNTIL})
        assert seen(database) == ["on"]
