"""Webhooks on both databases: written with the answer, delivered as promised, believed by others.

What a receiver gets is judged by the public ``standardwebhooks`` package.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text, update
from standardwebhooks import Webhook, WebhookVerificationError

from remote_signing.errors import InvalidInput
from remote_signing.rssp import (
    activation,
    audit,
    callback,
    clients,
    webhook_deliveries,
    webhook_worker,
    webhooks,
)
from remote_signing.rssp.activation import Channel, Denial
from remote_signing.rssp.config import AsynchronousConfig, WebhookConfig
from remote_signing.rssp.config_tables import ConfigInvalid
from remote_signing.rssp.models import webhook_delivery, webhook_endpoint, webhook_secret
from remote_signing.rssp.webhook_deliveries import SCHEDULE
from tests.support.webhook_receiver import receiver
from tests.support.world import PORTAL, REDIRECT, new_world

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Row

    from tests.support.postgres import PostgresServer
    from tests.support.webhook_receiver import Receiver
    from tests.support.world import World

_ROW = webhook_delivery.c
WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
INSIDE = AsynchronousConfig(callback_networks=("127.0.0.0/8",))


@pytest.fixture
def told(world: World, tmp_path: Path) -> World:
    """A world whose installation sends webhooks, also to this machine."""
    return with_webhooks(world, tmp_path / "key")


def with_webhooks(world: World, key: Path) -> World:
    webhooks.make_key(key)
    settings = WebhookConfig(key_files=(key,))
    config = replace(world.services.config, webhooks=settings, asynchronous=INSIDE)
    world.services = replace(world.services, config=config)
    return world


def asked(world: World, **changes: Any) -> activation.Requested:
    new = world.request(channel=Channel.DECOUPLED, redirect_uri=None, **changes)
    return activation.request_activation(world.services, new)


def denied(world: World, denial: Denial | None = None, **changes: Any) -> str:
    """A request that was refused; its id."""
    name = asked(world, **changes).activation_id
    activation.deny(world.services, world.session, name, denial)
    return name


def rows(world: World) -> Sequence[Row[Any]]:
    return world.database.all(select(webhook_delivery).order_by(_ROW.happened_at, _ROW.id))


def step(world: World) -> bool:
    config = world.services.config.webhooks
    assert config is not None
    sealing = webhooks.Sealing.load(config.key_files)
    return webhook_worker.step(world.services, sealing)


def verified(secret: str, headers: dict[str, str], body: bytes, at_ms: int) -> Any:
    """What the portal makes of it, at a time of its own."""
    checked = Webhook(secret)
    # The package compares with the machine's clock; the signature is over the world's.
    now = datetime.now(tz=UTC)
    distance = now - datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    assert abs(distance) > timedelta(minutes=5)  # the world's clock stands elsewhere
    with pytest.raises(WebhookVerificationError):
        checked.verify(body, headers)
    stamp = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=UTC)
    signature = checked.sign(headers["webhook-id"], stamp, body.decode())
    assert signature in headers["webhook-signature"].split(" ")
    return json.loads(body)


# ------------------------------------------------------------------------------ what is written


def test_each_answer_is_written_down_with_the_change_itself(told: World) -> None:
    webhooks.register(told.services, PORTAL, "http://127.0.0.1:1/")
    returned = denied(told, Denial("returned", "form", "Thiếu dấu"))
    plain = denied(told)
    approved = asked(told).activation_id
    told.approve(approved)
    late = asked(told).activation_id
    withdrawn = asked(told)
    activation.revoke(told.services, withdrawn.ticket, PORTAL)
    told.clock.advance(301)
    activation.expire(told.services)
    bodies = {row.activation_id: json.loads(webhook_deliveries.body(row)) for row in rows(told)}
    kinds = {name: members["type"] for name, members in bodies.items()}
    assert kinds == {
        returned: "authorization.returned",
        plain: "authorization.refused",
        approved: "authorization.approved",
        late: "authorization.expired",
        withdrawn.activation_id: "authorization.withdrawn",
    }
    denial = {"kind": "returned", "reason": "form", "text": "Thiếu dấu"}
    assert bodies[returned]["data"] == {"activationID": returned, "denial": denial}
    assert bodies[approved]["data"] == {"activationID": approved}
    assert {row.state for row in rows(told)} == {"WAITING"}


def test_a_client_without_an_address_and_a_browsers_flow_leave_no_row(told: World) -> None:
    denied(told)
    webhooks.register(told.services, PORTAL, "http://127.0.0.1:1/")
    activation.deny(told.services, told.session, told.opened())
    assert rows(told) == []


def test_an_answer_costs_no_further_statement(told: World) -> None:
    webhooks.register(told.services, PORTAL, "http://127.0.0.1:1/")
    name = asked(told).activation_id
    with told.counted() as statements:
        activation.deny(told.services, told.session, name)
    assert (len(statements), len(rows(told))) == (1, 1)


# ---------------------------------------------------------------------------- what is delivered


def test_the_portals_library_believes_what_it_gets_and_nothing_that_was_changed(
    told: World,
) -> None:
    with receiver() as place:
        secret = webhooks.register(told.services, PORTAL, place.url)
        assert secret is not None
        name = denied(told, Denial("returned", "content"))
        assert step(told)
        assert not step(told)
    ((headers, body),) = place.got
    members = verified(secret, headers, body, told.clock.now_ms())
    assert members["data"]["activationID"] == name
    assert headers["content-type"] == "application/json"
    library = Webhook(secret)
    sent = headers | {"webhook-timestamp": str(int(datetime.now(tz=UTC).timestamp()))}
    now = datetime.now(tz=UTC)
    fresh = sent | {"webhook-signature": library.sign(sent["webhook-id"], now, body.decode())}
    fresh["webhook-timestamp"] = str(int(now.timestamp()))
    assert library.verify(body, fresh) == members
    for changed in (
        {"webhook-id": "x"},
        {"webhook-timestamp": str(int(now.timestamp()) + 1)},
        {"webhook-timestamp": str(int(now.timestamp()) - 301)},  # replayed later
        {"webhook-signature": "v1,AAAA"},
    ):
        with pytest.raises(WebhookVerificationError):
            library.verify(body, fresh | changed)
    with pytest.raises(WebhookVerificationError):
        library.verify(body.replace(b"returned", b"approved"), fresh)


def test_our_signature_at_this_hour_is_good_and_at_another_it_is_not() -> None:
    message = webhook_deliveries.Claimed("m_1", PORTAL, "", b'{"a":1}', 1, 0)
    secrets = (b"a" * 32, b"b" * 32)
    now = int(datetime.now(tz=UTC).timestamp() * 1000)
    for secret in secrets:
        library = Webhook(webhooks.PREFIX + base64.b64encode(secret).decode())
        good = webhook_deliveries.headers(message, secrets, now)
        assert library.verify(message.body, good) == {"a": 1}
        for at in (now - 301_000, now + 310_000):
            replayed = webhook_deliveries.headers(message, secrets, at)
            with pytest.raises(WebhookVerificationError):
                library.verify(message.body, replayed)


def test_two_secrets_sign_while_a_portal_changes_from_one_to_the_next(told: World) -> None:
    with receiver() as place:
        first = webhooks.register(told.services, PORTAL, place.url)
        told.clock.advance(1)
        second = webhooks.rotate(told.services, PORTAL)
        denied(told)
        step(told)
        assert webhooks.retire(told.services, PORTAL)
        assert not webhooks.retire(told.services, PORTAL)
        denied(told)
        step(told)
    assert first is not None
    (both, body), (one, other_body) = place.got
    for secret in (first, second):
        verified(secret, both, body, told.clock.now_ms())
    verified(second, one, other_body, told.clock.now_ms())
    assert len(one["webhook-signature"].split(" ")) == 1


def test_a_third_secret_ends_the_first(told: World) -> None:
    webhooks.register(told.services, PORTAL, "http://127.0.0.1:1/")
    for _ in range(3):
        told.clock.advance(1)
        webhooks.rotate(told.services, PORTAL)
    (endpoint,) = webhooks.listed(told.services)
    assert endpoint.secrets == 2


# -------------------------------------------------------------------------- a failing receiver


def fail_step(told: World, place: Receiver, answer: str) -> str:
    """One try that fails; why."""
    place.answers[:] = [answer]
    assert step(told)
    (row,) = rows(told)
    assert row.state == "WAITING"
    return str(row.cause)


def test_a_receiver_that_fails_in_every_way_gets_the_message_in_the_end(
    told: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as place:
        secret = webhooks.register(told.services, PORTAL, place.url)
        assert secret is not None
        denied(told)
        causes = []
        for number, answer in enumerate(("500", "hang", "cut", "302", "drip")):
            with monkeypatch.context() as patience:
                if answer in {"hang", "drip"}:
                    patience.setattr(callback, "_SECONDS", 0.5)
                    patience.setattr(callback, "_SECONDS_IN_ALL", 1.0)
                causes.append(fail_step(told, place, answer))
            assert not step(told)  # not before its time
            told.clock.advance(SCHEDULE[number] * 1.1 + 60)
        place.answers[:] = ["204"]
        assert step(told)
    assert [cause.split(":")[0] for cause in causes] == [
        "HTTP 500",
        "ReadTimeout",
        "RemoteProtocolError",
        "HTTP 302",
        "TimeoutError",
    ]
    (row,) = rows(told)
    assert (row.state, row.tries, row.cause) == ("DELIVERED", 6, None)
    assert len({headers["webhook-id"] for headers, _ in place.got}) == 1
    assert len({body for _, body in place.got}) == 1
    assert len({headers["webhook-signature"] for headers, _ in place.got}) == 6
    for headers, body in place.got:
        verified(secret, headers, body, told.clock.now_ms())


def test_tries_follow_the_schedule_and_end_as_dead_until_an_operator_requeues(
    told: World,
) -> None:
    with receiver("500") as place:
        webhooks.register(told.services, PORTAL, place.url)
        denied(told)
        waits = []
        while step(told):
            (row,) = rows(told)
            if row.state == "DEAD":
                break
            wait = (row.due_at - told.clock.now_ms()) / 1000
            waits.append(wait)
            told.clock.advance(wait - 0.001)
            assert not step(told)
            told.clock.advance(60)
        assert len(place.got) == len(SCHEDULE) + 1
        for wait, promised in zip(waits, SCHEDULE, strict=True):
            assert promised <= wait <= promised * 1.1
        (row,) = webhook_deliveries.dead(told.services, PORTAL)
        assert (row.cause, row.due_at) == ("HTTP 500", None)
        assert webhook_deliveries.dead(told.services, "other") == []
        place.answers[:] = ["200"]
        assert webhook_deliveries.requeue(told.services, client_id="other") == 0
        assert webhook_deliveries.requeue(told.services, message_id=row.id) == 1
        told.clock.advance(60)
        assert step(told)
    (row,) = rows(told)
    assert (row.state, row.tries) == ("DELIVERED", 1)
    kinds = [event.kind for event in audit.events(told.database) if "webhook" in event.kind]
    assert kinds == ["webhook.registered", "webhook.dead", "webhook.requeued"]


def test_a_failing_receiver_holds_one_worker_and_nobody_elses_messages(told: World) -> None:
    with receiver("500") as place:
        webhooks.register(told.services, PORTAL, place.url)
        for _ in range(3):
            denied(told)
        assert step(told)
        # The others of this receiver wait too, for some seconds.
        assert not step(told)
        told.clock.advance(6)
        first = webhook_deliveries.claim(told.services)
        assert first is not None
        assert webhook_deliveries.claim(told.services) is None
        place.answers[:] = ["200"]
        webhook_deliveries.delivered(told.services, first)
        assert step(told)
        assert step(told)
    assert {row.state for row in rows(told)} == {"DELIVERED"}


def test_a_worker_that_dies_delays_a_message_by_its_lease_and_loses_nothing(told: World) -> None:
    with receiver() as place:
        webhooks.register(told.services, PORTAL, place.url)
        denied(told)
        dying = webhook_deliveries.claim(told.services)
        assert dying is not None
        assert not step(told)
        told.clock.advance(webhook_deliveries.LEASE_MS / 1000)
        assert step(told)
        # The first one was only slow. What it says now does not count any more.
        assert webhook_deliveries.failed(told.services, dying, "too late")
        webhook_deliveries.delivered(told.services, dying)
    (row,) = rows(told)
    assert (row.state, row.tries, len(place.got)) == ("DELIVERED", 2, 1)


def test_an_address_that_came_to_lead_inside_is_not_called(told: World) -> None:
    with receiver() as place:
        webhooks.register(told.services, PORTAL, place.url)
        denied(told)
        outside = replace(told.services.config, asynchronous=AsynchronousConfig())
        told.services = replace(told.services, config=outside)
        assert step(told)
    assert place.got == []
    (row,) = rows(told)
    assert row.cause.startswith("InvalidInput")


def register_other(world: World) -> str:
    new = clients.NewClient("other-portal", "Trục văn bản", "client_secret_basic", (REDIRECT,))
    clients.register(world.database, world.clock, new)
    return new.client_id


def test_a_secret_that_cannot_be_opened_holds_up_nobody_elses_messages(
    told: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, other = told.services.config, register_other(told)
    webhooks.make_key(tmp_path / "gone")
    before = replace(config, webhooks=WebhookConfig(key_files=(tmp_path / "gone",)))
    with receiver() as place:
        webhooks.register(replace(told.services, config=before), PORTAL, place.url)
        webhooks.register(told.services, other, place.url)
        for client in (PORTAL, PORTAL, other):
            denied(told, client_id=client)
        assert step(told)
        assert step(told)
        assert not step(told)
    assert len(place.got) == 1
    states = {(row.client_id, row.state, row.cause) for row in rows(told)}
    assert states == {
        (PORTAL, "WAITING", "secret cannot be opened"),
        (PORTAL, "WAITING", None),
        (other, "DELIVERED", None),
    }
    assert [(each.client_id, each.failures) for each in webhooks.listed(told.services)] == [
        (other, 0),
        (PORTAL, 1),
    ]
    assert "alarm: a webhook's secret cannot be opened" in caplog.text


# ------------------------------------------------------------------------- addresses and secrets


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "https://169.254.169.254/", "https://[::1]/", "ftp://x/", "https://u@x/"],
)
def test_an_address_inside_is_not_registered(told: World, url: str) -> None:
    outside = replace(told.services.config, asynchronous=AsynchronousConfig())
    told.services = replace(told.services, config=outside)
    with pytest.raises(InvalidInput) as caught:
        webhooks.register(told.services, PORTAL, url)
    assert caught.value.public == {"parameter": "url"}


def test_a_client_must_be_there_and_must_have_an_address(told: World) -> None:
    with pytest.raises(InvalidInput):
        webhooks.register(told.services, "nobody", "http://127.0.0.1:1/")
    with pytest.raises(InvalidInput):
        webhooks.rotate(told.services, PORTAL)
    assert not webhooks.remove(told.services, PORTAL)


def test_another_address_keeps_the_secrets(told: World) -> None:
    assert webhooks.register(told.services, PORTAL, "http://127.0.0.1:1/")
    assert webhooks.register(told.services, PORTAL, "http://127.0.0.1:2/") is None
    (endpoint,) = webhooks.listed(told.services)
    assert (endpoint.url, endpoint.secrets) == ("http://127.0.0.1:2/", 1)


def test_a_removed_client_is_told_nothing_and_can_be_told_again(told: World) -> None:
    webhooks.register(told.services, PORTAL, "http://127.0.0.1:1/")
    denied(told)
    assert webhooks.remove(told.services, PORTAL)
    denied(told)
    (row,) = rows(told)
    assert (row.state, row.cause) == ("DEAD", "no address")
    assert webhook_deliveries.requeue(told.services, client_id=PORTAL) == 0
    webhooks.register(told.services, PORTAL, "http://127.0.0.1:1/")
    assert webhook_deliveries.requeue(told.services, client_id=PORTAL) == 1


def test_a_removal_and_a_worker_wait_for_each_other_in_one_order(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A worker holds a message, then its address, in one transaction; so must who removes both."""
    with new_world(postgres_server) as world:
        told = with_webhooks(world, tmp_path / "key")
        webhooks.register(told.services, PORTAL, "http://127.0.0.1:1/")
        denied(told)
        removed: list[bool] = []
        removal = threading.Thread(
            target=lambda: removed.append(webhooks.remove(told.services, PORTAL))
        )
        watcher = told.database.apart()
        with told.database.transaction() as connection:
            connection.execute(select(webhook_delivery).with_for_update())
            removal.start()
            deadline = time.monotonic() + 30
            while watcher.one(WAITING) == (0,):
                assert time.monotonic() < deadline, "nobody waits"
                time.sleep(0.01)
            connection.execute(update(webhook_endpoint).values(failures=1))
        removal.join()
        assert removed == [True]
        assert [row.state for row in rows(told)] == ["DEAD"]


def test_the_database_alone_gives_no_secret_and_an_altered_row_none_either(
    told: World, tmp_path: Path
) -> None:
    secret = webhooks.register(told.services, PORTAL, "http://127.0.0.1:1/")
    assert secret is not None
    clear = base64.b64decode(secret.removeprefix(webhooks.PREFIX))
    row = told.database.one(select(webhook_secret))
    assert row is not None
    assert clear not in bytes(row.sealed)
    mine = webhooks.Sealing.load((tmp_path / "key",))
    assert webhooks.open_secrets(told.services, mine, PORTAL) == (clear,)
    webhooks.make_key(tmp_path / "other")
    strange = webhooks.Sealing.load((tmp_path / "other",))
    with pytest.raises(ConfigInvalid, match="missing"):
        webhooks.open_secrets(told.services, strange, PORTAL)
    both = webhooks.Sealing.load((tmp_path / "other", tmp_path / "key"))
    assert webhooks.open_secrets(told.services, both, PORTAL) == (clear,)
    altered = bytes(row.sealed[:-1]) + bytes([row.sealed[-1] ^ 1])
    told.database.run(update(webhook_secret).values(sealed=altered))
    with pytest.raises(ConfigInvalid, match="altered"):
        webhooks.open_secrets(told.services, mine, PORTAL)


def test_secrets_are_in_no_log_and_no_audit_row(
    told: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"), receiver("500") as place:
        secret = webhooks.register(told.services, PORTAL, place.url)
        denied(told)
        step(told)
    assert secret is not None
    ((headers, _),) = place.got
    kept = str([record.__dict__ for record in caplog.records])
    kept += str([tuple(event) for event in audit.events(told.database)])
    for private in (secret, secret.removeprefix(webhooks.PREFIX), headers["webhook-signature"]):
        assert private not in kept


@pytest.mark.parametrize("content", ["", "x", "AAAA", "é"])
def test_a_key_file_that_is_none_is_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(ConfigInvalid, match="key"):
        webhooks.Sealing.load((file,))


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    webhooks.make_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o440)
    webhooks.Sealing.load((tmp_path / "key",))
    (tmp_path / "key").chmod(0o404)
    with pytest.raises(ConfigInvalid, match="chmod"):
        webhooks.Sealing.load((tmp_path / "key",))
    with pytest.raises(FileExistsError):
        webhooks.make_key(tmp_path / "key")


def test_without_the_table_nothing_runs(world: World) -> None:
    with pytest.raises(ConfigInvalid):
        webhooks.register(world.services, PORTAL, "https://portal.example/")
    worker = webhook_worker.WebhookWorker(world.services)
    worker.start()
    worker.stop()


def test_the_workers_of_a_process_deliver_what_waits(told: World) -> None:
    with receiver() as place:
        webhooks.register(told.services, PORTAL, place.url)
        denied(told)
        worker = webhook_worker.WebhookWorker(told.services, period=0.02)
        worker.start()
        for _ in range(500):
            if place.got and rows(told)[0].state == "DELIVERED":
                break
            place.ended.wait(0.02)
        worker.stop()
    assert [row.state for row in rows(told)] == ["DELIVERED"]


def test_delivered_messages_go_after_a_week_and_dead_ones_stay_longer(told: World) -> None:
    with receiver() as place:
        webhooks.register(told.services, PORTAL, place.url)
        denied(told)
        step(told)
    told.clock.advance(1)
    told.session = told.new_session()
    denied(told)
    told.database.run(
        update(webhook_delivery)
        .where(_ROW.state == "WAITING")
        .values(state="DEAD", due_at=None, settled_at=told.clock.now_ms())
    )
    told.clock.advance(7 * 86_400)
    assert webhook_deliveries.prune(told.services) == 1
    assert [row.state for row in rows(told)] == ["DEAD"]
    told.clock.advance(24 * 86_400)
    assert webhook_deliveries.prune(told.services) == 1
