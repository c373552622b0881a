"""The process's own work: bounded, never ended by a fault, and honest about what is unforeseen."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from sim_adapter import (
    causes,
    db,
    leases,
    migrations,
    registrations,
    signature_format,
    transactions,
)
from sim_adapter.ap.client import OperatorClient
from sim_adapter.app import create_app
from sim_adapter.db import Database
from sim_adapter.deps import open_services
from sim_adapter.errors import SimBusy, TransactionConflict, Unavailable
from sim_adapter.models import callback, sim_transaction
from sim_adapter.mss.model import Signature
from tests.support.sim_adapter import BASE, BEARER, config, world
from tests.support.sim_card import DER, Issuer, p256
from tests.support.sim_orders import NOW, order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.conftest import Databases
    from tests.support.sim_adapter import World


@pytest.fixture
def sim_url(databases: Databases) -> Iterator[str]:
    url = databases.fresh(migrations.upgrade)
    yield url
    databases.drop(url)


@pytest.fixture
def sqlite_url(sqlite_folder: Databases) -> Iterator[str]:
    url = sqlite_folder.fresh(migrations.upgrade)
    yield url
    sqlite_folder.drop(url)


@pytest.fixture
def database(sim_url: str) -> Iterator[Database]:
    opened = Database(sim_url)
    yield opened
    opened.close()


def play(
    folder: Path, url: str, scene: Callable[[World], Awaitable[None]], **operator: Any
) -> None:
    async def run() -> None:
        async with world(folder, url, **operator) as made:
            await scene(made)

    asyncio.run(run())


def test_a_row_is_taken_up_by_one_and_again_when_its_lease_is_over(database: Database) -> None:
    for at in range(5):
        transactions.create(database, order(at, f"8490000000{at}"), NOW)
    first = leases.claim(database, sim_transaction, NOW, 3, 1000)
    second = leases.claim(database, sim_transaction, NOW, 3, 1000)
    assert (len(first), len(second)) == (3, 2)
    assert not {row.id for row in first} & {row.id for row in second}
    assert len(leases.claim(database, sim_transaction, NOW, 9, 1000)) == 0
    assert len(leases.claim(database, sim_transaction, NOW + 1000, 9, 1000)) == 5


def test_the_insert_itself_tells_a_repeat_from_another_body_and_from_a_busy_sim(
    database: Database,
) -> None:
    first, is_new = transactions.create(database, order(1), NOW)
    again, is_new_again = transactions.create(database, order(1), NOW + 5)
    assert (is_new, is_new_again, first) == (True, False, again)
    with pytest.raises(TransactionConflict):
        transactions.create(database, replace(order(1), digest="1" * 64), NOW)
    with pytest.raises(SimBusy):
        transactions.create(database, order(2), NOW)


def _registration(number: int, digest: str = "0" * 64) -> registrations.Order:
    return registrations.Order(
        id=f"registration-{number}",
        digest=digest,
        operator="canned",
        msisdn="84900000001",
        credential_id="credential",
        challenge=bytes(32),
        relying_party="Bộ",
        verification_code="1234",
        algorithm="P256",
        replace=False,
        mode="structure",
        language="vi",
        deadline=NOW + 60_000,
    )


def test_the_same_for_registrations(database: Database) -> None:
    first, _ = registrations.create(database, _registration(1), NOW)
    again, is_new = registrations.create(database, _registration(1), NOW)
    assert (first, is_new) == (again, False)
    with pytest.raises(TransactionConflict):
        registrations.create(database, _registration(1, "1" * 64), NOW)
    with pytest.raises(SimBusy):
        registrations.create(database, _registration(2), NOW)


def test_what_is_old_is_removed_in_steps_and_nothing_else(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "_PRUNED_AT_ONCE", 2)
    for at in range(6):
        transactions.create(database, order(at, f"8490000000{at}"), NOW)
        finished = NOW + at
        transactions.settle(database, f"transaction-{at}", transactions.EXPIRED, None, finished)
    transactions.prune(database, NOW + 5)
    assert [row.id for row in database.all(select(sim_transaction))] == ["transaction-5"]


def test_a_wrong_statement_is_not_taken_for_a_database_that_is_away(database: Database) -> None:
    with pytest.raises(DBAPIError):
        database.one(text("SELECT nonsense FROM nowhere"))


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as connection:
            connection.execute(text("DELETE FROM callback"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert database.one(text("SELECT 1")) is not None


class Holding:
    """An operator that takes calls and holds on to them until ``gate`` opens."""

    def __init__(self, world: World) -> None:
        services = world.services
        few = replace(services.config, timing=replace(services.config.timing, concurrency=2))
        world.dispatcher._services = replace(services, config=few)  # noqa: SLF001 - a small bound
        self.gate = asyncio.Event()
        self.asked: list[object] = []
        services.clients["canned"].ask = self.ask  # type: ignore[assignment,method-assign]  # it holds

    async def ask(self, *arguments: object) -> object:
        self.asked.append(arguments)
        await self.gate.wait()
        raise RuntimeError("after the gate")


async def registered(world: World, number: int) -> None:
    await asyncio.to_thread(
        registrations.create,
        world.services.database,
        replace(_registration(number), msisdn=f"8490000000{number}", deadline=soon(world)),
        world.clock.now_ms(),
    )


def soon(world: World) -> int:
    return world.clock.now_ms() + 60_000


def test_no_more_than_so_many_are_under_way(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        operator = Holding(world)
        for at in range(3):
            await world.put(f"transaction-{at}", msisdn=f"8490000000{at}")
            await registered(world, at)
        assert await world.dispatcher.look() == 2  # of transactions and registrations together
        await asyncio.sleep(0.1)
        assert await world.dispatcher.look() == 0
        assert len(operator.asked) == 2
        world.dispatcher._kicked.clear()  # noqa: SLF001 - whether the loop looks at once
        operator.gate.set()
        await world.dispatcher.settled()
        assert world.dispatcher._kicked.is_set()  # noqa: SLF001 - the same
        operator.gate.clear()
        assert await world.dispatcher.look() == 2
        operator.gate.set()

    play(tmp_path, sim_url, scene)


def test_an_operator_that_hangs_keeps_nobody_else_waiting(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        services = world.services
        operator = Holding(world)
        other = replace(services.clients["canned"].config, name="other")
        services.clients["other"] = OperatorClient(other, httpx.MockTransport(world.operator))
        world.operator.plan(500)
        for at in range(6):
            await world.put(f"transaction-{at}", msisdn=f"8490000000{at}")
        await world.dispatcher.look()
        its_own = replace(order(9, "84900000009"), operator="other", deadline=soon(world))
        transactions.create(services.database, its_own, world.clock.now_ms())
        assert await world.dispatcher.look() == 1
        assert (await world.get("transaction-9", wait=5, version=2))["state"] == "SIGNED"
        await world.dispatcher.look()  # and the call-back that tells of it
        await asyncio.sleep(0.1)
        told = services.database.one(select(callback))
        assert told is not None
        assert told.delivered_at is not None
        assert len(operator.asked) == 2
        operator.gate.set()

    play(tmp_path, sim_url, scene)


def test_a_receiver_that_hangs_keeps_no_operator_waiting(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        operator = Holding(world)

        async def holds(*_arguments: object) -> None:
            await operator.gate.wait()

        world.dispatcher._courier.deliver = holds  # type: ignore[method-assign,union-attr]  # noqa: SLF001 - a receiver that hangs
        for at in range(4):
            its_own = order(at, f"8490000000{at}")
            transactions.create(world.services.database, its_own, world.clock.now_ms())
            over = causes.Ending.own("person_refused", "REFUSED")
            transactions.settle(world.services.database, its_own.id, over, None, 0)
        await world.dispatcher.look()
        await asyncio.sleep(0.1)
        await world.put("transaction-9", msisdn="84900000009")
        await world.dispatcher.look()
        await asyncio.sleep(0.1)
        assert len(operator.asked) == 1
        operator.gate.set()

    play(tmp_path, sqlite_url, scene)


def test_an_unforeseen_fault_costs_one_row_its_turn(
    tmp_path: Path, sim_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(world: World) -> None:
        def breaks(_message: object) -> None:
            raise KeyError("unforeseen")

        world.operator.plan(breaks)
        await world.put()
        await world.work()
        assert (await world.get())["state"] == "CREATED"
        world.clock.advance(60)
        await world.work()
        assert (await world.get())["outcome"]["name"] == "SEND_INTERRUPTED"

    play(tmp_path, sim_url, scene)
    assert any(record.message == "unforeseen" for record in caplog.records)


def test_an_answer_with_a_key_of_no_known_curve_ends_its_row(
    tmp_path: Path, sqlite_url: str
) -> None:
    async def scene(world: World) -> None:
        curve = bytes.fromhex("2a8648ce3d0301")
        certificate = Issuer().issue(p256()).public_bytes(DER)
        other = certificate.replace(curve + b"\x07", curve + b"\x63")
        world.operator.plan(100, Signature(b"x" * 64, other))
        await world.put()
        ended = await world.until("FAILED", "SIGNED")
        assert ended["outcome"]["name"] == "SIGNATURE"
        assert ended["outcome"]["cause"] == causes.say("operator_answer_invalid", "vi")
        assert next_at(world) is None

    play(tmp_path, sqlite_url, scene)


def next_at(world: World) -> int | None:
    row = transactions.known(world.services.database, "transaction-1")
    assert row is not None
    due: int | None = row.next_at
    return due


@pytest.mark.parametrize("end", ["open", "cancelled"])
def test_a_row_that_is_unforeseen_each_time_does_not_come_round_for_ever(
    tmp_path: Path, sqlite_url: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_signature: object) -> None:
        raise KeyError("unforeseen")

    async def scene(world: World) -> None:
        world.operator.plan(100, 500)
        await world.put()
        await world.work()
        if end == "cancelled":
            await world.post("transactions/transaction-1/cancel")
        monkeypatch.setattr(signature_format, "check", breaks)
        for _ in range(200):
            await world.work()
            world.clock.advance(1)
        members = await world.get()
        expected = {"open": "OPERATOR_ANSWER_INVALID", "cancelled": "CANCELLED"}
        assert members["outcome"]["name"] == expected[end]
        assert next_at(world) is None
        assert len(world.operator.asked) < 40  # of 200 looks: five, or until the grace is over

    play(tmp_path, sqlite_url, scene)


@pytest.mark.parametrize("late", ["synch", "asynchClientServer"])
def test_cancelled_while_the_question_is_on_its_way(
    tmp_path: Path, sim_url: str, late: str
) -> None:
    async def scene(world: World) -> None:
        await world.put()

        def cancelled_meanwhile(message: Any) -> Any:
            now = world.clock.now_ms()
            transactions.cancel(world.services.database, "transaction-1", now)
            code = 500 if late == "synch" else 100
            return world.operator.answer(message, code)

        world.operator.plan(cancelled_meanwhile, 500)
        for _ in range(20):
            await world.work()
            world.clock.advance(1)
        members = await world.get()
        assert (members["state"], members["signature"]) == ("CANCELLED", None)
        row = transactions.known(world.services.database, "transaction-1")
        assert row is not None
        assert row.late_signature is not None

    play(tmp_path, sim_url, scene, mode=late)


def test_what_waited_beyond_its_deadline_is_not_sent(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        await world.put()
        world.clock.advance(121)
        await world.work()
        assert (await world.get())["state"] == "EXPIRED"
        assert world.operator.asked == []

    play(tmp_path, sim_url, scene)


def test_an_operator_that_never_decides_in_synch_mode(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100)
        await world.put()
        await world.work()
        assert (await world.get())["outcome"]["name"] == "OPERATOR_ANSWER_INVALID"

    play(tmp_path, sim_url, scene, mode="synch")


def test_the_application_works_by_itself_and_survives_its_database(
    tmp_path: Path, sim_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With its own loop: a look that fails is logged, and the next one finds the work."""

    async def scene() -> None:
        loaded = config(tmp_path, sim_url)
        services = open_services(loaded)
        app = create_app(loaded, services)
        headers = {"Authorization": f"Bearer {BEARER}"}
        asgi = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=asgi, base_url=BASE, headers=headers) as http,
        ):
            look, fails = app.state.dispatcher.look, iter([True])

            async def looks() -> int:
                if next(fails, False):
                    raise Unavailable("the database is away")
                found: int = await look()
                return found

            app.state.dispatcher.look = looks
            order = {
                "msisdn": "84900000001",
                "mode": "text",
                "display_text": "Ký",
                "verification_code": "4821",
                "consent": "AAAA",
                "deadline": services.now_ms() + 60_000,
            }
            made = await http.put("/v1/transactions/transaction-1", json=order)
            assert made.status_code == 201
            path, members = "/v1/transactions/transaction-1", made.json()
            while members["state"] == "CREATED":
                answer = await http.get(path, params={"wait": 20, "version": 1})
                members = answer.json()
            assert members["outcome"]["name"] == "OPERATOR_UNREACHABLE"

    asyncio.run(scene())
    assert any("looking for work failed" in record.message for record in caplog.records)


def test_an_unforeseen_error_is_500_with_the_request_id_and_nothing_else(
    tmp_path: Path, sim_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(world: World) -> None:
        world.services.database.all(text("DROP TABLE sim_transaction"))
        # A database of another shape is an error of the driver that nothing here foresees.
        answer = await world.http.get(
            "/v1/transactions/transaction-1", headers={"X-Request-Id": "request-1234"}
        )
        assert answer.status_code == 500
        assert answer.json()["request_id"] == "request-1234"
        assert "sim_transaction" not in answer.text

    play(tmp_path, sim_url, scene)
    assert caplog.get_records("call")
    assert logging.getLogger("sim_adapter").level == logging.NOTSET
