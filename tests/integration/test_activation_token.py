"""The client collects token or SAD: bound, once, and gone when it is used twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from remote_signing.errors import (
    AccessRefused,
    ActivationDenied,
    ActivationExpired,
    ActivationUnknown,
    ReplayDetected,
    SadExpired,
    SadInvalid,
)
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import activation
from remote_signing.rssp.activation import Channel, Pending, SadIssued
from remote_signing.rssp.models import signature_activation
from tests.support.world import PORTAL

if TYPE_CHECKING:
    from tests.support.world import Field, World


def state_of(world: World, activation_id: str) -> str:
    query = select(signature_activation.c.state).where(signature_activation.c.id == activation_id)
    row = world.database.one(query)
    assert row is not None
    return str(row.state)


def decoupled(world: World) -> Ticket:
    new = world.request(channel=Channel.DECOUPLED, redirect_uri=None, code_challenge=None)
    return activation.request_activation(world.services, new).ticket


def check(world: World, handle: Ticket, **changes: Field) -> Pending | SadIssued:
    given = {"client_id": PORTAL} | changes
    return activation.check_handle(world.services, handle, **given)


def test_a_code_becomes_a_token_with_what_was_authorised(world: World) -> None:
    token = world.redeem(world.code())
    assert token.expires_in == 300
    assert token.credential_id == world.credential_id
    assert token.subscriber_id == world.subscriber_id
    assert token.authorization_details == [{"type": "credential"}]


def test_a_second_use_of_a_code_revokes_the_token_of_the_first(world: World) -> None:
    code = world.code()
    token = world.redeem(code)
    with pytest.raises(ReplayDetected):
        world.redeem(code)
    assert state_of(world, code.row_id) == "REVOKED"
    with pytest.raises(SadExpired):
        world.sign(token.ticket)


def test_a_second_use_after_signing_cannot_call_the_signature_back(world: World) -> None:
    code = world.code()
    token = world.redeem(code)
    world.sign(token.ticket)
    with pytest.raises(ReplayDetected):
        world.redeem(code)
    assert state_of(world, code.row_id) == "SIGNED"
    with pytest.raises(SadExpired):
        world.sign(token.ticket)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_id": "stranger"}, "client"),
        ({"redirect_uri": "https://evil.example/"}, "redirect_uri"),
        ({"code_verifier": "b" * 43}, "code_verifier"),
    ],
)
def test_a_code_is_for_its_client_its_redirect_and_its_verifier(
    world: World, changes: dict[str, Field], reason: str
) -> None:
    code = world.code()
    with pytest.raises(AccessRefused) as refusal:
        world.redeem(code, **changes)
    assert refusal.value.public == {"reason": reason}
    assert world.redeem(code).expires_in, "a stranger's try must not use the code up"


def test_a_code_bound_to_a_key_at_the_request_needs_that_key(world: World) -> None:
    code = world.code(dpop_jkt="key-1")
    for jkt in (None, "key-2"):
        with pytest.raises(AccessRefused) as refusal:
            world.redeem(code, jkt=jkt)
        assert refusal.value.public == {"reason": "dpop"}
    assert world.redeem(code, jkt="key-1").expires_in


def test_an_unknown_code_is_unknown(world: World) -> None:
    code = world.code()
    with pytest.raises(ActivationUnknown):
        world.redeem(Ticket.issue(code.row_id))


def test_a_code_lives_for_a_minute(world: World) -> None:
    code = world.code()
    world.clock.advance(60)
    with pytest.raises(ActivationExpired):
        world.redeem(code)


def collected(world: World, handle: Ticket) -> Ticket:
    issued = check(world, handle)
    assert isinstance(issued, SadIssued)
    return issued.ticket


def test_a_handle_waits_then_gives_the_sad_until_it_is_used(world: World) -> None:
    handle = decoupled(world)
    pending = check(world, handle)
    assert isinstance(pending, Pending)
    world.approve(handle.row_id)
    issued = check(world, handle)
    assert isinstance(issued, SadIssued)
    assert issued.expires_in == 300
    world.sign(issued.ticket, service_token=world.service_token())
    with pytest.raises(ActivationUnknown):
        check(world, handle)


def test_an_answer_lost_on_the_way_costs_no_second_consent(world: World) -> None:
    handle = decoupled(world)
    world.approve(handle.row_id)
    lost, found = collected(world, handle), collected(world, handle)
    token = world.service_token()
    with pytest.raises(SadInvalid):
        world.sign(lost, service_token=token)
    assert world.sign(found, service_token=token)


def test_a_sad_that_was_used_is_not_replaced_while_hashes_remain(world: World) -> None:
    new = world.request("a", "b", channel=Channel.DECOUPLED)
    handle = activation.request_activation(world.services, new).ticket
    world.approve(handle.row_id)
    ticket, token = collected(world, handle), world.service_token()
    world.sign(ticket, "a", service_token=token)
    with pytest.raises(ActivationUnknown):
        check(world, handle)
    assert world.sign(ticket, "b", service_token=token)


def test_a_handle_that_is_spent_while_it_is_asked_gives_nothing(world: World) -> None:
    handle = decoupled(world)
    world.approve(handle.row_id)
    ticket, token = collected(world, handle), world.service_token()
    database = world.database
    real, asked = database.one, []

    def other_first(statement: Field, parameters: Field = None) -> Field:
        asked.append(statement)
        if len(asked) == 2:
            database.one = real  # type: ignore[method-assign] # the race is over
            assert world.sign(ticket, service_token=token)
        return real(statement, parameters)

    database.one = other_first  # type: ignore[method-assign] # lets another in between
    with pytest.raises(ActivationUnknown):
        check(world, handle)


def test_a_handle_of_another_client_or_signer_is_unknown(world: World) -> None:
    handle = decoupled(world)
    with pytest.raises(ActivationUnknown):
        check(world, handle, client_id="stranger")
    with pytest.raises(ActivationUnknown):
        check(world, handle, subscriber_id=new_id(0))
    assert isinstance(check(world, handle, subscriber_id=world.subscriber_id), Pending)


def test_a_handle_tells_of_refusal_and_of_the_end(world: World) -> None:
    refused, overdue = decoupled(world), decoupled(world)
    activation.deny(world.services, world.session, refused.row_id)
    with pytest.raises(ActivationDenied):
        check(world, refused)
    world.clock.advance(300)
    with pytest.raises(ActivationExpired):
        check(world, overdue)
    activation.expire(world.services)
    with pytest.raises(ActivationExpired):
        check(world, overdue)


def test_a_revoked_token_signs_nothing(world: World) -> None:
    token = world.token()
    assert activation.revoke(world.services, token, PORTAL)
    assert state_of(world, token.row_id) == "REVOKED"
    with pytest.raises(SadExpired):
        world.sign(token)
    assert not activation.revoke(world.services, token, PORTAL)


def test_a_revoked_handle_or_code_gives_nothing(world: World) -> None:
    handle = decoupled(world)
    assert activation.revoke(world.services, handle, PORTAL)
    with pytest.raises(ActivationUnknown):
        check(world, handle)
    code = world.code()
    assert activation.revoke(world.services, code, PORTAL)
    with pytest.raises(ActivationUnknown):
        world.redeem(code)


def test_nobody_revokes_somebody_elses_token(world: World) -> None:
    token = world.token()
    assert not activation.revoke(world.services, token, "stranger")
    assert world.sign(token)


def test_a_code_of_a_revoked_activation_says_so(world: World) -> None:
    # A SAD delivered for the same activation cannot be; the state alone is what is looked at.
    code = world.code()
    refusal = refusal_when_revoked(world, code)
    assert refusal.public == {"reason": "revoked"}


def refusal_when_revoked(world: World, code: Ticket) -> AccessRefused:
    statement = signature_activation.update().where(signature_activation.c.id == code.row_id)
    world.database.run(
        statement.values(
            state="REVOKED",
            event_seq=signature_activation.c.event_seq + 1,
            event_kind="test",
        )
    )
    with pytest.raises(AccessRefused) as refusal:
        world.redeem(code)
    return refusal.value
