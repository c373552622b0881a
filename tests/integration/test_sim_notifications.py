"""Operators that call: what they may say, and what is kept of it."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from sim_adapter import migrations
from sim_adapter.models import callback, sim_transaction
from sim_adapter.mss import rest, soap
from sim_adapter.mss.model import Fault, ReceiptReq, Signature, SignatureReq, Status, StatusResp
from tests.support.mss_schema import errors
from tests.support.sim_adapter import CMS, NOTIFICATION_SECRET, NUMBER, world

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.conftest import Databases
    from tests.support.sim_adapter import World

PATH = f"/mss/notification/canned/{NOTIFICATION_SECRET}"
SOAP, JSON = {"Content-Type": soap.MEDIA_TYPE}, {"Content-Type": rest.MEDIA_TYPE}
DELIVERIES = int(os.environ.get("SIM_DELIVERIES", "40"))


@pytest.fixture
def sim_url(databases: Databases) -> Iterator[str]:
    url = databases.fresh(migrations.upgrade)
    yield url
    databases.drop(url)


def play(
    folder: Path, url: str, scene: Callable[[World], Awaitable[None]], **operator: Any
) -> None:
    async def run() -> None:
        async with world(folder, url, mode="asynchServerServer", **operator) as made:
            await scene(made)

    asyncio.run(run())


async def asked(world: World, name: str = "transaction-1", **changes: Any) -> SignatureReq:
    """A transaction that the operator has taken; its request."""
    world.operator.plan(100)
    assert (await world.put(name, **changes)).status_code == 201
    await world.work()
    request = world.operator.asked[-1]
    assert isinstance(request, SignatureReq)
    return request


def told(request: SignatureReq, code: int = 500, **changes: Any) -> StatusResp:
    signature = CMS if 500 <= code <= 503 else None
    message = StatusResp(request.head, request.msisdn, Status(code), signature, "M1")
    return replace(message, **changes)


async def notify(world: World, message: StatusResp, path: str = PATH) -> httpx.Response:
    return await world.http.post(path, content=soap.write_request(message), headers=SOAP)


def test_the_operator_is_told_where_to_call(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        request = await asked(world)
        assert request.mode == "asynchServerServer"
        assert request.head.ap.url == f"http://127.0.0.1:9{PATH}"

    play(tmp_path, sim_url, scene)


def test_a_notification_ends_the_transaction_and_is_answered(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        request = await asked(world)
        answer = await notify(world, told(request))
        assert (answer.status_code, errors(answer.content)) == (200, [])
        taken = soap.read_answer(answer.content, "MSS_Notification")
        assert isinstance(taken, ReceiptReq)
        assert taken.status is not None
        assert (taken.trans_id, taken.status.code) == ("M1", 601)
        assert (await world.get())["state"] == "SIGNED"

    play(tmp_path, sim_url, scene)


def test_a_notification_in_json(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        request = await asked(world)
        body = rest.write_message(told(request, 401))
        answer = await world.http.post(PATH, content=body, headers=JSON)
        assert isinstance(rest.read_answer(answer.content, "MSS_Notification"), ReceiptReq)
        assert (await world.get())["state"] == "REFUSED"
        refused = await world.http.post(PATH, content=b"{}", headers=JSON)
        assert refused.status_code == 500

    play(tmp_path, sim_url, scene, wire="json")


STRANGE: dict[str, Callable[[SignatureReq], StatusResp]] = {
    "AP_TransID": lambda r: told(r, head=replace(r.head, ap=replace(r.head.ap, trans_id="A404"))),
    "AP_ID": lambda r: told(r, head=replace(r.head, ap=replace(r.head.ap, ap_id="urn:other"))),
    "MSISDN": lambda r: told(r, msisdn="84900000002"),
    "MSSP_TransID": lambda r: told(r, trans_id="M2"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_notification_of_something_else_changes_nothing(
    tmp_path: Path, sim_url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(world: World) -> None:
        request = await asked(world)
        answer = await notify(world, STRANGE[name](request))
        assert (answer.status_code, errors(answer.content)) == (500, [])
        assert soap.read_answer(answer.content, "MSS_Notification") == Fault(101, "WRONG_PARAM")
        assert (await world.get())["state"] == "SENT"

    play(tmp_path, sim_url, scene)
    assert any("alarm: a notification that fits nothing" in r.message for r in caplog.records)


@pytest.mark.parametrize(
    "path", ["/mss/notification/canned/wrong", f"/mss/notification/nobody/{NOTIFICATION_SECRET}"]
)
def test_without_the_secret_there_is_no_such_address(
    tmp_path: Path, sim_url: str, path: str
) -> None:
    async def scene(world: World) -> None:
        request = await asked(world)
        assert (await notify(world, told(request), path)).status_code == 404
        assert (await world.get())["state"] == "SENT"

    play(tmp_path, sim_url, scene)


def test_what_is_no_notification_is_refused(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        request = await asked(world)
        for body in (b"", b"<x/>", soap.write_request(request), b"<!DOCTYPE x><x/>"):
            answer = await world.http.post(PATH, content=body, headers=SOAP)
            assert answer.status_code == 500
        large = await world.http.post(PATH, content=b" " * 2_000_000, headers=SOAP)
        assert large.status_code == 413
        assert (await world.http.post(PATH, content=b"x", headers=JSON)).status_code == 415
        nameless = replace(told(request), trans_id=None)
        assert (await notify(world, nameless)).status_code == 500
        assert (await world.get())["state"] == "SENT"

    play(tmp_path, sim_url, scene)


def test_the_operator_that_does_not_call_is_asked_at_the_end(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        await asked(world)
        world.operator.plan(500)
        assert (await world.until("SIGNED", "EXPIRED"))["state"] == "SIGNED"

    play(tmp_path, sim_url, scene)


def test_deliveries_tripled_and_reordered_make_one_evidence_each(
    tmp_path: Path, sim_url: str
) -> None:
    """Also among them: strangers' answers, wrong numbers, and another signature for the same."""

    async def scene(world: World) -> None:
        chance = random.Random(4)  # noqa: S311 - an order that can be repeated
        requests = [
            await asked(
                world,
                f"transaction-{at}",
                msisdn=f"849{at:08d}",
                operator="canned",
                callback=True,
                verification_code=f"{at:06d}",
            )
            for at in range(DELIVERIES)
        ]
        good = [(told(r, signature=Signature(b"good" + r.msisdn.encode())), True) for r in requests]
        bad = [(strange(r), False) for r in requests for strange in STRANGE.values()]
        deliveries = good * 3 + chance.sample(bad, DELIVERIES)
        chance.shuffle(deliveries)
        queue = iter(deliveries)
        bad_accepted = 0

        async def deliver() -> None:
            nonlocal bad_accepted
            for message, is_good in queue:
                await asyncio.sleep(chance.random() / 1000)
                answer = await notify(world, message)
                bad_accepted += answer.status_code == 200 and not is_good

        await asyncio.gather(*(deliver() for _ in range(8)))
        database = world.services.database
        rows = database.all(select(sim_transaction))
        evidence = [row.signature for row in rows if row.state == "SIGNED"]
        assert sorted(evidence) == sorted(b"good" + r.msisdn.encode() for r in requests)
        assert bad_accepted == 0
        assert all(row.version == 3 and row.late_signature is None for row in rows)
        kept = database.one(select(func.count()).select_from(callback))
        assert kept is not None
        assert kept[0] == DELIVERIES
        print(
            f"{len(deliveries)} deliveries for {DELIVERIES} consents on {database.dialect}:"
            f" evidence {len(evidence)}, twice 0, bad accepted {bad_accepted}"
        )

    play(tmp_path, sim_url, scene)


def test_another_signature_for_what_is_signed_is_an_alarm(
    tmp_path: Path, sim_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(world: World) -> None:
        request = await asked(world)
        await notify(world, told(request))
        await notify(world, told(request))
        await notify(world, told(request, signature=Signature(b"another")))
        signed = await world.get()
        assert signed["signature"]["value"] == "MANhYmM="

    play(tmp_path, sim_url, scene)
    alarms = [r for r in caplog.records if "second, different signature" in r.message]
    assert len(alarms) == 1
    assert NUMBER not in caplog.text
