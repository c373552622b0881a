"""What was begun under the triggers of before goes on under those of revision 0017."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text

from remote_signing.clock import FixedClock
from remote_signing.errors import EvidenceReplayed
from remote_signing.rssp import migrations
from remote_signing.rssp.models import audit_event, totp_step
from tests.support.world import World, connect, furnish_before

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer

_BEFORE = "0015"
_TRIGGERS = text(
    """
    SELECT tgname FROM pg_trigger
    WHERE tgrelid = 'signature_activation'::regclass AND NOT tgisinternal
""".replace("::", r"\:\:")
)
_GONE = {f"signature_activation_{name}" for name in ("told", "pushed", "used_code")}
_SIGNATURE = [
    *("activation.requested", "request.opened", "consent.tried", "consent.given"),
    *("code.redeemed", "signing.started", "signing.done"),
]


@pytest.fixture
def old(postgres_server: PostgresServer) -> Iterator[World]:
    """A world on a database of before, with statements and triggers that have been prepared."""
    url = postgres_server.fresh()
    migrations.upgrade(url, revision=_BEFORE)
    opened = furnish_before(connect(url, FixedClock()))
    for _ in range(3):
        opened.opened()
    yield opened
    opened.services.close()
    postgres_server.drop(url)


def raised(world: World) -> None:
    """Bring the schema to the newest revision, as the operator does beside running processes."""
    url = world.database.engine.url.render_as_string(hide_password=False)
    migrations.upgrade(url)


def trail(world: World, activation_id: str) -> list[str]:
    query = select(audit_event.c.kind).where(audit_event.c.activation_id == activation_id)
    return [row.kind for row in world.database.all(query.order_by(audit_event.c.sequence))]


def test_what_was_begun_before_the_upgrade_is_finished_after_it(old: World) -> None:
    waiting = old.opened()
    raised(old)
    approved = old.approve(waiting)
    (used,) = old.database.all(select(totp_step.c.step))
    assert used.step == old.clock.now_ms() // 30_000
    assert approved.redirect_to is not None
    old.next_step()
    token = old.token()
    old.sign(token)
    assert trail(old, waiting) == _SIGNATURE[:4]
    assert trail(old, token.row_id) == _SIGNATURE
    assert _GONE.isdisjoint(row.tgname for row in old.database.all(_TRIGGERS))


def test_a_code_that_was_used_before_the_upgrade_is_used_after_it(old: World) -> None:
    first, second = old.opened(), old.opened()
    old.approve(first)
    raised(old)
    with pytest.raises(EvidenceReplayed):
        old.approve(second)
