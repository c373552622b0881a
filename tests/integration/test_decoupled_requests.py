"""Decoupled requests on both databases: from the portal's call to the official's list and back."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from remote_signing.clock import as_datetime
from remote_signing.rssp import activation, audit, clients, consent, consent_requests
from remote_signing.rssp.edge import middleware
from remote_signing.rssp.models import audit_event, signature_activation
from tests.support.asgi import call
from tests.support.csc import CscPortal
from tests.support.fake_sam import unseal
from tests.support.world import PORTAL

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.support.world import World

AUTHORIZE, CHECK = "credentials/authorize", "credentials/authorizeCheck"
OTHER = "other-portal"


@pytest.fixture
def portal(world: World) -> CscPortal:
    return CscPortal.at(world)


def page(
    world: World, method: str, path: str, body: dict[str, Any] | None = None
) -> httpx.Response:
    app = FastAPI()
    app.state.services = world.services
    for router in (consent_requests.router, consent.router):
        app.include_router(router)
    middleware.install(app)
    headers = {"Authorization": f"Bearer {world.session}"}
    return call(app, method, f"/consent/v1{path}", headers=headers, json=body)


def ask(portal: CscPortal, document: str = "a", token: str = "", **details: Any) -> dict[str, Any]:
    body = portal.authorize_body(document, requestDetails=details)
    answer = portal.post(AUTHORIZE, body, token)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def listed(world: World, query: str = "") -> dict[str, Any]:
    return dict(page(world, "GET", f"/requests{query}").json())


def deadline(world: World, seconds: float) -> str:
    return as_datetime(world.clock.now_ms() + int(seconds * 1000)).isoformat()


def wrong_code(world: World, asked: dict[str, Any]) -> str:
    offered = page(world, "GET", f"/requests/{asked['activationID']}").json()["codes"]
    return str(next(code for code in offered if code != asked["verificationCode"]))


def test_a_request_with_details_waits_in_the_officials_list(portal: CscPortal) -> None:
    world = portal.world
    asked = ask(
        portal,
        urgency="veryUrgent",
        deadline=deadline(world, 7200),
        number="1234",
        symbol="QĐ-BNV",
        documentName="Quyết định bổ nhiệm",
        agencyNames=["Bộ Nội vụ"],
        label="Lần 2",
    )
    found = listed(world)
    assert (found["total"], found["waiting"], found["after"]) == (1, 1, None)
    assert found["portals"] == [{"id": PORTAL, "name": "Cổng dịch vụ công"}]
    (line,) = found["requests"]
    assert line["id"] == asked["activationID"]
    assert line["verification_code"] is None
    details = line["details"]
    assert (details["urgency"], details["reference"]) == ("veryUrgent", "1234/QĐ-BNV")
    assert details["agency_names"] == ["Bộ Nội vụ"]
    assert line["expires_at"] == details["deadline"]
    shown = page(world, "GET", f"/requests/{asked['activationID']}").json()
    assert shown["details"] == details


def test_what_the_official_sees_is_bound_by_the_challenge(portal: CscPortal) -> None:
    one = ask(portal, urgency="urgent")
    other = ask(portal, urgency="normal")
    row = signature_activation.c
    displays = []
    for asked in (one, other):
        query = select(row.challenge).where(row.id == asked["activationID"])
        found = portal.world.database.one(query)
        assert found is not None
        displays.append(unseal(found.challenge)["display"])
    assert displays[0] != displays[1]


def test_a_request_waits_until_its_deadline_and_no_longer(portal: CscPortal) -> None:
    world = portal.world
    asked = ask(portal, deadline=deadline(world, 3600))
    world.clock.advance(1700)
    world.session = world.new_session()
    world.clock.advance(1700)
    assert listed(world)["total"] == 1
    world.clock.advance(200)
    assert listed(world)["total"] == 0
    answer = portal.post(CHECK, {"handle": asked["handle"]})
    assert answer.json()["error"] == "invalid_authentication_data"


def test_a_far_deadline_is_shown_and_the_request_ends_with_its_working_day(
    portal: CscPortal,
) -> None:
    world = portal.world
    ask(portal, deadline=deadline(world, 30 * 86400))
    (line,) = listed(world)["requests"]
    assert line["details"]["deadline"] > line["expires_at"]
    longest = world.services.config.lifetimes.decoupled
    assert line["expires_at"][:19] == deadline(world, longest)[:19]


@pytest.mark.parametrize("seconds", [0, -60, 367 * 86400])
def test_a_deadline_that_is_past_or_too_far_is_refused(portal: CscPortal, seconds: float) -> None:
    body = portal.authorize_body(requestDetails={"deadline": deadline(portal.world, seconds)})
    answer = portal.post(AUTHORIZE, body)
    assert answer.status_code == 400
    text = "Invalid parameter requestDetails.deadline"
    assert answer.json()["error_description"] == text


def test_a_client_without_details_is_served_as_before(portal: CscPortal) -> None:
    asked = portal.post(AUTHORIZE, portal.authorize_body())
    assert asked.status_code == 202
    (line,) = listed(portal.world)["requests"]
    assert line["details"] is None
    portal.world.clock.advance(300)
    assert listed(portal.world)["total"] == 0


def test_what_ends_first_comes_first_and_pages_follow(portal: CscPortal) -> None:
    world = portal.world
    ids = {
        hours: ask(portal, deadline=deadline(world, hours * 3600))["activationID"]
        for hours in (3, 1, 5, 2, 4)
    }
    seen: list[str] = []
    query = "?limit=2"
    for size in (2, 2, 1):
        found = listed(world, query)
        assert (len(found["requests"]), found["total"]) == (size, 5)
        seen += [line["id"] for line in found["requests"]]
        query = f"?limit=2&after={found['after']}"
    assert found["after"] is None
    assert seen == [ids[hours] for hours in sorted(ids)]


def test_the_list_is_narrowed_by_portal_urgency_and_text(portal: CscPortal) -> None:
    world = portal.world
    register_other(world)
    ask(portal, urgency="express", documentName="Quyết định bổ nhiệm")
    ask(portal, urgency="urgent", documentName="Tờ trình", number="87", symbol="TTr-SNV")
    ask(portal, token=portal.user_token(client_id=OTHER), documentName="Công văn")
    totals = {
        query: listed(world, query)["total"]
        for query in (
            *("", "?urgency=urgent", "?urgency=express", f"?portal={OTHER}", "?portal=x"),
            *("?q=quyet%20dinh", "?q=87/TTR", "?q=%25", "?q=", f"?portal={PORTAL}&urgency=normal"),
        )
    }
    assert list(totals.values()) == [3, 2, 1, 1, 0, 1, 1, 0, 3, 2]
    assert listed(world, "?q=x")["waiting"] == 3


@pytest.mark.parametrize(
    "query",
    [
        *("?limit=0", "?limit=51", "?limit=x", "?urgency=now", "?after=x", "?after=1.x"),
        *(
            "?colour=red",
            "?q=a&q=b",
            "?q=" + "x" * 81,
            "?q=%00",
            "?after=" + "9" * 19 + "." + "0" * 26,
        ),
    ],
)
def test_an_odd_query_is_refused(world: World, query: str) -> None:
    assert page(world, "GET", f"/requests{query}").status_code == 400


def test_nobody_sees_or_answers_somebody_elses_request(portal: CscPortal) -> None:
    world = portal.world
    asked = ask(portal, label="x")
    name = asked["activationID"]
    world.new_signer("binh.tran")
    assert listed(world)["waiting"] == 0
    pick = page(world, "POST", f"/requests/{name}/match", {"code": asked["verificationCode"]})
    deny = page(world, "POST", f"/requests/{name}/deny", {"kind": "refused", "reason": "other"})
    assert {pick.json()["code"], deny.json()["code"]} == {"request_unknown"}


# --------------------------------------------------------------------------------- code match


def test_nothing_is_approved_before_the_portals_code_is_picked(portal: CscPortal) -> None:
    world, asked = portal.world, ask(portal)
    name = asked["activationID"]
    evidence = {"pin": world.pin, "otp": world.otp()}
    early = page(world, "POST", f"/requests/{name}/approve", evidence)
    assert (early.status_code, early.json()["code"]) == (409, "code_unmatched")
    shown = page(world, "GET", f"/requests/{name}").json()
    assert (shown["verification_code"], len(shown["codes"])) == (None, 3)
    good = page(world, "POST", f"/requests/{name}/match", {"code": asked["verificationCode"]})
    assert good.status_code == 200
    shown = page(world, "GET", f"/requests/{name}").json()
    assert (shown["verification_code"], shown["codes"]) == (asked["verificationCode"], [])
    assert page(world, "POST", f"/requests/{name}/approve", evidence).status_code == 200


def test_a_reload_shows_the_same_three_codes(portal: CscPortal) -> None:
    name = ask(portal)["activationID"]
    seen = {tuple(page(portal.world, "GET", f"/requests/{name}").json()["codes"]) for _ in range(5)}
    assert len(seen) == 1


def test_a_wrong_pick_refuses_for_good_warns_and_is_on_record(portal: CscPortal) -> None:
    world = portal.world
    for number in (1, 2):
        asked = ask(portal)
        name = asked["activationID"]
        wrong = page(world, "POST", f"/requests/{name}/match", {"code": wrong_code(world, asked)})
        assert (wrong.status_code, wrong.json()["code"]) == (403, "code_mismatched")
        assert wrong.json()["mismatches"] == number
        again = page(world, "POST", f"/requests/{name}/match", {"code": asked["verificationCode"]})
        assert again.json()["code"] == "request_denied"
        told = portal.post(CHECK, {"handle": asked["handle"]}).json()
        assert told["denial"] == {"kind": "refused", "reason": "code_mismatch", "text": None}
    kinds = [event.kind for event in audit.events(world.database)]
    assert kinds.count("consent.code_mismatched") == 2


def test_picking_twice_in_two_tabs_is_one_outcome(portal: CscPortal) -> None:
    world, asked = portal.world, ask(portal)
    path = f"/requests/{asked['activationID']}/match"
    right = {"code": asked["verificationCode"]}
    wrong = {"code": wrong_code(world, asked)}
    assert [page(world, "POST", path, right).status_code for _ in range(2)] == [200, 200]
    # The other tab still shows three codes. Whoever picks another there is not sure.
    assert page(world, "POST", path, wrong).json()["code"] == "code_mismatched"
    evidence = {"pin": world.pin, "otp": world.otp()}
    path = f"/requests/{asked['activationID']}/approve"
    assert page(world, "POST", path, evidence).json()["code"] == "request_denied"


def test_a_right_and_a_wrong_pick_at_once_leave_one_state(portal: CscPortal) -> None:
    world = portal.world
    for _ in range(2):
        asked = ask(portal)
        name, right = asked["activationID"], asked["verificationCode"]
        codes = (right, wrong_code(world, asked))
        start, outcomes = threading.Barrier(2), dict.fromkeys(codes, "picked")

        def pick(
            code: str,
            name: str = name,
            start: threading.Barrier = start,
            outcomes: dict[str, str] = outcomes,
        ) -> None:
            start.wait()
            try:
                activation.pick_code(world.services, world.session, name, code)
            except Exception as error:  # noqa: BLE001 - whichever it is, it is compared below
                outcomes[code] = type(error).__name__

        racers = [threading.Thread(target=pick, args=(code,)) for code in codes]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        # The wrong pick refuses whenever it comes; the right one is too late, or was in vain.
        assert outcomes[codes[1]] == "CodeMismatched"
        assert outcomes[right] in {"picked", "ActivationDenied"}
        assert page(world, "GET", f"/requests/{name}").json()["state"] == "DENIED"


def test_an_installation_may_do_without_the_code_match(portal: CscPortal) -> None:
    world = portal.world
    policy = replace(world.services.config.policy, code_match=False)
    world.services = replace(world.services, config=replace(world.services.config, policy=policy))
    portal = CscPortal.at(world)
    name = ask(portal)["activationID"]
    shown = page(world, "GET", f"/requests/{name}").json()
    assert (shown["codes"], len(shown["verification_code"])) == ([], 4)
    evidence = {"pin": world.pin, "otp": world.otp()}
    assert page(world, "POST", f"/requests/{name}/approve", evidence).status_code == 200


def test_a_request_of_the_officials_own_browser_has_nothing_to_pick(world: World) -> None:
    name = world.opened()
    shown = page(world, "GET", f"/requests/{name}").json()
    assert (shown["codes"], len(shown["verification_code"])) == ([], 4)
    answer = page(world, "POST", f"/requests/{name}/match", {"code": shown["verification_code"]})
    assert answer.json()["code"] == "conflict"


# --------------------------------------------------------------------------- refuse and return


@pytest.mark.parametrize("kind", ["refused", "returned"])
def test_the_portal_learns_how_and_why_the_official_said_no(portal: CscPortal, kind: str) -> None:
    world, asked = portal.world, ask(portal)
    name = asked["activationID"]
    denial = {"kind": kind, "reason": "content", "text": "Sai tên ở điều 2"}
    assert page(world, "POST", f"/requests/{name}/deny", denial).json()["state"] == "DENIED"
    answer = portal.post(CHECK, {"handle": asked["handle"]})
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "invalid_authentication_data",
        "error_description": "The authentication data is invalid",
        "denial": denial,
    }
    assert page(world, "GET", f"/requests/{name}").json()["denial"] == denial


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "refused"},
        {"kind": "refused", "reason": "because"},
        {"kind": "refused", "reason": "code_mismatch"},  # nobody says that of himself
        {"kind": "no", "reason": "other"},
        {"kind": "refused", "reason": "other", "text": ""},
        {"kind": "refused", "reason": "other", "text": "x" * 301},
        {"kind": "refused", "reason": "other", "text": "a\u202eb"},
        {"kind": "refused", "reason": 7},
        {"kind": "refused", "reason": "other", "more": "x"},
    ],
    ids=lambda body: str(sorted(body.items()))[:60],
)
def test_a_malformed_refusal_changes_nothing(portal: CscPortal, body: dict[str, Any]) -> None:
    name = ask(portal)["activationID"]
    answer = page(portal.world, "POST", f"/requests/{name}/deny", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert page(portal.world, "GET", f"/requests/{name}").json()["state"] == "PENDING"


def test_a_refusal_without_a_reason_says_no_more(portal: CscPortal) -> None:
    asked = ask(portal)
    page(portal.world, "POST", f"/requests/{asked['activationID']}/deny")
    assert "denial" not in portal.post(CHECK, {"handle": asked["handle"]}).json()


def test_the_officials_own_words_are_in_no_audit_row(portal: CscPortal) -> None:
    world, name = portal.world, ask(portal)["activationID"]
    body = {"kind": "returned", "reason": "form", "text": "Lời riêng"}
    page(world, "POST", f"/requests/{name}/deny", body)
    events = list(audit.events(world.database, activation_id=name))
    assert events[-1].kind == "consent.denied"
    assert '"reason":"form"' in events[-1].detail
    assert not any("Lời" in event.detail for event in events)


# ------------------------------------------------------------------------------------ portals


def register_other(world: World) -> None:
    clients.register(
        world.database,
        world.clock,
        clients.NewClient(
            client_id=OTHER,
            name="Trục văn bản",
            auth_method="client_secret_basic",
            grant_types=("client_credentials",),
            agencies=(world.agency_id,),
        ),
    )
    world.clock.advance(5)


def test_a_portal_cannot_poll_another_ones_handle(portal: CscPortal) -> None:
    world = portal.world
    register_other(world)
    asked = ask(portal, token=portal.client_token())
    page(
        world,
        "POST",
        f"/requests/{asked['activationID']}/deny",
        {"kind": "refused", "reason": "other"},
    )
    answer = portal.post(CHECK, {"handle": asked["handle"]}, portal.client_token(OTHER))
    assert answer.json() == {
        "error": "invalid_request",
        "error_description": "Invalid parameter handle",
    }


def test_a_guessed_handle_of_a_known_id_is_unknown(portal: CscPortal) -> None:
    asked = ask(portal)
    guess = f"{asked['activationID']}.{'A' * 43}"
    answer = portal.post(CHECK, {"handle": guess})
    assert answer.json()["error_description"] == "Invalid parameter handle"


def test_a_whole_signature_from_the_portals_call_to_its_sad(portal: CscPortal) -> None:
    world = portal.world
    asked = ask(portal, "a", documentName="Quyết định", urgency="urgent")
    name = asked["activationID"]
    page(world, "POST", f"/requests/{name}/match", {"code": asked["verificationCode"]})
    evidence = {"pin": world.pin, "otp": world.otp()}
    twice = [page(world, "POST", f"/requests/{name}/approve", evidence) for _ in range(2)]
    assert [answer.status_code for answer in twice] == [200, 409]
    sad = portal.post(CHECK, {"handle": asked["handle"]}).json()["SAD"]
    signed = portal.post("signatures/signHash", portal.sign_body("a", SAD=sad))
    assert signed.status_code == 200


# --------------------------------------------------------------------------------------- costs


def test_each_step_costs_what_the_budget_allows(portal: CscPortal) -> None:
    world = portal.world
    services = world.services
    services.clients.get(PORTAL)
    new = world.request(
        channel=activation.Channel.DECOUPLED,
        redirect_uri=None,
        subscriber_id=world.subscriber_id,
    )
    asked: list[activation.Requested] = []
    steps: dict[str, Callable[[], object]] = {
        "authorize": lambda: asked.append(activation.request_activation(services, new)),
        "check": lambda: activation.check_handle(services, asked[0].ticket, PORTAL),
        "list": lambda: activation.pending(services, world.subscriber_id),
        "details": lambda: activation.details(
            services, asked[0].activation_id, world.subscriber_id
        ),
        "match": lambda: activation.pick_code(
            services, world.session, asked[0].activation_id, asked[0].verification_code
        ),
        "history": lambda: activation.history(services, world.subscriber_id, text="a"),
    }
    measured = {}
    for name, step in steps.items():
        with world.counted() as statements:
            step()
        measured[name] = len(statements)
    assert measured == dict.fromkeys(steps, 1)


def test_the_lists_read_an_index_and_no_other_rows(world: World) -> None:
    with world.planned() as plans:
        activation.pending(world.services, world.subscriber_id)
        activation.history(world.services, world.subscriber_id, after="0" * 26, text="x")
    assert "ix_signature_activation_pending" in plans[0]
    assert "ix_signature_activation_subscriber_id_id" in plans[1]
    assert "SCAN signature_activation" not in str(plans)
    assert "Seq Scan on signature_activation" not in str(plans)


def test_every_step_of_a_request_is_in_the_audit_table(portal: CscPortal) -> None:
    world, asked = portal.world, ask(portal)
    world.approve(asked["activationID"])
    rows = world.database.all(
        select(audit_event.c.kind).where(audit_event.c.activation_id == asked["activationID"])
    )
    kinds = [row.kind for row in rows]
    assert kinds == [
        "activation.requested",
        "consent.code_matched",
        "consent.tried",
        "consent.given",
    ]
