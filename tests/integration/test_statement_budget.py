"""The number of SQL statements of each step: statements are what a request costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation
from remote_signing.rssp.activation import Channel
from tests.support.csc import CscPortal
from tests.support.world import PORTAL, REDIRECT, VERIFIER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.world import World


def cost(world: World, step: Callable[[], object]) -> int:
    with world.counted() as statements:
        step()
    return len(statements)


def test_each_step_of_a_signature_keeps_its_budget(world: World) -> None:
    services = world.services
    services.clients.get(PORTAL)  # authentication has it in the cache
    requests: list[activation.Requested] = []
    new = world.request("a", "b")
    pushed = cost(world, lambda: requests.append(activation.request_activation(services, new)))
    ticket = requests[0].ticket
    opened = cost(world, lambda: activation.open_request(services, PORTAL, ticket))
    shown = cost(world, lambda: activation.details(services, ticket.row_id, world.subscriber_id))
    answers: list[activation.Approved] = []
    given = (world.session, ticket.row_id, world.pin, world.otp())
    approved = cost(world, lambda: answers.append(activation.approve(services, *given)))
    code = Ticket.parse((answers[0].redirect_to or "").partition("code=")[2].partition("&")[0])
    assert code is not None
    tokens: list[activation.CredentialToken] = []
    redeemed = cost(
        world,
        lambda: tokens.append(
            activation.redeem_code(
                services,
                code,
                client_id=PORTAL,
                redirect_uri=REDIRECT,
                code_verifier=VERIFIER,
            )
        ),
    )
    signed = cost(world, lambda: world.sign(tokens[0].ticket, "a", "b"))
    budget = {"PAR": 1, "authorize": 1, "details": 1, "approve": 2, "token": 1, "signHash": 2}
    measured = (pushed, opened, shown, approved, redeemed, signed)
    assert dict(zip(budget, measured, strict=True)) == budget


def test_a_poll_costs_one_statement_and_the_delivery_two(world: World) -> None:
    new = world.request(channel=Channel.DECOUPLED)
    handle = activation.request_activation(world.services, new).ticket

    def poll() -> object:
        return activation.check_handle(world.services, handle, PORTAL)

    assert cost(world, poll) == 1
    world.approve(handle.row_id)
    assert cost(world, poll) == 2


def test_a_refusal_a_list_and_a_revocation_cost_one_statement_each(world: World) -> None:
    services = world.services
    waiting = world.opened()
    assert cost(world, lambda: activation.pending(services, world.subscriber_id)) == 1
    assert cost(world, lambda: activation.deny(services, world.session, waiting)) == 1
    token = world.token()
    assert cost(world, lambda: activation.revoke(services, token, PORTAL)) == 1


def test_sign_hash_costs_two_statements_in_both_versions(world: World) -> None:
    portal = CscPortal.at(world)
    for version in ("v1", "v2"):
        there = portal.at_version(version)
        body = portal.sign_body(SAD=portal.sad())
        if version == "v1":
            body["hash"] = body.pop("hashes")
        token = portal.user_token()
        with world.counted() as statements:
            answer = there.post("signatures/signHash", body, token)
        assert (answer.status_code, len(statements)) == (200, 2)


def test_a_cached_client_costs_nothing_for_five_seconds(world: World) -> None:
    clients = world.services.clients
    assert cost(world, lambda: clients.get(PORTAL)) == 1
    world.clock.advance(4.9)
    assert cost(world, lambda: clients.get(PORTAL)) == 0
    world.clock.advance(0.1)
    assert cost(world, lambda: clients.get(PORTAL)) == 1


def test_each_step_of_a_signature_reads_rows_of_one_signer_along_an_index(world: World) -> None:
    with world.planned() as plans:
        token = world.token("a")
        world.sign(token, "a")
        activation.pending(world.services, world.subscriber_id)
        activation.history(world.services, world.subscriber_id)
    whole = "Seq Scan" if world.database.dialect == "postgresql" else "SCAN "
    assert len(plans) > 6
    assert [plan for plan in plans if whole in plan] == []
    # What is past lies in other tables, which no step opens.
    assert [plan for plan in plans if "audit_event" in plan] == []
