"""The consent API for SIMs and the adapter's call-backs, over HTTP, with the whole chain behind."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from remote_signing.errors import CodeUnmatched, SimBusy, Unavailable
from remote_signing.identifiers import new_id
from remote_signing.rssp import (
    activation,
    activation_sim,
    consent,
    consent_account,
    consent_requests,
    sim_routes,
)
from remote_signing.rssp.edge import middleware
from remote_signing.rssp.registration import RegistrationAuthority
from remote_signing.rssp.sim import cards, tending
from remote_signing.rssp.sim import consent as consent_of_sim
from tests.support.asgi import call
from tests.support.examples import example
from tests.support.sim_chain import running_adapter, running_operator
from tests.support.sim_world import CALLBACK_SECRET, PKCS1, SIM_SAM, SimWorld, number, sim_world
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.conftest import Databases
    from tests.support.sam import RunningSam

API = "/consent/v1/requests/"


@pytest.fixture(scope="module")
def authority() -> RegistrationAuthority:
    return RegistrationAuthority(Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def sam(sam_factory: Callable[..., RunningSam], authority: RegistrationAuthority) -> RunningSam:
    return sam_factory(pinned={authority.key_id: authority.public_key}, sim=SIM_SAM)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("chain")
    with (
        running_operator(folder) as (_, mssp),
        running_adapter(folder, mssp, format=PKCS1) as rssp,
    ):
        yield str(rssp.http.base_url).rstrip("/")


@pytest.fixture
def place(
    databases: Databases,
    sam: RunningSam,
    authority: RegistrationAuthority,
    adapter: str,
    tmp_path: Path,
) -> Iterator[SimWorld]:
    with (
        new_world(databases) as world,
        sim_world(world, sam, authority, tmp_path, adapter) as found,
    ):
        yield found


def ask(place: SimWorld, method: str, path: str, body: Any = None) -> httpx.Response:
    app = FastAPI()
    app.state.services = place.services
    for module in (consent, consent_requests, consent_account, sim_routes):
        app.include_router(module.router)
    middleware.install(app)
    headers = {"Authorization": f"Bearer {place.world.session}"}
    return call(app, method, path, headers=headers, json=body)


def post_event(place: SimWorld, transaction_id: str, **changes: Any) -> httpx.Response:
    body = json.dumps({"type": "transaction.finished", "data": {"id": transaction_id}}).encode()
    stamp = str(int(time.time()) + changes.get("late", 0))
    key = base64.b64decode(changes.get("secret", CALLBACK_SECRET).removeprefix("whsec_"))
    mac = hmac.digest(key, f"m.{stamp}.".encode() + body, hashlib.sha256)
    app = FastAPI()
    app.state.services = place.services
    app.include_router(sim_routes.router)
    middleware.install(app)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": "m",
        "webhook-timestamp": stamp,
        "webhook-signature": "v1,AAAA v1," + base64.b64encode(mac).decode(),
    }
    return call(app, "POST", "/sim/v1/events", headers=headers, content=body)


def test_the_page_asks_waits_and_is_led_back(place: SimWorld) -> None:
    place.enrol(number())
    asked = place.world.opened()
    shown = ask(place, "GET", API + asked).json()
    (offer,) = shown["sims"]
    assert shown["sim"] is None
    assert offer["is_active"]
    body = {"factor_id": offer["factor_id"], "lang": "vi"}
    started = example("a SIM is asked", ask(place, "POST", f"{API}{asked}/sim", body))
    assert started.status_code == 201
    told = started.json()
    assert told["verification_code"] == shown["verification_code"]
    for _ in range(20):
        answer = ask(place, "GET", f"{API}{asked}/sim?wait=5&version={told['version']}")
        told = answer.json()
        if told["state"] != "WAITING":
            break
    assert told["state"] == "APPROVED"
    example("it has consented", answer)
    assert ask(place, "GET", API + asked).json()["sim"]["state"] == "APPROVED"
    led_back = example("back to the portal", ask(place, "POST", f"{API}{asked}/resume"))
    assert "code=" in led_back.json()["redirect_to"]


def test_a_portal_that_asked_by_credentials_authorize_gets_its_sad(place: SimWorld) -> None:
    place.enrol(number())
    new = place.world.request(
        channel=activation.Channel.DECOUPLED,
        redirect_uri=None,
        code_challenge=None,
        oauth_state=None,
        agencies=("*",),
    )
    asked = activation.request_activation(place.services, new)
    with pytest.raises(CodeUnmatched):
        place.start(asked.activation_id)
    place.world.match(asked.activation_id)
    question = place.start(asked.activation_id)
    assert place.ended(question.transaction_id).state == "APPROVED"
    issued = activation.check_handle(place.services, asked.ticket, new.client_id)
    assert isinstance(issued, activation.SadIssued)


def test_a_call_back_that_comes_three_times_gives_one_consent(place: SimWorld) -> None:
    place.enrol(number())
    asked = place.world.opened()
    question = place.start(asked)
    while place.services.sim.read(question.transaction_id).state != "SIGNED":
        time.sleep(0.1)
    for _ in range(3):
        assert post_event(place, question.transaction_id).status_code == 204
    found = activation.details(place.services, asked, place.world.subscriber_id)
    assert found.state.value == "AUTHORIZED"


def test_a_call_back_of_a_stranger_or_of_another_time_is_refused(place: SimWorld) -> None:
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    name = new_id(place.services.now_ms())
    assert post_event(place, name, secret=other).status_code == 403
    assert post_event(place, name, late=-400).status_code == 403
    noted = example("a question is over", post_event(place, name))
    assert noted.status_code == 204  # nobody waits for it
    assert post_event(place, "not an id").status_code == 400


def test_refusals_have_their_codes(place: SimWorld) -> None:
    place.enrol(number("208"))
    asked = place.world.opened()
    sim = f"{API}{asked}/sim"
    body = {"factor_id": place.factor_id, "lang": "vi"}
    assert ask(place, "GET", sim).json()["code"] == "sim_unknown"
    assert ask(place, "GET", f"{sim}?wait=soon").json()["code"] == "invalid_request"
    mistakes: list[dict[str, Any]] = [{}, {"factor_id": 1, "lang": "vi"}, body | {"x": 1}]
    mistakes += [body | {"lang": "fr"}, body | {"lang": [[]]}]
    for wrong in mistakes:
        assert ask(place, "POST", sim, wrong).status_code == 400
    assert ask(place, "POST", sim, body).status_code == 201
    assert ask(place, "POST", sim, body).json()["code"] == "sim_busy"
    cancelled = example("withdrawn", ask(place, "POST", f"{sim}/cancel"))
    assert cancelled.json()["state"] == "CANCELLED"
    for _ in range(activation_sim.MOST_QUESTIONS - 1):
        assert ask(place, "POST", sim, body).status_code == 201
        ask(place, "POST", f"{sim}/cancel")
    often = ask(place, "POST", sim, body)
    assert (often.status_code, often.json()["code"]) == (409, "sim_asked_often")
    sim = f"{API}{place.world.opened('khác.pdf')}/sim"
    row = cards.get(place.services, place.factor_id)
    cards.set_state(place.services, row, cards.SUSPENDED, "iccid_changed", "system")
    refused = ask(place, "POST", sim, body)
    assert (refused.status_code, refused.json()["code"]) == (403, "sim_suspended")


@pytest.mark.parametrize("way", ["deny", "approve", "freeze"])
def test_a_sim_is_not_asked_any_more_about_a_request_that_was_answered_without_it(
    place: SimWorld, way: str
) -> None:
    place.enrol(number("208"))
    asked = place.world.opened()
    question = place.start(asked)
    path, body = {
        "deny": (f"{API}{asked}/deny", {}),
        "approve": (f"{API}{asked}/approve", {"pin": place.world.pin, "otp": place.world.otp()}),
        "freeze": ("/consent/v1/freeze", {}),
    }[way]
    assert ask(place, "POST", path, body).status_code == 200
    assert place.services.sim.read(question.transaction_id).state == "CANCELLED"
    told = consent_of_sim.look(place.services, question.transaction_id)
    assert (told.state, told.outcome) == ("CANCELLED", "request_over")
    if way != "freeze":
        assert place.start(place.world.opened("khác.pdf")).state == "WAITING"


def test_housekeeping_finds_a_question_whose_request_was_answered_without_it(
    place: SimWorld, caplog: pytest.LogCaptureFixture
) -> None:
    place.enrol(number("208"))
    first, second = place.world.opened(), place.world.opened("khác.pdf")
    question = place.start(first)
    activation.deny(place.services, place.world.session, first)
    with pytest.raises(SimBusy):
        place.start(second)
    tending.tend(place.services)
    assert place.services.sim.read(question.transaction_id).state == "CANCELLED"
    assert place.start(second).state == "WAITING"
    assert "alarm" not in caplog.text


def test_an_answer_costs_no_statement_more_for_the_sim_that_was_not_asked(
    place: SimWorld,
) -> None:
    asked = place.world.opened()
    body = {"pin": place.world.pin, "otp": place.world.otp()}
    with place.world.counted() as statements:
        assert ask(place, "POST", f"{API}{asked}/approve", body).status_code == 200
    assert len(statements) == 2


@pytest.mark.parametrize("away", ["adapter", "database"])
def test_an_answer_counts_although_its_question_cannot_be_ended_now(
    place: SimWorld, away: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place.enrol(number("208"))
    asked = place.world.opened()
    question = place.start(asked)
    what = {"adapter": (consent_of_sim, "look"), "database": (activation_sim, "unattended")}[away]

    def refuse(*_: object) -> None:
        raise Unavailable(f"the {away} is away")

    with monkeypatch.context() as patch:
        patch.setattr(*what, refuse)
        assert ask(place, "POST", f"{API}{asked}/deny", {}).status_code == 200
    assert f"the {away} is away" in [getattr(record, "cause", "") for record in caplog.records]
    tending.tend(place.services)
    assert place.services.sim.read(question.transaction_id).state == "CANCELLED"
