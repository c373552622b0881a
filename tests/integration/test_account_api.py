"""The signer's own account on both databases: history, receipts, sessions, the lost phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from remote_signing.errors import (
    CredentialDisabled,
    CredentialUnknown,
    InvalidInput,
    OrderInvalid,
    Refusal,
)
from remote_signing.rssp import (
    activation,
    audit,
    consent,
    consent_account,
    consent_requests,
    freezing,
)
from remote_signing.rssp import enrolment as enrolments
from remote_signing.rssp.activation import Channel, Denial
from remote_signing.rssp.edge import middleware
from remote_signing.rssp.models import audit_event, credential
from remote_signing.rssp.request_details import RequestDetails
from tests.support.asgi import call
from tests.support.world import PORTAL

if TYPE_CHECKING:
    import httpx

    from remote_signing.identifiers import Ticket
    from tests.support.world import World


def ask(
    world: World,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    session: Ticket | None = None,
) -> httpx.Response:
    app = FastAPI()
    app.state.services = world.services
    for router in (consent_requests.router, consent_account.router, consent.router):
        app.include_router(router)
    middleware.install(app)
    headers = {"Authorization": f"Bearer {session or world.session}"}
    return call(app, method, f"/consent/v1{path}", headers=headers, json=body)


def decoupled(world: World, document: str = "a", **details: Any) -> activation.Requested:
    new = world.request(
        document, channel=Channel.DECOUPLED, redirect_uri=None, details=RequestDetails(**details)
    )
    return activation.request_activation(world.services, new)


def signed(world: World, document: str = "a", **details: Any) -> str:
    """A decoupled request that was signed; its id."""
    asked = decoupled(world, document, **details)
    world.next_step()
    world.approve(asked.activation_id)
    issued = activation.check_handle(world.services, asked.ticket, PORTAL)
    assert isinstance(issued, activation.SadIssued)
    bearer = world.service_token()
    world.sign(issued.ticket, document, service_token=bearer)
    return asked.activation_id


# -------------------------------------------------------------------------------------- history


def test_a_receipt_says_what_when_by_which_factor_for_which_portal(world: World) -> None:
    name = signed(world, "quyết định.pdf", number="12", symbol="QĐ-BNV")
    (line,) = ask(world, "GET", "/history").json()["requests"]
    assert (line["id"], line["state"]) == (name, "SIGNED")
    assert line["details"]["reference"] == "12/QĐ-BNV"
    receipt = ask(world, "GET", f"/history/{name}").json()
    assert receipt["client_name"] == "Cổng dịch vụ công"
    assert receipt["factor"] == "pin_totp"
    assert receipt["documents"][0]["label"] == "quyết định.pdf"
    kinds = [record["kind"] for record in receipt["records"]]
    assert kinds == [
        "activation.requested",
        "consent.code_matched",
        "consent.given",
        "signing.done",
    ]


def test_a_receipts_numbers_and_leaves_are_those_of_the_audit_table(world: World) -> None:
    name = signed(world)
    for record in ask(world, "GET", f"/history/{name}").json()["records"]:
        row = world.database.one(
            select(audit_event).where(audit_event.c.number == record["number"])
        )
        assert row is not None
        assert (row.kind, row.activation_id) == (record["kind"], name)
        assert audit.leaf_hash(row).hex() == record["leaf_sha256"]


def test_history_is_paged_searched_and_narrowed(world: World) -> None:
    names: list[str] = []
    for number in ("11", "12", "13"):
        world.clock.advance(1)
        asked = decoupled(world, number=number, symbol="QĐ")
        activation.deny(
            world.services, world.session, asked.activation_id, Denial("returned", "form")
        )
        names.insert(0, asked.activation_id)
    first = ask(world, "GET", "/history?limit=2").json()
    rest = ask(world, "GET", f"/history?limit=2&after={first['after']}").json()
    seen = [line["id"] for line in (*first["requests"], *rest["requests"])]
    assert (seen, rest["after"]) == (names, None)
    for query, count in (("q=12/qd", 1), ("q=%25", 0), (f"portal={PORTAL}", 3), ("portal=x", 0)):
        assert len(ask(world, "GET", f"/history?{query}").json()["requests"]) == count
    assert first["requests"][0]["denial"]["reason"] == "form"
    assert ask(world, "GET", "/history?after=x").status_code == 400
    assert ask(world, "GET", "/history?urgency=urgent").status_code == 400


def test_what_waits_is_not_history_and_what_ran_out_is(world: World) -> None:
    name = decoupled(world).activation_id
    assert ask(world, "GET", "/history").json()["requests"] == []
    assert ask(world, "GET", f"/history/{name}").json()["code"] == "request_unknown"
    world.clock.advance(43_201)
    world.session = world.new_session()
    (line,) = ask(world, "GET", "/history").json()["requests"]
    assert line["state"] == "EXPIRED"
    assert ask(world, "GET", f"/history/{name}").json()["factor"] is None


def test_nobody_reads_somebody_elses_history(world: World) -> None:
    name = signed(world)
    world.new_signer("binh.tran")
    assert ask(world, "GET", "/history").json()["requests"] == []
    assert ask(world, "GET", f"/history/{name}").json()["code"] == "request_unknown"


# ------------------------------------------------------------------------------------- sessions


def test_sessions_are_listed_and_all_ended_at_once(world: World) -> None:
    other = world.new_session()
    shown = ask(world, "GET", "/sessions").json()
    assert [item["is_this"] for item in shown["sessions"]].count(True) == 1
    before = len(shown["sessions"])
    assert before >= 2
    assert "secret" not in str(shown)
    assert ask(world, "DELETE", "/sessions").json() == {"ended": before}
    for session in (world.session, other):
        assert ask(world, "GET", "/requests", session=session).json()["code"] == "session_invalid"
    kinds = [event.kind for event in audit.events(world.database)]
    assert kinds.count("session.ended") == before


def test_somebody_elses_sessions_stay(world: World) -> None:
    theirs = world.session
    world.new_signer("binh.tran")
    ask(world, "DELETE", "/sessions")
    assert ask(world, "GET", "/requests", session=theirs).status_code == 200


# ------------------------------------------------------------------------------ the lost phone


def state_of(world: World, credential_id: str) -> str:
    row = world.database.one(select(credential.c.state).where(credential.c.id == credential_id))
    assert row is not None
    return str(row.state)


def test_one_step_freezes_every_key_and_ends_what_was_under_way(world: World) -> None:
    first = world.credential_id
    waiting = decoupled(world).activation_id
    approved = world.opened()
    world.next_step()
    world.approve(approved)
    world.new_credential()
    elsewhere = world.new_session()
    assert ask(world, "POST", "/freeze").json() == {"frozen": 2}
    assert {state_of(world, each) for each in (first, world.credential_id)} == {"frozen"}
    for name in (waiting, approved):
        found = activation.details(world.services, name, world.subscriber_id)
        assert found.state is activation.State.REVOKED
    assert ask(world, "GET", "/sessions", session=elsewhere).status_code == 401
    assert ask(world, "GET", "/sessions").json()["frozen"] == 2
    assert ask(world, "POST", "/freeze").json() == {"frozen": 2}
    kinds = [event.kind for event in audit.events(world.database)]
    assert (kinds.count("credential.frozen"), kinds.count("activation.frozen")) == (2, 2)


def test_a_frozen_key_is_asked_nothing_and_signs_nothing(world: World) -> None:
    token = world.token()
    ask(world, "POST", "/freeze")
    with pytest.raises(Refusal):
        world.sign(token)
    with pytest.raises(CredentialDisabled, match="frozen"):
        decoupled(world)


def test_somebody_elses_keys_are_not_frozen(world: World) -> None:
    theirs = world.credential_id
    world.new_signer("binh.tran")
    assert ask(world, "POST", "/freeze").json() == {"frozen": 0}
    assert state_of(world, theirs) == "enabled"


def test_only_an_order_of_the_registration_authority_unfreezes(world: World) -> None:
    ask(world, "POST", "/freeze")
    name = world.credential_id
    other_ways = enrolments.Enrolment(world.services, world.authority)
    for state in ("enabled", "disabled"):
        with pytest.raises(InvalidInput):
            other_ways.set_state(name, state)
    world.sam.faults["unlock"] = [OrderInvalid("not a pinned key")]
    with pytest.raises(OrderInvalid):
        freezing.unfreeze(world.services, world.authority, name)
    assert state_of(world, name) == "frozen"
    freezing.unfreeze(world.services, world.authority, name)
    assert state_of(world, name) == "enabled"
    assert world.sam.calls["unlock"] == 2
    with pytest.raises(InvalidInput):
        freezing.unfreeze(world.services, world.authority, name)
    with pytest.raises(CredentialUnknown):
        freezing.unfreeze(world.services, world.authority, "0" * 26)
    assert signed(world)
