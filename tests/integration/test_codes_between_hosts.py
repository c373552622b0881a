"""A one-time code counts once, whichever SAM host took it and whatever for, on both databases."""

from __future__ import annotations

import json
import threading
from itertools import combinations_with_replacement, product
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, select

from remote_signing.errors import (
    ActivationConflict,
    CredentialLocked,
    EvidenceInvalid,
    EvidenceReplayed,
    RemoteSigningError,
)
from remote_signing.rssp import audit, freezing, totp_steps
from remote_signing.rssp.enrolment import Enrolment
from remote_signing.rssp.housekeeping import Housekeeping
from remote_signing.rssp.models import pin_retirement, totp_step
from tests.support.two_hosts import ACTS, Act, Signature, TwoHosts, two_hosts
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.rssp.deps import Services
    from tests.conftest import Databases
    from tests.support.sqlite import SqliteFolder

PAIRS = list(combinations_with_replacement(ACTS, 2))
# Another PIN ends the order by which one would be chosen: that is not the code's doing.
ENDS_THE_ORDER = {("change", "choice"), ("choice", "choice")}
ORDERED = [pair for pair in product(ACTS, ACTS) if pair not in ENDS_THE_ORDER]
A_DAY = 24 * 60 * 2  # steps


@pytest.fixture(scope="module")
def two(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    with new_world(databases) as world:
        yield two_hosts(world, tmp_path_factory.mktemp("hosts"))


@pytest.fixture(scope="module")
def small(
    sqlite_folder: SqliteFolder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoHosts]:
    """For what is no matter of the database."""
    with new_world(sqlite_folder) as world:
        yield two_hosts(world, tmp_path_factory.mktemp("small"))


def ready(two: TwoHosts, first: str, then: str) -> tuple[Act, Act]:
    """Two acts of a new official, who has not been asked for a code yet."""
    two.new_official()
    one = ACTS[first](two)
    # An official has one order at a time.
    other = one if first == then == "choice" else ACTS[then](two)
    two.world.next_step()
    return one, other


def at_once(two: TwoHosts, acts: tuple[Act, Act]) -> list[str]:
    """Both by one code, each at a host of its own, after both hosts found it good."""
    outcomes, otp, meeting = ["done", "done"], two.world.otp(), threading.Barrier(2)

    def race(lane: int, services: Services) -> None:
        try:
            acts[lane].by(services, otp)
        except RemoteSigningError as error:
            outcomes[lane] = type(error).__name__

    for sap in two.saps:
        sap.meeting = meeting
    racers = [threading.Thread(target=race, args=lane) for lane in enumerate(two.hosts)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    for sap in two.saps:
        sap.meeting = None
    assert not meeting.broken, "both hosts took the code"
    return outcomes


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_of_two_uses_of_a_code_at_two_hosts_exactly_one_counts(
    two: TwoHosts, pair: tuple[str, str]
) -> None:
    acts = ready(two, *pair)
    before = two.codes()
    outcomes = at_once(two, acts)
    (lost,) = [each for each in outcomes if each != "done"]
    # Of two changes of one record the second may also find that it is not the one it knew.
    assert lost in {EvidenceReplayed.__name__, ActivationConflict.__name__}
    assert lost == EvidenceReplayed.__name__ or not {"signature", "batch"} & set(pair)
    assert len(two.codes()) == len(before) + 1
    if acts[0] is not acts[1]:
        assert [act.is_done() for act in acts] == [each == "done" for each in outcomes]


@pytest.mark.parametrize("pair", ORDERED, ids="-".join)
def test_a_code_that_was_used_at_one_host_is_refused_at_the_other(
    small: TwoHosts, pair: tuple[str, str]
) -> None:
    world = small.world
    first, then = ready(small, *pair)
    otp = world.otp()
    first.by(small.hosts[0], otp)
    if pair[0] in {"change", "choice"}:
        world.pin = first.new  # type: ignore[attr-defined] # of a change of PIN
    with pytest.raises(EvidenceReplayed) as refused:
        then.by(small.hosts[1], otp)
    assert refused.value.public["attempts_left"] == 4
    assert not then.is_done()
    told = audit.events(world.database, credential_id=world.credential_id)
    (event,) = [each for each in told if each.kind.endswith(".refused")]
    assert json.loads(event.detail) == {"reason": "EvidenceReplayed"}


def test_a_code_that_was_refused_with_a_change_leaves_the_pin_there_was(two: TwoHosts) -> None:
    signature, change = ready(two, "signature", "change")
    otp = two.world.otp()
    signature.by(two.hosts[0], otp)
    before = two.record()
    with pytest.raises(EvidenceReplayed):
        change.by(two.hosts[1], otp)
    assert (two.record().sealed, two.record().factors) == (before.sealed, before.factors)
    assert two.knows(two.world.pin)
    assert two.world.database.all(select(pin_retirement)) == []
    two.world.next_step()
    change.by(two.hosts[1], two.world.otp())
    assert change.is_done()


@pytest.mark.parametrize("was", ["enabled", "frozen"])
def test_who_is_locked_at_one_host_is_unlocked_by_way_of_the_other(two: TwoHosts, was: str) -> None:
    two.new_official()
    world, (here, there) = two.world, two.hosts
    refused = Signature(two)
    for guess in range(two.saps[1].sam.config.attempt_limit):
        with pytest.raises(EvidenceInvalid):
            refused.by(there, f"{guess:06}")
    with pytest.raises(CredentialLocked):
        refused.by(there, world.otp())
    if was == "frozen":
        freezing.freeze(here, world.session)
        freezing.unfreeze(here, world.authority, world.credential_id)
    else:
        Enrolment(here, world.authority).unlock(world.credential_id)
    approved = Signature(two)
    approved.by(there, world.otp())
    assert approved.is_done()


def test_what_is_approved_by_a_passkey_uses_no_code(small: TwoHosts) -> None:
    small.new_official()
    small.place.register()
    before = small.codes()
    assert small.place.approve(small.world.opened()).status_code == 200
    assert small.codes() == before


def test_codes_that_no_host_takes_any_more_are_removed(two: TwoHosts) -> None:
    world = two.world
    world.database.run(delete(totp_step))
    now = world.clock.now_ms() // 30_000
    kept = [now, now - 5, now - A_DAY]
    gone = [now - A_DAY - 1, now - A_DAY - 2, now - A_DAY - 15, now - 10 * A_DAY]
    rows = [{"step": step, "factor_id": each} for step in kept + gone for each in ("f", "g")]
    with world.database.transaction() as connection:
        connection.execute(insert(totp_step), rows)
    with world.counted() as statements:
        assert totp_steps.prune(world.services) == 2 * len(gone)
    assert len(statements) == 4, "some steps each, and once in vain"
    left = world.database.all(select(totp_step.c.step).distinct())
    assert sorted(row.step for row in left) == sorted(kept)
    world.clock.advance(86_400)
    Housekeeping(world.services)._round(prune=True)  # noqa: SLF001 - one round of it
    left = world.database.all(select(totp_step.c.step).distinct())
    assert [row.step for row in left] == [now]


def test_what_is_old_is_found_along_the_key(two: TwoHosts) -> None:
    with two.world.planned() as plans:
        totp_steps.prune(two.world.services)
    assert "SCAN totp_step" not in plans[0]
    assert "Seq Scan" not in plans[0]
