"""The rssp is told at least once, whatever its receiver does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import select, update

from sim_adapter import callbacks, migrations
from sim_adapter.config import CallbackConfig, ConfigInvalid
from sim_adapter.dispatcher import Dispatcher
from sim_adapter.models import callback
from tests.support.sim_adapter import WEBHOOK_SECRETS, world

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.conftest import Databases
    from tests.support.sim_adapter import World

MESSAGES = int(os.environ.get("SIM_CALLBACKS", "12"))


@pytest.fixture
def sim_url(databases: Databases) -> Iterator[str]:
    url = databases.fresh(migrations.upgrade)
    yield url
    databases.drop(url)


class Receiver:
    """Answers with what ``answers`` gives; keeps what it was sent."""

    def __init__(self, answers: Callable[[], int | Exception]) -> None:
        self.answers = answers
        self.taken: list[httpx.Request] = []
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers()
        if isinstance(answer, Exception):
            raise answer
        if 200 <= answer < 300:
            self.taken.append(request)
        return httpx.Response(answer)


def play(
    folder: Path,
    url: str,
    receiver: Receiver,
    scene: Callable[[World], Awaitable[None]],
) -> None:
    async def run() -> None:
        async with world(folder, url) as made:
            transport = httpx.MockTransport(receiver)
            dispatcher = Dispatcher(made.services, transport)
            made.dispatcher = dispatcher
            made.operator.plan(401)
            await scene(made)
            await dispatcher.stop(1)

    asyncio.run(run())


async def refused(world: World, count: int = 1) -> None:
    """Transactions that have come to their end, and want the rssp to be told."""
    for at in range(count):
        await world.put(f"transaction-{at}", callback=True)
        await world.work()


def check_signature(request: httpx.Request) -> None:
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.content
    expected = [
        "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        for key in (base64.b64decode(secret.removeprefix("whsec_")) for secret in WEBHOOK_SECRETS)
    ]
    assert headers["webhook-signature"].split(" ") == expected


def test_an_ending_is_told_signed_with_each_secret(tmp_path: Path, sim_url: str) -> None:
    receiver = Receiver(lambda: 204)

    async def scene(world: World) -> None:
        await refused(world)

    play(tmp_path, sim_url, receiver, scene)
    (request,) = receiver.taken
    check_signature(request)
    body: dict[str, Any] = json.loads(request.content)
    assert body["type"] == "transaction.finished"
    assert body["data"] == {"id": "transaction-0", "state": "REFUSED", "version": 2}


def test_who_did_not_ask_is_not_told(tmp_path: Path, sim_url: str) -> None:
    receiver = Receiver(lambda: 204)

    async def scene(world: World) -> None:
        await world.put(callback=False)
        await world.work()
        assert (await world.get())["state"] == "REFUSED"

    play(tmp_path, sim_url, receiver, scene)
    assert receiver.seen == []


def test_a_receiver_that_fails_again_and_again_is_told_at_last(
    tmp_path: Path, sim_url: str
) -> None:
    chance = random.Random(3)  # noqa: S311 - an order that can be repeated

    def answers() -> int | Exception:
        choices: list[int | Exception] = [
            204,
            500,
            503,
            httpx.ConnectError("refused"),
            httpx.ReadTimeout("late"),
            302,
        ]
        return chance.choice(choices)

    receiver = Receiver(answers)

    async def scene(world: World) -> None:
        await refused(world, MESSAGES)
        for _ in range(4000):
            await world.work()
            if len({r.headers["webhook-id"] for r in receiver.taken}) == MESSAGES:
                break
            world.clock.advance(30)
        rows = world.services.database.all(select(callback))
        assert all(row.delivered_at is not None for row in rows)

    play(tmp_path, sim_url, receiver, scene)
    told = Counter(json.loads(request.content)["data"]["id"] for request in receiver.taken)
    assert set(told) == {f"transaction-{at}" for at in range(MESSAGES)}
    for request in receiver.seen:
        check_signature(request)
    print(
        f"{MESSAGES} messages, {len(receiver.seen)} attempts,"
        f" {MESSAGES - len(told)} lost, {sum(told.values()) - len(told)} repeated"
    )


def test_a_message_has_one_id_however_often_it_is_sent(tmp_path: Path, sim_url: str) -> None:
    receiver = Receiver(lambda: 500)

    async def scene(world: World) -> None:
        await refused(world)
        for _ in range(20):
            world.clock.advance(5)
            await world.work()

    play(tmp_path, sim_url, receiver, scene)
    assert len(receiver.seen) > 3
    assert len({request.headers["webhook-id"] for request in receiver.seen}) == 1
    assert len({request.headers["webhook-timestamp"] for request in receiver.seen}) > 3


def test_pauses_grow_to_five_minutes_and_end_after_a_day_with_an_alarm(
    tmp_path: Path, sim_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver(lambda: 500)

    async def scene(world: World) -> None:
        await refused(world)
        began = world.clock.now_ms()
        attempts = [0.0]
        while (row := world.services.database.one(select(callback))) and row.next_at is not None:
            world.clock.advance((row.next_at - world.clock.now_ms()) / 1000)
            await world.work()
            attempts.append((world.clock.now_ms() - began) / 1000)
        pauses = [later - one for one, later in itertools.pairwise(attempts)]
        assert pauses[:5] == [1, 2, 4, 8, 16]
        assert max(pauses) == callbacks.LONGEST_PAUSE
        assert 86_000 < attempts[-1] <= 86_400

    play(tmp_path, sim_url, receiver, scene)
    assert any("alarm: a call-back was given up" in record.message for record in caplog.records)


def test_a_process_that_died_while_delivering_delivers_again(tmp_path: Path, sim_url: str) -> None:
    receiver = Receiver(lambda: 204)

    async def scene(world: World) -> None:
        await refused(world)
        database = world.services.database
        now = world.clock.now_ms()
        # As if it had been sent and the note of it had been lost with the process.
        database.all(update(callback).values(delivered_at=None, next_at=now + 1000))
        world.clock.advance(2)
        await world.work()

    play(tmp_path, sim_url, receiver, scene)
    assert len(receiver.taken) == 2


@pytest.mark.parametrize("secret", ["plain", "whsec_", "whsec_AAAA", "whsec_*", ""])
def test_a_secret_of_another_shape_is_refused(tmp_path: Path, secret: str) -> None:
    path = tmp_path / "hook"
    path.write_text(secret, encoding="utf-8")
    with pytest.raises(ConfigInvalid):
        callbacks.read_secrets(CallbackConfig("http://127.0.0.1", (path,)))
