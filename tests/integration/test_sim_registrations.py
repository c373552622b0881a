"""Keys made in SIMs, as the rssp asks for them."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import update

from sim_adapter import migrations, registrations
from sim_adapter.models import sim_registration
from sim_adapter.mss.model import Possession, RegistrationReq, RegistrationResp, Status
from tests.support.sim_adapter import answered, world

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from sim_adapter.mss.model import Message
    from tests.conftest import Databases
    from tests.support.sim_adapter import World

PATH = "/v1/registrations/registration-1"
CERTIFICATE = {"certificate": base64.b64encode(b"certificate").decode()}


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


def play(
    folder: Path, url: str, scene: Callable[[World], Awaitable[None]], **operator: Any
) -> None:
    async def run() -> None:
        async with world(folder, url, **operator) as made:
            await scene(made)

    asyncio.run(run())


def body(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "msisdn": "+84900000001",
        "credential_id": "01mcc5rm00mratbh8wk05wn2gh",
        "challenge": base64.b64encode(b"c" * 32).decode(),
        "relying_party": "Bộ Nội vụ",
        "verification_code": "4821",
        "deadline": world.clock.now_ms() + 120_000,
        **changes,
    }


async def put(world: World, **changes: Any) -> httpx.Response:
    return await world.http.put(PATH, json=body(world, **changes))


def key_made(message: Message) -> Message:
    assert isinstance(message, RegistrationReq)
    possession = Possession(b"proof", "8984000000000000001")
    return RegistrationResp(message.head, Status(408, possession=possession), b"spki")


@pytest.mark.parametrize("wire", ["soap", "json"])
def test_a_key_is_made_and_its_certificate_handed_over(
    tmp_path: Path, sim_url: str, wire: str
) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(key_made)
        assert (await put(world)).json()["state"] == "CREATED"
        assert (await put(world)).status_code == 200
        waiting = asyncio.create_task(world.http.get(f"{PATH}?wait=20&version=2"))
        await asyncio.sleep(0.05)
        await world.work()
        done = (await asyncio.wait_for(waiting, 5)).json()
        assert (done["state"], done["outcome"]["code"]) == ("DONE", 408)
        assert base64.b64decode(done["public_key"]) == b"spki"
        assert base64.b64decode(done["proof"]) == b"proof"
        assert done["iccid"] == "8984000000000000001"
        asked = world.operator.asked[0]
        assert isinstance(asked, RegistrationReq)
        assert asked.order is not None
        assert (asked.order.challenge, asked.order.relying_party) == (b"c" * 32, "Bộ Nội vụ")
        assert (asked.order.timeout, asked.order.algorithm) == (120, "P256")
        world.operator.plan(100)
        for _ in range(2):
            taken = await world.http.post(f"{PATH}/certificate", json=CERTIFICATE)
            assert taken.json()["certificate_taken"] is True
        assert len(world.operator.asked) == 2
        other = {"certificate": base64.b64encode(b"other").decode()}
        refused = await world.http.post(f"{PATH}/certificate", json=other)
        assert refused.json()["code"] == "conflict"

    play(tmp_path, sim_url, scene, wire=wire)


ENDS: dict[str, tuple[Any, str, str]] = {
    "the person refuses": (401, "REFUSED", "USER_CANCEL"),
    "nobody answers": (208, "EXPIRED", "EXPIRED_TRANSACTION"),
    "the person refuses, in a status": (lambda m: answered(m, 401), "REFUSED", "USER_CANCEL"),
    "nobody answers, in a status": (
        lambda m: answered(m, 208),
        "EXPIRED",
        "EXPIRED_TRANSACTION",
    ),
    "it fails": (407, "FAILED", "REGISTRATION_NOK"),
    "an unknown status": (
        lambda m: answered(m, 999),
        "FAILED",
        "CODE_999",
    ),
    "done without a key": (408, "FAILED", "OPERATOR_ANSWER_INVALID"),
    "a good code in a fault": (
        lambda m: answered(m, 500),
        "FAILED",
        "OPERATOR_ANSWER_INVALID",
    ),
    "no connection": (
        lambda _m: httpx.ConnectError("refused"),
        "FAILED",
        "OPERATOR_UNREACHABLE",
    ),
    "another's answer": (
        lambda m: replace(
            key_made(m), head=replace(m.head, ap=replace(m.head.ap, trans_id="A404"))
        ),
        "FAILED",
        "OPERATOR_ANSWER_MISMATCH",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_registration_that_fails_says_why(tmp_path: Path, sqlite_url: str, name: str) -> None:
    async def scene(world: World) -> None:
        step, state, told = ENDS[name]
        world.operator.plan(step)
        await put(world)
        await world.work()
        ended = (await world.http.get(PATH)).json()
        assert (ended["state"], ended["outcome"]["name"]) == (state, told)
        assert len(ended["outcome"]["cause"]) > 10
        assert ended["public_key"] is None
        refused = await world.http.post(f"{PATH}/certificate", json=CERTIFICATE)
        assert refused.json()["code"] == "over"

    play(tmp_path, sqlite_url, scene)


def test_a_certificate_that_the_operator_does_not_take(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(key_made, 407)
        await put(world)
        await world.work()
        refused = await world.http.post(f"{PATH}/certificate", json=CERTIFICATE)
        assert (refused.status_code, refused.json()["code"]) == (502, "operator_answer_invalid")
        world.operator.plan(lambda _m: httpx.ReadTimeout("late"))
        refused = await world.http.post(f"{PATH}/certificate", json=CERTIFICATE)
        assert (refused.status_code, refused.json()["code"]) == (504, "operator_slow")
        assert (await world.http.get(PATH)).json()["certificate_taken"] is False

    play(tmp_path, sqlite_url, scene)


def test_one_registration_for_a_sim_and_one_body_for_an_id(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        await put(world)
        assert (await put(world, verification_code="9999")).json()["code"] == "conflict"
        other = await world.http.put("/v1/registrations/registration-2", json=body(world))
        assert (other.status_code, other.json()["code"]) == (409, "sim_busy")
        unknown = await world.http.get("/v1/registrations/registration-2")
        assert unknown.status_code == 404

    play(tmp_path, sim_url, scene)


def test_a_registration_that_was_interrupted_is_not_begun_again(
    tmp_path: Path, sqlite_url: str
) -> None:
    async def scene(world: World) -> None:
        await put(world)
        database = world.services.database
        row = registrations.get(database, "registration-1")
        now = world.clock.now_ms()
        assert registrations.begin(database, row, now, now + 1000)
        assert not registrations.begin(database, row, now, now + 1000)
        world.clock.advance(2)
        await world.work()
        ended = (await world.http.get(PATH)).json()
        assert ended["outcome"]["name"] == "SEND_INTERRUPTED"
        assert world.operator.asked == []

    play(tmp_path, sqlite_url, scene)


def test_a_registration_that_nobody_began_in_time_is_over(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        await put(world)
        world.clock.advance(121)
        await world.work()
        assert (await world.http.get(PATH)).json()["state"] == "EXPIRED"
        assert world.operator.asked == []
        gone = update(sim_registration).values(
            state="CREATED", operator="gone", deadline=world.clock.now_ms() + 60_000, next_at=0
        )
        world.services.database.all(gone)
        await world.work()
        ended = (await world.http.get(PATH)).json()
        assert ended["outcome"]["name"] == "SEND_INTERRUPTED"

    play(tmp_path, sqlite_url, scene)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"challenge": base64.b64encode(b"short").decode()}, 400, "invalid_request"),
        ({"algorithm": "P521"}, 400, "invalid_request"),
        ({"credential_id": "a b"}, 400, "invalid_request"),
        ({"relying_party": "a\u202eb"}, 422, "text_character"),
        ({"deadline": 1}, 422, "deadline_invalid"),
        ({"msisdn": "4512345678"}, 422, "operator_unknown"),
    ],
    ids=["challenge", "algorithm", "credential", "name", "deadline", "number"],
)
def test_an_order_that_cannot_be_is_refused(
    tmp_path: Path, sqlite_url: str, changes: dict[str, Any], status: int, code: str
) -> None:
    async def scene(world: World) -> None:
        answer = await put(world, **changes)
        assert (answer.status_code, answer.json()["code"]) == (status, code)

    play(tmp_path, sqlite_url, scene)


def test_a_profile_of_a_number_without_sim_pki(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(105)
        answer = await world.post("profiles", {"msisdn": "84900000001"})
        assert answer.json()["outcome"]["name"] == "UNKNOWN_CLIENT"
        assert answer.json()["sim_state"] is None
        world.operator.plan(100)
        answer = await world.post("profiles", {"msisdn": "84900000001"})
        assert (answer.json()["profiles"], answer.json()["certificates"]) == (["urn:p"], [])
        world.operator.plan(lambda _m: httpx.ConnectError("refused"))
        answer = await world.post("profiles", {"msisdn": "84900000001"})
        assert (answer.status_code, answer.json()["code"]) == (502, "operator_unreachable")

    play(tmp_path, sqlite_url, scene)
