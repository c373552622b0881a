"""What a known client is refused and which tokens it gets is on record; strangers fill nothing."""

from __future__ import annotations

import json
import os
import pwd
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.errors import HashNotAuthorised, SadInvalid, SignInRefused, Unavailable
from remote_signing.identifiers import Ticket
from remote_signing.rssp import audit, service_tokens, subscribers
from remote_signing.rssp.oauth.client_auth import ASSERTION_TYPE
from tests.support.csc import CscPortal
from tests.support.oauth import OAuthPortal
from tests.support.world import PORTAL

if TYPE_CHECKING:
    from tests.support.world import World

CLIENT_ID = "oauth-portal"
OWN_ACCOUNT = {"grant_type": "client_credentials"}


@pytest.fixture
def portal(world: World) -> OAuthPortal:
    return OAuthPortal.at(world)


def events(world: World, *kinds: str) -> list[Any]:
    return [event for event in audit.events(world.database) if event.kind in kinds]


def refusals(world: World) -> list[dict[str, Any]]:
    found = events(world, "request.refused")
    assert {event.actor for event in found} <= {"client"}
    return [json.loads(event.detail) for event in found]


def test_a_refused_push_is_on_record(world: World, portal: OAuthPortal) -> None:
    world.credential_id = "0" * 26
    assert portal.push(portal.credential_request()).status_code == 400
    assert refusals(world) == [
        {
            "endpoint": "pushed_authorize",
            "error": "invalid_request",
            "reason": "CredentialUnknown",
        }
    ]
    assert events(world, "request.refused")[0].client_id == CLIENT_ID


def test_a_request_uri_that_comes_again_is_on_record(world: World, portal: OAuthPortal) -> None:
    pushed = portal.push(portal.credential_request()).json()["request_uri"]
    for _ in range(2):
        page = portal.visit(client_id=CLIENT_ID, request_uri=pushed)
    assert page.status_code == 400
    (event,) = events(world, "request.refused")
    assert json.loads(event.detail)["reason"] == "ReplayDetected"
    asked = events(world, "activation.requested")[0].activation_id
    assert (event.client_id, event.activation_id) == (CLIENT_ID, asked)
    portal.push(portal.request())
    portal.visit(client_id=CLIENT_ID, request_uri=f"{pushed}x")
    assert len(refusals(world)) == 1, "whoever makes one up is a stranger"


def test_a_code_that_is_refused_is_on_record_with_what_did_not_fit(
    world: World, portal: OAuthPortal
) -> None:
    code = portal.consent(portal.credential_request())["code"]
    portal.token(portal.redemption(code, code_verifier="b" * 43))
    portal.token(portal.redemption(str(Ticket.issue(code.partition(".")[0]))))
    wrong, unknown = events(world, "request.refused")
    assert json.loads(wrong.detail)["what"] == "code_verifier"
    assert wrong.activation_id == code.partition(".")[0]
    assert json.loads(unknown.detail)["reason"] == "ActivationUnknown"
    assert unknown.activation_id is None


def test_an_assertion_that_comes_again_is_on_record(world: World, portal: OAuthPortal) -> None:
    form = {
        "client_id": CLIENT_ID,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": portal.assertion(),
    }
    for _ in range(2):
        portal.post("token", OWN_ACCOUNT | form)
    assert [found["reason"] for found in refusals(world)] == ["ReplayDetected"]


def test_a_stranger_leaves_nothing_on_record(world: World, portal: OAuthPortal) -> None:
    portal.post("token", OWN_ACCOUNT | {"client_id": CLIENT_ID})
    portal.post("token", OWN_ACCOUNT | {"client_id": "nobody", "client_secret": "x"})
    portal.post("pushed_authorize", portal.request() | {"client_secret": "x"})
    portal.visit(client_id=CLIENT_ID, redirect_uri="https://evil.example/")
    csc = CscPortal.at(world)
    csc.post("credentials/list", {}, str(Ticket.issue("0" * 26)))
    assert refusals(world) == []


def test_one_client_cannot_fill_the_table(world: World, portal: OAuthPortal) -> None:
    for _ in range(25):
        portal.token({"grant_type": "refresh_token", "refresh_token": "r.x"})
    assert len(refusals(world)) == 20
    other = OAuthPortal.at(world, "other-portal")
    other.token({"grant_type": "refresh_token", "refresh_token": "r.x"})
    assert len(refusals(world)) == 21, "what one has used up is not another's"
    world.clock.advance(10)
    for _ in range(2):
        portal.token({"grant_type": "refresh_token", "refresh_token": "r.x"})
    last = refusals(world)[-1]
    assert (len(refusals(world)), last["passed_over"]) == (22, 5)


def test_a_fault_of_ours_is_no_refusal(world: World, portal: OAuthPortal) -> None:
    world.sam.faults["challenge"] = [Unavailable("no SAM")]
    assert portal.push(portal.credential_request()).status_code == 503
    assert refusals(world) == []


def test_a_record_that_cannot_be_written_does_not_change_the_answer(
    portal: OAuthPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise Unavailable("no database")

    monkeypatch.setattr(audit, "write", gone)
    answer = portal.token({"grant_type": "refresh_token", "refresh_token": "r.x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_refused_call_of_a_known_caller_is_on_record(world: World) -> None:
    portal = CscPortal.at(world)
    portal.post("credentials/info", {"credentialID": "0" * 26})
    portal.post("credentials/authorizeCheck", {"handle": 7})
    assert [(found["endpoint"], found["reason"]) for found in refusals(world)] == [
        ("credentials/info", "CredentialUnknown"),
        ("credentials/authorizeCheck", "Invalid parameter handle"),
    ]
    assert {event.client_id for event in events(world, "request.refused")} == {PORTAL}


def test_a_refused_signature_stands_among_its_activations_events(world: World) -> None:
    token = world.token("a")
    with pytest.raises(HashNotAuthorised):
        world.sign(token, "b")
    with pytest.raises(SadInvalid):
        world.sign(token, "a", credential_id="0" * 26)
    assert world.sign(token, "a")
    found = list(audit.events(world.database, activation_id=token.row_id))
    assert [event.kind for event in found[-4:]] == [
        *("signing.refused", "signing.refused", "signing.started", "signing.done")
    ]
    assert [event.sequence for event in found] == list(range(1, len(found) + 1))
    assert json.loads(found[-4].detail)["reason"] == "HashNotAuthorised"


def test_refused_signatures_are_bounded_too(world: World) -> None:
    token = world.token("a")
    for _ in range(25):
        with pytest.raises(HashNotAuthorised):
            world.sign(token, "b")
    assert len(events(world, "signing.refused")) == 20


def test_a_sad_that_nobody_gave_is_on_record_for_its_caller(world: World) -> None:
    token = world.token()
    with pytest.raises(SadInvalid):
        world.sign(Ticket.issue(token.row_id), service_token=world.service_token())
    (event,) = events(world, "signing.refused")
    assert (event.client_id, event.subscriber_id) == (PORTAL, world.subscriber_id)


def test_wrong_passwords_and_the_pause_are_on_record(world: World) -> None:
    def try_in(username: str = "an.nguyen") -> None:
        with pytest.raises(SignInRefused):
            subscribers.sign_in(world.services, username, "wrong password")

    for _ in range(15):
        try_in()
    try_in("nobody")
    found = events(world, "session.refused")
    assert {event.subscriber_id for event in found} == {world.subscriber_id}
    pause_end = world.clock.now_ms() + 900_000
    assert [json.loads(event.detail) for event in found] == [{}] * 9 + [{"paused_until": pause_end}]


def test_every_access_token_is_on_record_from_issue_to_end(
    world: World, portal: OAuthPortal
) -> None:
    own = portal.token(OWN_ACCOUNT).json()
    pair = portal.service_tokens()
    portal.refresh(pair["refresh_token"])
    portal.revoke(own["access_token"])
    tokens = events(world, "token.issued", "token.ended")
    kinds = [(event.kind, event.subscriber_id) for event in tokens]
    signer = world.subscriber_id
    assert kinds == [
        ("token.issued", None),
        ("token.issued", signer),
        ("token.issued", signer),
        ("token.ended", None),
    ]
    ids = [json.loads(event.detail) for event in tokens]
    assert ids[0] == ids[3] == {"token_id": own["access_token"][2:].partition(".")[0]}
    assert ids[1]["family_id"] == ids[2]["family_id"]
    for event in tokens:
        assert event.detail == audit.detail_text(json.loads(event.detail)), "canonical"
        assert (event.actor, event.client_id) == ("client", CLIENT_ID)
        assert event.at == world.clock.now_ms()
    portal.refresh(pair["refresh_token"])  # used before: the family ends
    assert len(events(world, "token.ended")) == 3


def test_a_client_credentials_token_costs_one_statement(world: World) -> None:
    with world.counted() as statements:
        service_tokens.issue_to_client(world.services, service_tokens.Holder(PORTAL))
    assert len(statements) == 1


def test_the_operator_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"operator:{pwd.getpwuid(os.getuid()).pw_name}"
    monkeypatch.delenv("SUDO_UID", raising=False)
    subscribers.set_state(world.database, world.clock, world.subscriber_id, "suspended")
    subscribers.set_state(world.database, world.clock, world.subscriber_id, "active", "operator:x")
    events_of = list(audit.events(world.database, subscriber_id=world.subscriber_id))
    assert [event.actor for event in events_of[-2:]] == [name, "operator:x"]


@pytest.mark.parametrize(
    ("uid", "sudo", "told"),
    [
        (0, "1", f"operator:{pwd.getpwuid(1).pw_name}"),
        (0, "", f"operator:{pwd.getpwuid(0).pw_name}"),
        (1, "0", f"operator:{pwd.getpwuid(1).pw_name}"),
        (0, "4294967000", "operator:4294967000"),
    ],
)
def test_an_operator_is_whoever_called_sudo(
    monkeypatch: pytest.MonkeyPatch, uid: int, sudo: str, told: str
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setenv("SUDO_UID", sudo)
    assert audit.operator() == told
