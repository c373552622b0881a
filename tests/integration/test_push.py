"""Browsers that are told, on both databases; what a push service gets is judged as it would.

Tokens are verified by the public ``py-vapid`` package.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from remote_signing.errors import InvalidInput, SessionInvalid
from remote_signing.identifiers import Ticket
from remote_signing.rssp import (
    activation,
    freezing,
    phone_routes,
    push_deliveries,
    push_subscriptions,
    sessions,
    vapid,
    watching,
)
from remote_signing.rssp import subscribers as register
from remote_signing.rssp.activation import Channel
from remote_signing.rssp.config import AsynchronousConfig
from remote_signing.rssp.config_push import PushConfig
from remote_signing.rssp.edge import middleware
from remote_signing.rssp.models import audit_event, push_subscription
from remote_signing.rssp.push_deliveries import QUIET_MS, SCHEDULE
from remote_signing.rssp.push_worker import PushWorker, Teller
from tests.support.asgi import call
from tests.support.push_service import push_service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.push_service import PushService
    from tests.support.world import World

NAMED = PushConfig(
    key_file=None,  # type: ignore[arg-type]  # nobody reads it where no message is sent
    contact="mailto:admin@example.gov.vn",
    hosts=("push.example.net", "fcm.googleapis.com", "10.0.0.1:8443"),
)
GOOD = "https://fcm.googleapis.com/fcm/send/abc"


@pytest.fixture
def pushed(world: World) -> World:
    """A world whose installation takes browsers; the signer's is told."""
    world.services = replace(world.services, config=replace(world.services.config, push=NAMED))
    subscribe(world)
    return world


def subscribe(world: World, endpoint: str = GOOD, session: Ticket | None = None) -> bool:
    config = world.services.config.push
    assert config is not None
    return push_subscriptions.subscribe(world.services, session or world.session, config, endpoint)


def asked(world: World) -> str:
    """A request that comes by itself; its id."""
    new = world.request(channel=Channel.DECOUPLED, redirect_uri=None)
    return activation.request_activation(world.services, new).activation_id


def endpoints(world: World) -> list[str]:
    rows = world.database.all(select(push_subscription.c.endpoint).order_by(push_subscription.c.id))
    return [row.endpoint for row in rows]


def events(world: World) -> list[str]:
    kind = audit_event.c.kind
    rows = world.database.all(
        select(kind).where(kind.like("push.%")).order_by(audit_event.c.number)
    )
    return [row.kind for row in rows]


# ------------------------------------------------------------------------------------- watching


def test_looking_is_one_statement_by_the_index_and_uses_nothing(world: World) -> None:
    world.opened("quyết định.pdf")
    world.clock.advance(600)
    with world.counted() as statements:
        found = watching.look(world.services, world.session)
    assert (found.waiting, len(statements)) == (0, 1)  # the request was for five minutes
    asked(world)
    page = activation.pending(world.services, world.subscriber_id)
    with world.planned() as plans:
        found = watching.look(world.services, world.session)
    assert (found.waiting, found.mark) == (page.waiting, page.mark)
    assert "ix_signature_activation_pending" in plans[0]
    assert "SCAN" not in plans[0].replace("SCAN me", "").replace("SCAN line", "")
    world.clock.advance(1201)
    with pytest.raises(SessionInvalid):  # half an hour without a use, however often one looked
        watching.look(world.services, world.session)


def test_the_mark_changes_with_what_waits_and_with_nothing_else(world: World) -> None:
    def mark() -> str:
        return watching.look(world.services, world.session).mark

    marks = [mark()]
    name = asked(world)
    marks.append(mark())
    assert mark() == marks[-1]
    activation.deny(world.services, world.session, name)
    world.clock.advance(1)
    asked(world)
    marks.append(mark())  # one is gone and another came: as many as before
    assert len(set(marks)) == 3


def test_nobody_looks_with_a_session_that_was_ended(world: World) -> None:
    sessions.sign_out(world.services, world.session)
    with pytest.raises(SessionInvalid):
        watching.look(world.services, world.session)


# ----------------------------------------------------------------------------- who is told, where


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/fcm/send/abc",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com.example/x",
        "https://notfcm.googleapis.com/x",
        "https://user@fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com@10.0.0.1/x",
        "https://10.0.0.1/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://fcm.googleapis.com\\@evil.example/x",
        "https://fcm.googleapis.com/x#y",
        "file:///etc/passwd",
        "https://",
        "https://fcm.googleapis.com/" + "x" * 1000,
    ],
    ids=lambda text: text[:40].replace("\\", "-"),
)
def test_an_endpoint_that_is_no_named_push_services_is_refused(endpoint: str) -> None:
    with pytest.raises(InvalidInput):
        push_subscriptions.check(NAMED, endpoint)


def test_names_below_a_named_one_and_ports_that_are_named_count() -> None:
    for endpoint in (
        GOOD,
        "https://wns2-sg2p.push.example.net/w/?token=x",
        "https://push.example.net:443/x",
        "https://10.0.0.1:8443/x",
    ):
        push_subscriptions.check(NAMED, endpoint)


def test_a_browser_is_told_for_one_person_alone_and_eight_are_the_most(pushed: World) -> None:
    assert not subscribe(pushed)
    first = pushed.subscriber_id
    pushed.new_signer("binh")
    assert subscribe(pushed)  # the same browser, after somebody else signed in
    assert push_subscriptions.count_of(pushed.services, first) == 0
    for number in range(8):
        pushed.clock.advance(1)
        subscribe(pushed, f"{GOOD}{number}")
    assert push_subscriptions.count_of(pushed.services, pushed.subscriber_id) == 8
    assert GOOD not in endpoints(pushed)
    assert events(pushed) == ["push.switched_on"] * 10


def test_a_browser_is_told_no_more_when_its_owner_says_so_and_nobody_elses(pushed: World) -> None:
    mine = pushed.session
    pushed.new_signer("binh")
    assert push_subscriptions.unsubscribe(pushed.services, pushed.session, GOOD) == 0
    assert push_subscriptions.unsubscribe(pushed.services, pushed.session) == 0
    assert push_subscriptions.unsubscribe(pushed.services, mine, GOOD) == 1
    assert events(pushed) == ["push.switched_on", "push.switched_off"]
    assert endpoints(pushed) == []


def test_the_end_of_a_session_ends_its_browser(pushed: World) -> None:
    other = pushed.new_session()
    subscribe(pushed, f"{GOOD}2", other)
    sessions.end_one(pushed.services, pushed.session, other.row_id)
    assert endpoints(pushed) == [GOOD]
    sessions.sign_out(pushed.services, pushed.session)
    assert endpoints(pushed) == []


def test_signing_out_of_a_session_that_was_over_ends_its_browser_too(pushed: World) -> None:
    pushed.clock.advance(3600)
    thief = Ticket.issue(pushed.session.row_id)  # the id is no secret
    assert not sessions.sign_out(pushed.services, thief)
    assert endpoints(pushed) == [GOOD]
    assert not sessions.sign_out(pushed.services, pushed.session)
    assert endpoints(pushed) == []


def test_signing_out_everywhere_and_a_lost_phone_end_browsers_whose_sessions_were_over(
    pushed: World,
) -> None:
    pushed.clock.advance(3600)
    pushed.session = pushed.new_session()
    subscribe(pushed, f"{GOOD}2")
    freezing.freeze(pushed.services, pushed.session)
    assert endpoints(pushed) == [f"{GOOD}2"]  # the browser in his hand
    pushed.clock.advance(3600)
    pushed.session = pushed.new_session()
    sessions.sign_out_everywhere(pushed.services, pushed.session)
    assert endpoints(pushed) == []


def test_a_suspended_official_is_told_nothing(pushed: World) -> None:
    asked(pushed)
    register.set_state(pushed.database, pushed.clock, pushed.subscriber_id, "suspended")
    assert push_deliveries.claim(pushed.services) is None


def test_a_browser_that_opens_no_page_for_long_is_forgotten(pushed: World) -> None:
    pushed.clock.advance(NAMED.lifetime - 1)
    assert push_deliveries.prune(pushed.services) == 0
    pushed.clock.advance(2)
    assert push_deliveries.prune(pushed.services) == 1


# ------------------------------------------------------------------------------- when it is told


def test_a_request_that_comes_by_itself_makes_browsers_due_in_its_own_statement(
    pushed: World,
) -> None:
    with pushed.counted() as before:
        pushed.opened("quyết định.pdf")  # in a browser that looks at it already
    assert push_deliveries.claim(pushed.services) is None
    with pushed.counted() as statements:
        asked(pushed)
    assert len(statements) < len(before)
    message = push_deliveries.claim(pushed.services)
    assert message is not None
    assert (message.endpoint, message.is_needed) == (GOOD, True)
    assert push_deliveries.claim(pushed.services) is None  # it is in somebody's hands


def test_a_worker_that_dies_loses_no_message(pushed: World) -> None:
    asked(pushed)
    dead = push_deliveries.claim(pushed.services)
    assert dead is not None
    pushed.clock.advance(push_deliveries.LEASE_MS / 1000 + 1)
    again = push_deliveries.claim(pushed.services)
    assert again is not None
    push_deliveries.told(pushed.services, dead)  # it was not dead, only slow: not its own any more
    pushed.clock.advance(push_deliveries.LEASE_MS / 1000 + 1)
    assert push_deliveries.claim(pushed.services) is not None


def test_a_request_while_a_message_is_on_its_way_is_told_a_little_later(pushed: World) -> None:
    asked(pushed)
    message = push_deliveries.claim(pushed.services)
    assert message is not None
    asked(pushed)
    push_deliveries.told(pushed.services, message)
    assert push_deliveries.claim(pushed.services) is None
    pushed.clock.advance(QUIET_MS / 1000)
    second = push_deliveries.claim(pushed.services)
    assert second is not None
    push_deliveries.told(pushed.services, second)
    for _ in range(5):  # a portal that floods
        asked(pushed)
    assert push_deliveries.claim(pushed.services) is None
    pushed.clock.advance(QUIET_MS / 1000)
    assert push_deliveries.claim(pushed.services) is not None
    assert push_deliveries.claim(pushed.services) is None


# ---------------------------------------------------------------------------- what is sent


@contextmanager
def a_service(world: World, folder: Path, *answers: int) -> Iterator[tuple[PushService, Teller]]:
    key = folder / "vapid.pem"
    vapid.make_key(key)
    public = vapid.load(key, NAMED.contact).public
    with push_service(folder, public, *answers) as place:
        config = replace(NAMED, key_file=key, hosts=(place.host,), ca=place.ca)
        inside = AsynchronousConfig(callback_networks=("127.0.0.0/8",))
        settings = replace(world.services.config, push=config, asynchronous=inside)
        world.services = replace(world.services, config=settings)
        subscribe(world, place.endpoint())
        yield place, Teller(world.services, config)


def test_a_push_service_takes_our_message_which_says_nothing(world: World, tmp_path: Path) -> None:
    with a_service(world, tmp_path) as (place, teller):
        assert not teller.step()
        asked(world)
        assert teller.step()
        assert not teller.step()
        assert place.judged(world.clock.now_ms()) == ["/send/a"]
    row = world.database.one(select(push_subscription))
    assert row is not None
    assert (row.due_at, row.tries) == (None, 0)


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_its_push_service_knows_no_more_is_forgotten(
    world: World, tmp_path: Path, status: int
) -> None:
    with a_service(world, tmp_path, status) as (_, teller):
        asked(world)
        assert teller.step()
    assert endpoints(world) == []


def test_a_push_service_that_fails_is_left_alone_and_tried_five_times(
    world: World, tmp_path: Path
) -> None:
    moment = [0.0]
    with a_service(world, tmp_path, 500) as (place, _):
        config = world.services.config.push
        assert config is not None
        teller = Teller(world.services, config, lambda: moment[0])
        subscribe(world, place.endpoint("b"))
        asked(world)
        assert teller.step()
        assert teller.step()  # the other browser, of the same service: put off
        assert not teller.step()
        tried = place.judged(world.clock.now_ms())
        assert len(tried) == 1
        other = place.endpoint("b" if tried == ["/send/a"] else "a")
        push_subscriptions.unsubscribe(world.services, world.session, other)
        for pause in SCHEDULE:
            moment[0] += pause + 300
            world.clock.advance(pause)
            world.session = world.new_session()
            asked(world)
            assert teller.step()
        assert len(place.got) == 1 + len(SCHEDULE)
        moment[0] += 300
        world.clock.advance(3600)
        asked(world)  # the next request begins anew
        place.answers = [201]
        assert teller.step()
        assert len(place.got) == 2 + len(SCHEDULE)
        assert not teller.step()


def test_what_nobody_waits_for_any_more_is_not_told(world: World, tmp_path: Path) -> None:
    with a_service(world, tmp_path) as (place, teller):
        activation.deny(world.services, world.session, asked(world))
        assert teller.step()
        assert place.got == []


def test_a_push_service_that_is_named_no_more_or_leads_inside_is_not_asked(
    world: World, tmp_path: Path
) -> None:
    with a_service(world, tmp_path) as (place, _):
        config = world.services.config.push
        assert config is not None
        asked(world)
        outside = replace(world.services.config, asynchronous=AsynchronousConfig())
        assert Teller(replace(world.services, config=outside), config).step()
        assert place.got == []
        world.clock.advance(SCHEDULE[0])
        assert Teller(world.services, replace(config, hosts=("push.example.net",))).step()
        assert (place.got, endpoints(world)) == ([], [])


def test_the_workers_tell_by_themselves_and_end(world: World, tmp_path: Path) -> None:
    with a_service(world, tmp_path) as (place, _):
        asked(world)
        worker = PushWorker(world.services, period=0.01)
        worker.start()
        while not place.got:
            pass
        worker.stop()
    PushWorker(replace(world.services, config=replace(world.services.config, push=None))).start()


# --------------------------------------------------------------------------------- over the wire


def test_the_page_subscribes_and_ends_over_the_api(world: World, tmp_path: Path) -> None:
    app = FastAPI()
    app.include_router(phone_routes.router)
    middleware.install(app)
    headers = {"Authorization": f"Bearer {world.session}"}

    def ask(method: str, path: str, **body: str) -> tuple[int, dict[str, object]]:
        app.state.services = world.services
        given = {"json": body} if method == "POST" else {}
        answer = call(app, method, f"/consent/v1{path}", headers=headers, **given)
        return answer.status_code, answer.json()

    assert ask("GET", "/push")[1]["public_key"] is None
    assert ask("POST", "/push", endpoint=GOOD)[0] == 400
    with a_service(world, tmp_path) as (place, _):
        (tmp_path / "vapid.pem").unlink()  # it was read when the worker started
        told = ask("GET", "/push")[1]
        assert (told["public_key"], told["browsers"]) == (place.public_key, 1)
        assert ask("POST", "/push", endpoint=place.endpoint()) == (200, {})
        assert ask("POST", "/push", endpoint=place.endpoint("b")) == (201, {})
        assert ask("POST", "/push", endpoint=GOOD)[0] == 400
        assert ask("POST", "/push/end", endpoint=place.endpoint("b")) == (200, {"ended": 1})
        assert ask("DELETE", "/push") == (200, {"ended": 1})
    world.opened("quyết định.pdf")
    status, told = ask("GET", "/waiting")
    assert (status, told["waiting"]) == (200, 1)
    sessions.sign_out(world.services, world.session)
    assert ask("GET", "/waiting")[0] == 401
