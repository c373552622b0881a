"""Two answers to one request at the same moment never wait for each other on PostgreSQL.

Each changes the request, then its credential, and then uses the code. Here the credential is held
by somebody else until both are waiting, so that every order of the two is met on purpose.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from remote_signing.errors import RemoteSigningError
from remote_signing.rssp import activation, freezing
from remote_signing.rssp.models import credential
from tests.support.two_hosts import ACTS, TwoHosts, two_hosts
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remote_signing.rssp.deps import Services
    from tests.support.postgres import PostgresServer

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
_SECONDS = 30

Answer = "Callable[[TwoHosts, Services, list[str]], object]"


@pytest.fixture(scope="module")
def two(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoHosts]:
    with new_world(postgres_server) as world:
        yield two_hosts(world, tmp_path_factory.mktemp("hosts"))


def approve_all(two: TwoHosts, services: Services, ids: list[str]) -> object:
    world = two.world
    return activation.approve_all(services, world.session, ids, world.pin, world.otp())


def approve_last(two: TwoHosts, services: Services, ids: list[str]) -> object:
    world = two.world
    return activation.approve(services, world.session, ids[-1], world.pin, world.otp())


def approve_backwards(two: TwoHosts, services: Services, ids: list[str]) -> object:
    return approve_all(two, services, ids[::-1])


def freeze(two: TwoHosts, services: Services, _ids: list[str]) -> object:
    two.saps[1].meeting.wait(_SECONDS)  # type: ignore[union-attr]  # set: it asks no SAM
    return freezing.freeze(services, two.world.session)


OTHERS: dict[str, Any] = {
    "one of them": approve_last,
    "all of them backwards": approve_backwards,
    "freezing": freeze,
}


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


@pytest.mark.parametrize("is_batch_first", [True, False], ids=["batch first", "batch second"])
@pytest.mark.parametrize("other", OTHERS)
def test_a_batch_and_another_answer_do_not_cross(
    two: TwoHosts, other: str, *, is_batch_first: bool
) -> None:
    two.new_official()
    ids = ACTS["batch"](two).ids  # type: ignore[attr-defined]  # of a batch
    two.world.next_step()
    meetings = [threading.Barrier(2) for _ in two.saps]
    outcomes: list[object] = [None, None]

    def answer(lane: int, how: Any) -> None:
        try:
            outcomes[lane] = how(two, two.hosts[lane], ids)
        except RemoteSigningError as error:
            outcomes[lane] = type(error).__name__

    racers = []
    for lane, how in enumerate((approve_all, OTHERS[other])):
        two.saps[lane].meeting = meetings[lane]
        racers.append(threading.Thread(target=answer, args=(lane, how)))
        racers[-1].start()
        # Its evidence is judged, and it is about to write so.
        until(lambda: meetings[lane].n_waiting == 1)  # noqa: B023 - used before the loop goes on
    held = select(credential.c.id).where(credential.c.id == two.world.credential_id)
    watcher = two.world.database.apart()
    with two.world.database.transaction() as connection:
        connection.execute(held.with_for_update())
        for number, lane in enumerate((0, 1) if is_batch_first else (1, 0), 1):
            meetings[lane].wait(_SECONDS)
            until(lambda: watcher.one(_WAITING)[0] == number)  # type: ignore[index]  # noqa: B023 - as above
    for racer in racers:
        racer.join()
    for sap in two.saps:
        sap.meeting = None
    assert "Unavailable" not in outcomes, outcomes
    first = outcomes[0 if is_batch_first else 1]
    assert not isinstance(first, str), "whoever came first was not refused"
