"""Several requests approved by one evidence, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from remote_signing.errors import HsmUnavailable
from remote_signing.rssp import activation, audit, consent, consent_requests
from remote_signing.rssp.activation import Channel
from remote_signing.rssp.edge import middleware
from tests.support.asgi import call
from tests.support.sim_question import Withdrawals, waiting_question
from tests.support.world import PORTAL

if TYPE_CHECKING:
    import httpx

    from tests.support.world import World


def ask(world: World, method: str, body: dict[str, Any] | None = None) -> httpx.Response:
    app = FastAPI()
    app.state.services = world.services
    for router in (consent_requests.router, consent.router):
        app.include_router(router)
    middleware.install(app)
    headers = {"Authorization": f"Bearer {world.session}"}
    return call(app, method, "/consent/v1/batch", headers=headers, json=body)


def asked(world: World, document: str, *, look: bool = True) -> activation.Requested:
    new = world.request(document, channel=Channel.DECOUPLED, redirect_uri=None)
    found = activation.request_activation(world.services, new)
    if look:
        world.match(found.activation_id)
    return found


def approve(world: World, *ids: str, **changes: str) -> httpx.Response:
    body = {"ids": list(ids), "pin": world.pin, "otp": world.otp()}
    return ask(world, "POST", body | changes)


def state(world: World, name: str) -> str:
    return activation.details(world.services, name, world.subscriber_id).state.value


def test_one_code_approves_three_and_each_portal_gets_its_own_sad(world: World) -> None:
    waiting = [asked(world, document) for document in "abc"]
    ids = [item.activation_id for item in waiting]
    shown = ask(world, "GET").json()["requests"]
    assert {item["id"] for item in shown} == set(ids)
    assert all(len(item["documents"][0]["digest"]) == 64 for item in shown)
    answer = approve(world, *ids)
    assert answer.json() == {"results": [{"id": each, "is_approved": True} for each in ids]}
    token = world.service_token()
    for item, document in zip(waiting, "abc", strict=True):
        issued = activation.check_handle(world.services, item.ticket, PORTAL)
        assert isinstance(issued, activation.SadIssued)
        other = "a" if document != "a" else "b"
        with pytest.raises(Exception, match="authorised"):
            world.sign(issued.ticket, other, service_token=token)
        assert world.sign(issued.ticket, document, service_token=token)
    receipt = activation.receipt(world.services, ids[1], world.subscriber_id)
    assert receipt.factor == "pin_totp"


def test_a_batch_costs_one_attempt_and_one_statement_for_each(world: World) -> None:
    ids = [asked(world, document).activation_id for document in "abc"]
    wrong = approve(world, *ids, pin="000000")
    assert (wrong.status_code, wrong.json()["attempts_left"]) == (403, 4)
    assert {state(world, each) for each in ids} == {"PENDING"}
    world.next_step()
    with world.counted() as statements:
        assert approve(world, *ids).status_code == 200
    assert len([line for line in statements if line.startswith(("UPDATE", "WITH"))]) == 4


def test_a_sim_that_was_asked_about_one_of_a_batch_is_not_asked_any_more(world: World) -> None:
    ids = [asked(world, document).activation_id for document in "ab"]
    question, adapter = waiting_question(world, ids[1]), Withdrawals(world)
    assert approve(world, *ids).status_code == 200
    assert adapter.names == [question.id]


def test_a_code_that_approved_a_batch_approves_nothing_else(world: World) -> None:
    ids = [asked(world, document).activation_id for document in "abc"]
    code = world.otp()
    assert approve(world, *ids[:2]).status_code == 200
    rest = asked(world, "d").activation_id
    again = approve(world, ids[2], rest, otp=code)
    assert again.json()["code"] == "evidence_invalid"
    assert state(world, rest) == "PENDING"


def test_one_that_cannot_be_answered_stops_the_try_and_costs_nothing(world: World) -> None:
    good = [asked(world, document).activation_id for document in "ab"]
    unseen = asked(world, "c", look=False).activation_id
    refused = asked(world, "d").activation_id
    activation.deny(world.services, world.session, refused)
    own_browser = world.opened("e")
    for other, code in (
        (unseen, "code_unmatched"),
        (refused, "request_denied"),
        (own_browser, "conflict"),
        ("0" * 26, "request_unknown"),
    ):
        assert approve(world, *good, other).json()["code"] == code
    assert world.sam.calls["activate_all"] == 0
    assert {state(world, each) for each in good} == {"PENDING"}
    assert approve(world, *good).status_code == 200


def test_one_that_is_answered_meanwhile_is_told_and_the_others_stand(world: World) -> None:
    ids = [asked(world, document).activation_id for document in "abc"]

    def refuse_the_first() -> None:
        activation.deny(world.services, world.session, ids[0])

    world.sam.before_answer["activate_all"] = refuse_the_first
    results = approve(world, *ids).json()["results"]
    assert [item["is_approved"] for item in results] == [False, True, True]
    assert [state(world, each) for each in ids] == ["DENIED", "AUTHORIZED", "AUTHORIZED"]
    # The code is used up all the same.
    world.sam.before_answer.clear()
    rest = [asked(world, document).activation_id for document in "de"]
    assert approve(world, *rest).json()["code"] == "evidence_invalid"


def test_a_failing_hsm_uses_nothing_up(world: World) -> None:
    ids = [asked(world, document).activation_id for document in "ab"]
    world.sam.faults["activate_all"] = [HsmUnavailable("no node")]
    assert approve(world, *ids).status_code == 503
    assert approve(world, *ids).status_code == 200


def test_a_double_tap_is_one_outcome(world: World) -> None:
    ids = [asked(world, document).activation_id for document in "ab"]
    assert [approve(world, *ids).status_code for _ in range(2)] == [200, 409]


def test_what_is_no_batch_is_refused(world: World) -> None:
    one, other = (asked(world, document).activation_id for document in "ab")
    many = [f"{number:026d}" for number in range(21)]
    for ids in ([], [one], [one, one], many):
        assert approve(world, *ids).json().get("parameter") == "ids"
    body = {"ids": one, "pin": world.pin, "otp": world.otp()}
    assert ask(world, "POST", body).status_code == 400
    assert ask(world, "POST", {"ids": [one, other], "pin": "1"}).status_code == 400
    pin, otp = world.pin, world.otp()
    world.new_credential()
    foreign = asked(world, "c").activation_id
    assert approve(world, one, foreign, pin=pin, otp=otp).json()["parameter"] == "ids"
    assert world.sam.calls["activate_all"] == 0


def test_somebody_elses_requests_are_in_no_batch(world: World) -> None:
    ids = [asked(world, document).activation_id for document in "ab"]
    world.new_signer("binh.tran")
    assert ask(world, "GET").json()["requests"] == []
    assert approve(world, *ids).json()["code"] == "request_unknown"


def test_a_batch_is_on_record_in_each_of_its_requests(world: World) -> None:
    ids = [asked(world, document).activation_id for document in "ab"]
    approve(world, *ids)
    details = [
        next(
            event.detail
            for event in audit.events(world.database, activation_id=each)
            if event.kind == "consent.given"
        )
        for each in ids
    ]
    assert all('"batch":"' in detail for detail in details)
