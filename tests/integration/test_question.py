"""What the consent page asks first: whose session it is and what the request says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from remote_signing.errors import ActivationUnknown, SessionInvalid
from remote_signing.rssp import activation, question, sessions
from remote_signing.rssp.models import login_session

if TYPE_CHECKING:
    from tests.support.world import World

_ROUNDS = 3  # the first two go through SQLAlchemy, then the prepared way


def last_used(world: World) -> int:
    its = login_session.c
    row = world.database.one(
        select(its.last_used_at).where(its.id == world.session.row_id, its.revoked_at.is_(None))
    )
    assert row is not None
    return int(row.last_used_at)


def test_the_signer_sees_his_request_and_his_session_counts_as_used(world: World) -> None:
    waiting = world.opened()
    for _ in range(_ROUNDS):
        world.clock.advance(1)
        signer, found = question.show(world.services, world.session, waiting)
        assert signer == sessions.use(world.services, world.session)
        assert found == activation.details(world.services, waiting, signer.subscriber_id)
        assert last_used(world) == world.clock.now_ms()


@pytest.mark.parametrize("name", ["0" * 26, "no id", "x\0", ""])
def test_a_request_that_is_not_there_is_unknown_and_the_session_counts_as_used(
    world: World, name: str
) -> None:
    for _ in range(_ROUNDS):
        world.clock.advance(1)
        with pytest.raises(ActivationUnknown):
            question.show(world.services, world.session, name)
        assert last_used(world) == world.clock.now_ms()


def test_somebody_elses_request_is_unknown(world: World) -> None:
    waiting = world.opened()
    world.new_signer("binh.tran")
    for _ in range(_ROUNDS):
        with pytest.raises(ActivationUnknown):
            question.show(world.services, world.session, waiting)


def test_without_a_session_nothing_is_shown(world: World) -> None:
    waiting = world.opened()
    sessions.sign_out(world.services, world.session)
    for name in (waiting, "no id"):
        for _ in range(_ROUNDS):
            with pytest.raises(SessionInvalid):
                question.show(world.services, world.session, name)
