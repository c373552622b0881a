"""A SIM's signature, its signer's cancellation and the clock at once: one outcome, never two."""

from __future__ import annotations

import faulthandler
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.rssp import activation, activation_sim, audit
from remote_signing.rssp.activation_sim import End
from remote_signing.sap import Activated
from tests.support.sim_question import waiting_question
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Databases
    from tests.support.world import World

_USUAL = 30
RACES = int(os.environ.get("REMOTE_SIGNING_RACES", _USUAL))
OUTCOMES = {"APPROVED": "AUTHORIZED", "CANCELLED": "PENDING", "EXPIRED": "PENDING"}


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    with new_world(databases) as furnished:
        yield furnished


def race(world: World, row: Any) -> list[bool]:
    """Everybody at once, an answer that is delivered twice among them; who was told yes."""
    now = world.clock.now_ms()
    consent = Activated(b"sad", now + 300_000, b"e" * 32)
    expired, cancelled = End("EXPIRED", "x", "x"), End("CANCELLED", "x", "x")
    works: list[Callable[[], bool]] = [
        lambda: activation_sim.approve(world.services, row, consent, {}),
        lambda: activation_sim.approve(world.services, row, consent, {}),
        lambda: activation_sim.end(world.services, row, cancelled, by_signer=True),
        lambda: activation_sim.end(world.services, row, expired),
    ]
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], bool]) -> bool:
        gate.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_of_approving_cancelling_and_expiring_exactly_one_wins(world: World) -> None:
    if RACES > _USUAL:
        faulthandler.cancel_dump_traceback_later()  # the limit is for a test that hangs
    ends: dict[str, int] = {}
    for number in range(RACES):
        row = waiting_question(world, world.opened(f"{number}.pdf"), number)
        assert race(world, row).count(True) == 1
        found = activation_sim.get(world.services, row.id)
        assert found is not None
        ends[found.state] = ends.get(found.state, 0) + 1
        about = activation.details(world.services, row.activation_id, world.subscriber_id)
        assert about.state.value == OUTCOMES[found.state]
        kinds = [
            event.kind
            for event in audit.events(world.database, activation_id=row.activation_id)
            if event.kind in {"consent.given", "consent.sim_ended"}
        ]
        assert kinds == ["consent.given" if found.state == "APPROVED" else "consent.sim_ended"]
    print(f"{RACES} races on {world.database.dialect}: {ends}")
