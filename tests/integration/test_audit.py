"""The audit table: a line for every change, in the same statement, in one canonical spelling."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from remote_signing.errors import ActivationConflict
from remote_signing.identifiers import new_id
from remote_signing.rssp import activation, audit
from remote_signing.rssp.activation import Channel
from remote_signing.rssp.models import signature_activation

if TYPE_CHECKING:
    from tests.support.world import Field, World

TABLE = signature_activation.c


def change(world: World, activation_id: str, **values: Field) -> None:
    world.database.run(update(signature_activation).where(TABLE.id == activation_id).values(values))


def test_the_whole_way_of_a_signature_is_on_record(world: World) -> None:
    token = world.token()
    world.sign(token)
    events = list(audit.events(world.database, activation_id=token.row_id))
    assert [(event.kind, event.actor, event.state) for event in events] == [
        ("activation.requested", "client", "PENDING"),
        ("request.opened", "client", "PENDING"),
        ("consent.tried", "signer", "PENDING"),
        ("consent.given", "signer", "AUTHORIZED"),
        ("code.redeemed", "client", "AUTHORIZED"),
        ("signing.started", "client", "SIGNING"),
        ("signing.done", "client", "SIGNED"),
    ]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert {event.subscriber_id for event in events} == {world.subscriber_id}
    assert {event.credential_id for event in events} == {world.credential_id}


def test_registration_and_enrolment_are_on_record(world: World) -> None:
    kinds = [event.kind for event in audit.events(world.database)]
    assert kinds == [
        "agency.registered",
        "client.registered",
        "subscriber.registered",
        "credential.ordered",
        "credential.created",
        "credential.ordered",
        "credential.certified",
    ]


def test_no_secret_is_on_record(world: World) -> None:
    code = world.code()
    token = world.redeem(code).ticket
    world.sign(token)
    text = "".join(audit.leaf(event).decode() for event in audit.events(world.database))
    for secret in (code.secret, token.secret, world.pin, world.totp_secret, world.session.secret):
        assert secret not in text


def test_a_change_without_its_event_is_refused(world: World) -> None:
    waiting = world.opened()
    with pytest.raises(DBAPIError, match="without an event"):
        change(world, waiting, state="DENIED")


@pytest.mark.parametrize(
    ("state", "allowed"),
    [("DENIED", True), ("EXPIRED", True), ("SIGNED", False), ("SIGNING", False), ("FAILED", False)],
)
def test_the_database_knows_the_state_machine(world: World, state: str, allowed: object) -> None:
    waiting = world.opened()
    values = {"state": state, "event_seq": TABLE.event_seq + 1}
    if allowed:
        change(world, waiting, **values)
        return
    with pytest.raises(ActivationConflict):
        change(world, waiting, **values)


def test_no_state_moves_backwards(world: World) -> None:
    token = world.token()
    world.sign(token)
    for state in ("PENDING", "AUTHORIZED", "SIGNING", "FAILED", "REVOKED"):
        with pytest.raises(ActivationConflict):
            change(world, token.row_id, state=state, event_seq=TABLE.event_seq + 1)


def test_an_open_activation_cannot_be_removed(world: World) -> None:
    waiting = world.opened()
    with pytest.raises(ActivationConflict):
        world.database.run(signature_activation.delete().where(TABLE.id == waiting))


def test_a_leaf_is_canonical_and_its_hash_is_rfc_6962s(world: World) -> None:
    row = next(audit.events(world.database))
    leaf = audit.leaf(row)
    members = json.loads(leaf)
    spelled = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert leaf == spelled.encode()
    assert members["number"] == row.number
    assert audit.leaf_hash(row) == hashlib.sha256(b"\0" + leaf).digest()


def test_every_member_of_a_row_is_in_its_leaf(world: World) -> None:
    row = next(audit.events(world.database))
    assert set(json.loads(audit.leaf(row))) == set(row._mapping)  # noqa: SLF001 - Row's own name for it


def test_events_are_read_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [event.number for event in audit.events(world.database)]
    monkeypatch.setattr(audit, "_PAGE", 2)
    assert [event.number for event in audit.events(world.database)] == numbers
    assert [event.number for event in audit.events(world.database, after=numbers[1])] == numbers[2:]


def test_events_are_found_by_signer_credential_and_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (world.subscriber_id, world.credential_id)
    world.new_signer("binh.tran")
    world.new_credential()
    begun = world.clock.now_ms()
    waiting = world.opened()
    world.clock.advance(1)
    activation.deny(world.services, world.session, waiting)
    monkeypatch.setattr(audit, "_PAGE", 1)

    def found(**conditions: Field) -> list[str]:
        return [event.kind for event in audit.events(world.database, **conditions)]

    enrolled = found(subscriber_id=first[0])
    assert enrolled[0] == "subscriber.registered"
    assert enrolled[-1] == "credential.certified"
    asked = ["activation.requested", "request.opened"]
    assert found(subscriber_id=world.subscriber_id) == [*enrolled, *asked, "consent.denied"]
    assert found(credential_id=first[1]) == enrolled[1:]
    assert found(credential_id=world.credential_id, since_ms=begun) == [
        *enrolled[1:],
        *asked,
        "consent.denied",
    ]
    assert found(subscriber_id=world.subscriber_id, since_ms=begun + 1) == ["consent.denied"]
    assert found(credential_id=world.credential_id, until_ms=begun + 1000)[-2:] == asked
    assert found(until_ms=begun)[0] == "agency.registered"
    last = next(audit.events(world.database, since_ms=begun + 1000))
    assert found(since_ms=begun, after=last.number - 1) == ["consent.denied"]


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("activation_id", "ix_audit_event_activation_id"),
        ("subscriber_id", "ix_audit_event_subscriber_id"),
        ("credential_id", "ix_audit_event_subscriber_id"),
        ("since_ms", "ix_audit_event_at"),
        ("until_ms", "ix_audit_event_at"),
    ],
)
def test_each_condition_reads_along_an_index(world: World, condition: str, index: str) -> None:
    value = world.clock.now_ms() if condition.endswith("_ms") else new_id(0)
    with world.planned() as plans:
        list(audit.events(world.database, **{condition: value}))  # type: ignore[arg-type] # by name
    assert plans
    # On PostgreSQL each week has an index of its own, named by its table and columns.
    if world.database.dialect == "postgresql":
        index = f"{index.removeprefix('ix_audit_event_')}_number_idx"
    assert [plan for plan in plans if index not in plan or "Seq Scan" in plan] == []


def test_a_failed_step_leaves_no_event(world: World) -> None:
    waiting = world.opened(channel=Channel.DECOUPLED)
    before = len(list(audit.events(world.database)))
    world.clock.advance(300)
    with pytest.raises(Exception, match="too late"):
        activation.deny(world.services, world.session, waiting)
    assert len(list(audit.events(world.database))) == before
