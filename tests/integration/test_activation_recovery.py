"""What was left behind is brought to an end, and nothing else is touched."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from remote_signing.errors import InvalidInput
from remote_signing.identifiers import new_id
from remote_signing.rssp import activation, activation_recovery, audit
from remote_signing.rssp.activation import Channel
from remote_signing.rssp.housekeeping import Housekeeping
from remote_signing.rssp.models import (
    access_token,
    audit_event,
    login_session,
    replay,
    signature_activation,
)
from tests.support.world import PORTAL, Killed

if TYPE_CHECKING:
    import pytest
    from sqlalchemy import Table

    from remote_signing.rssp.deps import Services
    from tests.support.world import Field, World

DAY = 86_400


def state_of(world: World, activation_id: str) -> str:
    query = select(signature_activation.c.state).where(signature_activation.c.id == activation_id)
    row = world.database.one(query)
    assert row is not None
    return str(row.state)


def count(world: World, table: Field) -> int:
    row = world.database.one(select(func.count().label("rows")).select_from(table))
    assert row is not None
    return int(row.rows)


def abandon(world: World) -> str:
    """A signature whose process died before its outcome; the activation's id."""
    token = world.token()
    world.kill_before_outcome()
    try:
        world.sign(token)
    except Killed:
        world.next_step()
        return token.row_id
    raise AssertionError


def test_a_signature_in_progress_is_left_alone(world: World) -> None:
    abandoned = abandon(world)
    world.clock.advance(29)
    assert activation.recover(world.services) == 0
    assert state_of(world, abandoned) == "SIGNING"


def test_a_signature_of_unknown_outcome_fails_with_its_reason(world: World) -> None:
    abandoned = [abandon(world), abandon(world)]
    world.clock.advance(60)
    assert activation.recover(world.services) == 2
    for activation_id in abandoned:
        assert state_of(world, activation_id) == "FAILED"
        last = list(audit.events(world.database, activation_id=activation_id))[-1]
        assert (last.kind, last.actor) == ("signing.unknown", "system")
        assert last.detail == '{"reason":"outcome unknown"}'
    assert activation.recover(world.services) == 0


def test_only_what_is_over_expires(world: World) -> None:
    overdue = world.opened(channel=Channel.DECOUPLED)
    world.clock.advance(200)
    waiting = world.opened(channel=Channel.DECOUPLED)
    signed = world.token()
    world.sign(signed)
    world.clock.advance(100)
    assert activation.expire(world.services) == 1
    assert state_of(world, overdue) == "EXPIRED"
    assert state_of(world, waiting) == "PENDING"
    assert state_of(world, signed.row_id) == "SIGNED"


def test_an_unused_consent_expires_and_forgets_its_sad(world: World) -> None:
    token = world.token()
    world.clock.advance(300)
    assert activation.expire(world.services) == 1
    row = world.database.one(
        select(signature_activation.c.state, signature_activation.c.sad).where(
            signature_activation.c.id == token.row_id
        )
    )
    assert tuple(row or ()) == ("EXPIRED", None)


def test_more_than_one_batch_expires(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        world.opened(channel=Channel.DECOUPLED)
    world.clock.advance(300)
    monkeypatch.setattr("remote_signing.rssp.activation_recovery._BATCH", 3)
    assert activation.expire(world.services) == 3


def test_two_processes_expire_at_once_without_a_quarrel(world: World) -> None:
    for _ in range(20):
        world.opened(channel=Channel.DECOUPLED)
    world.clock.advance(300)
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(activation.expire(world.services)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) + activation.expire(world.services) == 20


def test_old_rows_go_and_the_audit_table_stays(world: World) -> None:
    now = world.clock.now_ms()
    world.database.run(insert(replay), {"digest": b"x", "expires_at": now + 1000})
    token = {
        "id": new_id(now),
        "secret_hash": b"",
        "client_id": PORTAL,
        "scope": "service",
        "created_at": now,
        "expires_at": now + 1000,
    }
    world.database.run(insert(access_token), token)
    world.sign(world.token())
    records = count(world, audit_event)
    world.clock.advance(2)
    assert activation.prune(world.services) == 1, "the replay row is of no more use"
    world.clock.advance(2 * DAY)
    assert activation.prune(world.services) == 2, "access token and session are over for a day"
    assert count(world, login_session) == 0
    world.clock.advance(29 * DAY)
    assert activation.prune(world.services) == 1, "the activation is older than the retention"
    assert count(world, audit_event) == records


def test_an_open_activation_is_not_pruned_before_it_is_ended(world: World) -> None:
    world.opened(channel=Channel.DECOUPLED)
    world.clock.advance(31 * DAY)
    activation.prune(world.services)
    assert count(world, signature_activation) == 1
    activation.expire(world.services)
    activation.prune(world.services)
    assert count(world, signature_activation) == 0


def test_housekeeping_looks_at_open_activations_only(world: World) -> None:
    with world.planned() as plans:
        activation.recover(world.services)
        activation.expire(world.services)
    assert ["ix_signature_activation_open" in plan for plan in plans] == [True, True]


def test_pruning_reads_along_an_index_what_is_oldest(world: World) -> None:
    with world.planned() as plans:
        activation.prune(world.services)
    assert len(plans) == 10
    whole = "Seq Scan" if world.database.dialect == "postgresql" else "SCAN "
    assert [plan for plan in plans if whole in plan or "Sort" in plan or "TEMP B" in plan] == []
    over = [plan for plan in plans if "sim_transaction" in plan]
    assert ["ix_sim_transaction_over" in plan for plan in over] == [True]


def test_more_than_one_batch_is_pruned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = world.clock.now_ms()
    for digest in (b"1", b"2", b"3", b"4", b"5"):
        world.database.run(insert(replay), {"digest": digest, "expires_at": now + 1000})
    world.clock.advance(2)
    monkeypatch.setattr("remote_signing.rssp.activation_recovery._BATCH", 2)
    with world.counted() as statements:
        assert activation.prune(world.services) == 5
    assert sum("DELETE FROM replay" in statement for statement in statements) == 3


def test_housekeeping_begins_at_once_and_survives_a_fault(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    rounds = threading.Semaphore(0)
    real = activation.recover
    faults: list[Exception] = [RuntimeError("no database")]

    def recover(services: Field) -> int:
        rounds.release()
        if faults:
            raise faults.pop()
        return real(services)

    monkeypatch.setattr(activation, "recover", recover)
    abandoned = abandon(world)
    world.clock.advance(60)
    keeper = Housekeeping(world.services, period=0.01)
    keeper.start()
    for _ in range(4):
        assert rounds.acquire(timeout=10)
    keeper.stop()
    assert state_of(world, abandoned) == "FAILED"
    told = [record.message for record in caplog.records]
    assert (told.count("housekeeping has failed"), told.count("housekeeping")) == (1, 1)


def test_what_fails_in_housekeeping_keeps_nothing_else_from_being_done(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = world.clock.now_ms()
    world.database.run(insert(replay), {"digest": b"x", "expires_at": now + 1000})
    world.sign(world.token())
    world.clock.advance(31 * DAY)

    def broken(services: Services, table: Table, *rest: Any) -> int:
        if table is replay:
            raise InvalidInput("a table that always fails")
        return real(services, table, *rest)

    real = activation_recovery._delete_all  # noqa: SLF001 - so that one table alone fails
    keeper = Housekeeping(world.services)
    with monkeypatch.context() as patched:
        patched.setattr(activation_recovery, "_delete_all", broken)
        patched.setattr(activation, "expire", broken)
        keeper._round(prune=True)  # noqa: SLF001 - one round of it
        assert count(world, signature_activation) == 0
        assert "alarm: " not in caplog.text
        keeper._round(prune=True)  # noqa: SLF001 - another
    again = [each for each in caplog.records if each.message.startswith("alarm: ")]
    assert [each.__dict__["work"] for each in again] == ["expired", "pruned"]
    assert "a table that always fails" in caplog.text
    assert count(world, replay) == 1
    keeper._round(prune=True)  # noqa: SLF001 - and one without a fault
    assert count(world, replay) == 0
