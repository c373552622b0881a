"""Readiness: true when it is, false when it is not, and an answer whatever hangs."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from fastapi import FastAPI
from sqlalchemy import text

from remote_signing.errors import SamUnavailable
from remote_signing.rssp import health
from remote_signing.rssp.health import DOWN, OK, Health
from tests.support.asgi import call
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import pytest

    from tests.support.postgres import PostgresServer
    from tests.support.world import World

ALL_WELL = {"database": OK, "migrations": OK, "sam": OK, "hsm:fake": OK}


def asked(world: World) -> Callable[[], httpx.Response]:
    app = FastAPI()
    app.state.services = world.services
    app.state.health = Health(world.services)
    app.include_router(health.router)
    return lambda: call(app, "GET", "/readyz")


def test_a_service_that_can_work_is_ready_until_it_drains(world: World) -> None:
    ready = asked(world)
    assert (ready().status_code, ready().json()["checks"]) == (200, ALL_WELL)
    world.services.drain.started = True
    answer = ready()
    assert (answer.status_code, answer.json()["checks"]["draining"]) == (503, DOWN)


def test_the_state_is_found_out_once_a_second(world: World) -> None:
    found = Health(world.services)
    for seconds, calls in ((0, 1), (0.9, 1), (0.1, 2)):
        world.clock.advance(seconds)
        assert found.report().ready
        assert world.sam.calls["status"] == calls


def test_what_is_missing_is_told(world: World) -> None:
    ready = asked(world)
    world.sam.faults["status"] = [SamUnavailable("gone")]
    answer = ready()
    assert (answer.status_code, answer.json()["checks"]) == (
        503,
        {"database": OK, "migrations": OK, "sam": DOWN},
    )
    world.clock.advance(1)
    world.sam.healthy = False
    assert ready().json()["checks"]["hsm:fake"] == DOWN


def test_a_schema_of_an_older_version_is_not_ready(world: World) -> None:
    world.database.run(text("UPDATE alembic_version SET version_num = '0001'"))
    assert Health(world.services).report().checks["migrations"] == DOWN


def test_a_crowd_at_work_does_not_make_it_unready(world: World) -> None:
    found = Health(world.services)
    with ExitStack() as crowd:
        for _ in range(20):  # every connection of the pool
            crowd.enter_context(world.database.engine.connect())
        assert found.report().ready


def test_a_database_that_hangs_is_down_and_comes_back(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_world(postgres_server) as world:
        ready = asked(world)
        assert ready().status_code == 200
        monkeypatch.setattr(health, "_PATIENCE", 0.3)
        pids = world.database.all(
            text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        )
        for row in pids:
            os.kill(row.pid, signal.SIGSTOP)
        try:
            world.clock.advance(4)
            assert ready().status_code == 200, "what was found still counts"
            world.clock.advance(1)
            begun = time.monotonic()
            answers = [ready() for _ in range(3)]
            assert time.monotonic() - begun < 2
            assert {answer.status_code for answer in answers} == {503}
            assert answers[0].json()["checks"] == {"answer": DOWN}
        finally:
            for row in pids:
                os.kill(row.pid, signal.SIGCONT)
        deadline = time.monotonic() + 20
        while ready().status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
