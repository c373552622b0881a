"""The consent API on both databases: what the consent page may see and do with a session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from remote_signing.errors import HsmUnavailable, SamUnavailable, SamUnreachable
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import (
    activation,
    audit,
    consent,
    consent_requests,
    service_authorization,
    subscribers,
)
from remote_signing.rssp.edge import middleware
from tests.support.asgi import call
from tests.support.world import PASSWORD, PORTAL, REDIRECT, VERIFIER, World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Databases

API = "/consent/v1"


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    with new_world(databases) as furnished:
        yield furnished


def application(world: World) -> FastAPI:
    app = FastAPI()
    app.state.services = world.services
    app.include_router(consent_requests.router)
    app.include_router(consent.router)
    middleware.install(app)
    return app


def ask(
    world: World,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    session: str | None = None,
) -> httpx.Response:
    app = application(world)
    headers = {"Authorization": f"Bearer {session or world.session}"}
    return call(app, method, API + path, headers=headers, json=body)


def approve(world: World, name: str, pin: str | None = None, otp: str | None = None) -> Any:
    body = {"pin": pin or world.pin, "otp": otp or world.otp()}
    return ask(world, "POST", f"/requests/{name}/approve", body)


def asked_service(world: World) -> str:
    challenge = activation.s256(VERIFIER)
    new = service_authorization.NewServiceRequest(PORTAL, REDIRECT, challenge, "xyz")
    ticket = service_authorization.request(world.services, new)
    return service_authorization.open_request(world.services, PORTAL, ticket)


def test_a_waiting_request_is_listed_for_its_signer(world: World) -> None:
    name = world.opened("quyết định.pdf", "phụ lục.pdf")
    answer = ask(world, "GET", "/requests").json()
    assert re.fullmatch("[A-Za-z0-9_-]{22}", answer["subscriber"].pop("person"))
    assert answer["subscriber"] == {
        "full_name": "Nguyễn Văn An",
        "position": "Chánh Văn phòng",
        "agency": "Bộ Nội vụ",
    }
    (line,) = answer["requests"]
    assert (line["id"], line["client_name"], line["num_signatures"]) == (
        name,
        "Cổng dịch vụ công",
        2,
    )
    assert line["expires_at"] > answer["now"]


def test_a_request_shows_everything_that_the_signer_must_know(world: World) -> None:
    answer = ask(world, "GET", f"/requests/{world.opened('quyết định.pdf')}").json()
    assert answer["state"] == "PENDING"
    assert answer["description"] == "Quyết định bổ nhiệm"
    (document,) = answer["documents"]
    assert document["label"] == "quyết định.pdf"
    assert len(bytes.fromhex(document["digest"])) == 32
    assert answer["hash_algorithm"] == "sha256"
    assert len(answer["verification_code"]) == 4
    assert answer["redirect_origin"] == "https://portal.example"
    assert answer["certificate"]["issuer"] == "CA thử nghiệm"
    assert answer["certificate"]["holder"]
    int(answer["certificate"]["serial"], 16)


def test_approval_leads_back_to_the_portal_with_a_code(world: World) -> None:
    answer = approve(world, world.opened())
    assert answer.status_code == 200
    assert answer.json()["state"] == "AUTHORIZED"
    assert answer.json()["redirect_to"].startswith(f"{REDIRECT}&code=")


def test_approval_takes_two_statements(world: World) -> None:
    name = world.opened()
    with world.counted() as statements:
        assert approve(world, name).status_code == 200
    assert len(statements) == 2


def test_looking_takes_a_statement_or_two_and_a_list_one_more_for_notices(world: World) -> None:
    name = world.opened()
    looking = {"postgresql": 1, "sqlite": 2}[world.database.dialect]
    for path, number in ((f"/requests/{name}", looking), ("/requests", 3)):
        with world.counted() as statements:
            assert ask(world, "GET", path).status_code == 200
        assert len(statements) == number


def test_a_decoupled_request_leads_nowhere(world: World) -> None:
    name = world.opened(channel=activation.Channel.DECOUPLED, redirect_uri=None)
    assert ask(world, "GET", f"/requests/{name}").json()["redirect_origin"] is None
    assert approve(world, name).json()["code"] == "code_unmatched"
    world.match(name)
    assert approve(world, name).json()["redirect_to"] is None


@pytest.mark.parametrize("wrong", ["pin", "otp"])
def test_wrong_evidence_is_refused_without_telling_which(world: World, wrong: str) -> None:
    answer = approve(world, world.opened(), **{wrong: "000000"})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["attempts_left"]) == ("evidence_invalid", 4)
    assert set(problem) == {"type", "title", "status", "code", "attempts_left", "request_id"}


def test_a_wrong_code_leaves_the_request_waiting(world: World) -> None:
    name = world.opened()
    approve(world, name, pin="000000")
    assert ask(world, "GET", f"/requests/{name}").json()["state"] == "PENDING"
    world.next_step()
    assert approve(world, name).status_code == 200


def test_too_many_wrong_codes_lock_the_credential(world: World) -> None:
    name = world.opened()
    codes = [approve(world, name, pin="000000").json()["code"] for _ in range(6)]
    assert codes[:4] == ["evidence_invalid"] * 4
    assert codes[5] == "credential_locked"
    assert approve(world, name).json()["code"] == "credential_locked"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (SamUnreachable("not asked"), "temporarily_unavailable"),
        (SamUnavailable("no answer"), "outcome_unknown"),
    ],
)
def test_whether_a_lost_sam_was_asked_is_told_apart(
    world: World, fault: Exception, code: str
) -> None:
    name = world.opened()
    world.sam.faults["activate"] = [fault]
    answer = approve(world, name)
    assert (answer.status_code, answer.json()["code"]) == (503, code)


def test_a_failing_hsm_uses_nothing_up(world: World) -> None:
    name = world.opened()
    world.sam.faults["activate"] = [HsmUnavailable("no node")]
    answer = approve(world, name)
    assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert approve(world, name).status_code == 200


def test_an_answered_request_is_a_conflict(world: World) -> None:
    name = world.opened()
    assert approve(world, name).status_code == 200
    world.next_step()
    assert approve(world, name).status_code == 409
    assert ask(world, "POST", f"/requests/{name}/deny").status_code == 409
    assert ask(world, "GET", f"/requests/{name}").json()["state"] == "AUTHORIZED"


def test_a_refused_request_stays_refused(world: World) -> None:
    name = world.opened()
    answer = ask(world, "POST", f"/requests/{name}/deny")
    assert answer.json()["state"] == "DENIED"
    assert "error=access_denied" in answer.json()["redirect_to"]
    assert approve(world, name).json()["code"] == "request_denied"


def test_an_expired_request_says_so(world: World) -> None:
    name = world.opened()
    world.clock.advance(301)
    assert (approve(world, name)).status_code == 410
    assert ask(world, "GET", f"/requests/{name}").json()["state"] == "EXPIRED"
    assert ask(world, "GET", "/requests").json()["requests"] == []


def test_somebody_elses_request_does_not_exist(world: World) -> None:
    name = world.opened()
    pin, otp = world.pin, world.otp()
    world.new_signer("binh.tran")
    body = {"pin": pin, "otp": otp}
    answers = [
        ask(world, "GET", f"/requests/{name}"),
        ask(world, "POST", f"/requests/{name}/approve", body),
        ask(world, "POST", f"/requests/{name}/deny"),
    ]
    assert {answer.json()["code"] for answer in answers} == {"request_unknown"}
    assert ask(world, "GET", "/requests").json()["requests"] == []


@pytest.mark.parametrize("name", ["x", "01mcc5rm00mratbh8wk05wn2gg"])
def test_an_unknown_request_is_not_found(world: World, name: str) -> None:
    assert ask(world, "GET", f"/requests/{name}").json()["code"] == "request_unknown"
    assert ask(world, "GET", f"/services/{name}").json()["code"] == "request_unknown"


def test_nothing_is_told_without_a_session(world: World) -> None:
    name = world.opened()
    forged = str(Ticket.issue(world.session.row_id))
    app = application(world)
    headers: list[list[tuple[str, str]]] = [
        [],
        [("Authorization", f"Bearer {forged}")],
        [("Authorization", f"DPoP {world.session}")],
        [("Authorization", "Bearer x")],
        [("Authorization", f"Bearer {world.session}")] * 2,
    ]
    for given in headers:
        answer = call(app, "GET", f"{API}/requests/{name}", headers=given)
        assert (answer.status_code, answer.json()["code"]) == (401, "session_invalid")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"pin": "1"},
        {"pin": "1", "otp": 123456},
        {"pin": "1", "otp": ""},
        {"pin": "1" * 65, "otp": "1"},
        {"pin": "1", "otp": "1", "more": "1"},
    ],
)
def test_a_malformed_approval_charges_nothing(world: World, body: dict[str, Any]) -> None:
    name = world.opened()
    answer = ask(world, "POST", f"/requests/{name}/approve", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert approve(world, name, pin="000000").json()["attempts_left"] == 4


def test_an_oversized_approval_is_refused(world: World) -> None:
    body = {"pin": "1" * 5000, "otp": "1"}
    assert ask(world, "POST", f"/requests/{world.opened()}/approve", body).status_code == 413


def test_a_signer_lets_a_portal_see_the_list(world: World) -> None:
    name = asked_service(world)
    shown = ask(world, "GET", f"/services/{name}").json()
    assert (shown["state"], shown["client_name"]) == ("PENDING", "Cổng dịch vụ công")
    answer = ask(world, "POST", f"/services/{name}/approve").json()
    assert answer["redirect_to"].startswith(f"{REDIRECT}&code=")
    assert ask(world, "GET", f"/services/{name}").json()["state"] == "GRANTED"
    assert ask(world, "POST", f"/services/{name}/approve").status_code == 409


def test_a_signer_keeps_the_list_to_himself(world: World) -> None:
    name = asked_service(world)
    answer = ask(world, "POST", f"/services/{name}/deny").json()
    assert answer["state"] == "DENIED"
    assert "error=access_denied" in answer["redirect_to"]


def sign_in(world: World, username: str = "an.nguyen", password: str = PASSWORD) -> httpx.Response:
    body = {"username": username, "password": password}
    app = application(world)
    return call(app, "POST", f"{API}/sessions", json=body)


def test_signing_in_opens_a_session(world: World) -> None:
    answer = sign_in(world)
    assert answer.status_code == 201
    members = answer.json()
    assert members["subscriber"]["full_name"] == "Nguyễn Văn An"
    assert ask(world, "GET", "/requests", session=members["session"]).status_code == 200


def test_every_reason_not_to_sign_in_looks_alike(world: World) -> None:
    subscribers.set_state(
        world.database, world.clock, world.new_signer("suspended.one"), "suspended"
    )
    answers = [
        sign_in(world, password="wrong password"),
        sign_in(world, username="nobody"),
        sign_in(world, username="suspended.one"),
        sign_in(world, username="x" * 100),
    ]
    told = [{**answer.json(), "request_id": ""} for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert told[0]["code"] == "sign_in_refused"
    assert all(item == told[0] for item in told)


def test_sign_in_pauses_after_too_many_wrong_passwords(world: World) -> None:
    limit = world.services.config.policy.sign_in_limit
    for _ in range(limit):
        assert sign_in(world, password="wrong password").status_code == 401
    assert sign_in(world).status_code == 401
    world.clock.advance(world.services.config.policy.sign_in_pause + 1)
    assert sign_in(world).status_code == 201


def test_a_session_ends_when_it_is_not_used(world: World) -> None:
    session = sign_in(world).json()["session"]
    for _ in range(3):
        world.clock.advance(29 * 60)
        assert ask(world, "GET", "/requests", session=session).status_code == 200
    world.clock.advance(31 * 60)
    assert ask(world, "GET", "/requests", session=session).status_code == 401


def test_a_session_ends_after_twelve_hours(world: World) -> None:
    session = sign_in(world).json()["session"]
    for _ in range(12 * 3 - 1):
        world.clock.advance(20 * 60)
        assert ask(world, "GET", "/requests", session=session).status_code == 200
    world.clock.advance(20 * 60)
    assert ask(world, "GET", "/requests", session=session).status_code == 401


def test_a_session_ends_by_signing_out(world: World) -> None:
    session = sign_in(world).json()["session"]
    for _ in range(2):
        assert ask(world, "DELETE", "/sessions/current", session=session).status_code == 204
    assert ask(world, "GET", "/requests", session=session).status_code == 401


def test_a_session_ends_with_its_signers_suspension(world: World) -> None:
    subscribers.set_state(world.database, world.clock, world.subscriber_id, "suspended")
    assert ask(world, "GET", "/requests").status_code == 401


def test_sessions_are_recorded_and_kept_as_hashes_only(world: World) -> None:
    session = sign_in(world).json()["session"]
    ask(world, "DELETE", "/sessions/current", session=session)
    kinds = [row.kind for row in audit.events(world.database)]
    assert kinds[-2:] == ["session.opened", "session.ended"]
    secret = session.partition(".")[2]
    assert all(secret not in str(row) for row in audit.events(world.database))


def test_an_unknown_session_id_is_no_session(world: World) -> None:
    session = str(Ticket.issue(new_id(world.clock.now_ms())))
    assert ask(world, "GET", "/requests", session=session).status_code == 401
