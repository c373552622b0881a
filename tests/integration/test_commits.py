"""Which commits wait for the disk, and which need not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text

from remote_signing.rssp import activation, migrations, sessions
from tests.support.world import World, connect, furnish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer

# A deferred trigger runs at the commit: what it reads is what the commit goes by.
_WATCH = (
    "CREATE TABLE commit_seen (number serial, step text, how text)",
    """
    CREATE FUNCTION see_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO commit_seen (step, how) VALUES (
            CASE TG_TABLE_NAME WHEN 'login_session' THEN 'session.used'
            ELSE to_jsonb(NEW) ->> 'event_kind' END,
            current_setting('synchronous_commit'));
        RETURN NULL;
    END $$
    """,
    *(
        f"""
        CREATE CONSTRAINT TRIGGER {table}_commit AFTER INSERT OR UPDATE ON {table}
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see_commit()
        """
        for table in ("signature_activation", "login_session")
    ),
)
_ROUNDS = 3  # the first two go through SQLAlchemy, then the prepared way


@pytest.fixture
def world(postgres_server: PostgresServer) -> Iterator[World]:
    url = postgres_server.fresh(migrations.upgrade)
    waits = {"options": "-c synchronous_commit=on"}  # the server of the tests does not
    opened = furnish(connect(make_url(url).update_query_dict(waits).render_as_string()))
    with opened.database.engine.connect() as connection:
        for statement in _WATCH:
            connection.exec_driver_sql(statement)
    yield opened
    opened.services.close()
    postgres_server.drop(url)


def seen(world: World) -> list[tuple[str, str]]:
    """The steps since this was last asked, and how each was committed."""
    query = text("DELETE FROM commit_seen RETURNING number, step, how")
    return [(row.step, row.how) for row in sorted(world.database.all(query))]


def test_what_gives_and_uses_no_right_does_not_wait_for_the_disk_and_all_else_does(
    world: World,
) -> None:
    for _ in range(_ROUNDS):
        world.next_step()
        waiting = world.opened()
        sessions.use(world.services, world.session)
        assert seen(world) == [
            ("activation.requested", "off"),
            ("request.opened", "off"),
            ("session.used", "off"),
        ]
        world.approve(waiting)
        assert seen(world) == [("consent.tried", "on"), ("consent.given", "on")]
        world.next_step()
        world.sign(world.token())
        assert seen(world)[-3:] == [
            ("code.redeemed", "on"),
            ("signing.started", "on"),
            ("signing.done", "on"),
        ]


def test_a_request_that_was_promised_to_a_portal_is_on_the_disk(world: World) -> None:
    for _ in range(_ROUNDS):
        world.opened(channel=activation.Channel.DECOUPLED)
        assert seen(world) == [("activation.requested", "on")]


def test_codes_that_come_along_are_counted_on_the_disk_before_they_are_checked(
    world: World,
) -> None:
    issued = world.new_credential(scal="1", factors=("totp",))
    (factor_id,) = issued.secrets.totp
    new = world.request(
        channel=activation.Channel.INLINE, hash_algorithm=None, hashes=(), labels=()
    )
    for _ in range(_ROUNDS):
        world.next_step()
        codes = (activation.AuthData(factor_id, world.otp()),)
        activation.authorize_inline(world.services, new, codes)
        assert seen(world) == [("activation.requested", "on"), ("consent.given", "on")]
