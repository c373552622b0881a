from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import select

from sim_adapter import migrations, transactions
from sim_adapter.models import callback, sim_transaction
from sim_adapter.mss.codes import CODES, meaning_of
from sim_adapter.mss.model import (
    MIME_BYTES,
    MIME_SHA256,
    MIME_TEXT,
    ReceiptReq,
    Signature,
    SignatureReq,
    StatusReq,
)
from tests.support.sim_adapter import CMS, NUMBER, answered, other, world

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.conftest import Databases
    from tests.support.sim_adapter import World

Scene = "Callable[[World], Awaitable[None]]"


@pytest.fixture
def sim_url(databases: Databases) -> Iterator[str]:
    url = databases.fresh(migrations.upgrade)
    yield url
    databases.drop(url)


@pytest.fixture
def sqlite_url(sqlite_folder: Databases) -> Iterator[str]:
    """For what has nothing to do with the kind of database."""
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


def code_of(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("wire", ["soap", "json"])
def test_a_person_signs(tmp_path: Path, sim_url: str, wire: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, 504, 400, 504, 502)
        made = await world.put(callback=True)
        assert made.status_code == 201
        assert made.json() == {
            "id": "transaction-1",
            "state": "CREATED",
            "version": 1,
            "operator": "canned",
            "outcome": None,
            "signature": None,
        }
        await world.work()
        assert (await world.get())["state"] == "SENT"
        assert (await world.until("DELIVERED"))["outcome"] is None
        signed = await world.until("SIGNED")
        assert signed["version"] == 4
        assert signed["outcome"] == {"code": 502, "name": "VALID_SIGNATURE", "cause": ""}
        assert signed["signature"] == {
            "format": "cms",
            "value": base64.b64encode(CMS.value).decode(),
            "certificate": None,
        }
        asked = [type(message).__name__ for message in world.operator.asked]
        assert asked == ["SignatureReq", *["StatusReq"] * 4]

    play(tmp_path, sim_url, scene, wire=wire)


def test_each_message_has_an_id_that_was_never_used(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, 504, 504, 504, 500)
        await world.put()
        await world.until("SIGNED")
        ids = [message.head.ap.trans_id for message in world.operator.asked]
        assert len(set(ids)) == len(ids) == 5

    play(tmp_path, sqlite_url, scene)


MODES = {
    "structure": (MIME_BYTES, base64.b64encode(b"consent structure").decode()),
    "digest": (
        MIME_SHA256,
        base64.b64encode(hashlib.sha256(b"consent structure").digest()).decode(),
    ),
    "text": (MIME_TEXT, "Bộ Nội vụ: ký 12/QĐ-BNV"),
}


@pytest.mark.parametrize("mode", MODES)
def test_what_is_to_be_signed_in_each_mode(tmp_path: Path, sqlite_url: str, mode: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(500)
        await world.put(mode=mode, language="en")
        await world.work()
        asked = world.operator.asked[0]
        assert isinstance(asked, SignatureReq)
        assert (asked.dtbs.mime_type, asked.dtbs.value) == MODES[mode]
        assert asked.msisdn == NUMBER
        assert asked.timeout == 120
        shown = asked.dtbs if mode == "text" else asked.dtbd
        assert shown is not None
        assert shown.value == "Bộ Nội vụ: ký 12/QĐ-BNV"
        assert [service.event_id for service in asked.services] == ["4821", None]
        assert [service.user_lang for service in asked.services] == [None, "en"]

    play(tmp_path, sqlite_url, scene)


def test_an_operator_that_wants_no_services_gets_none(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(500)
        await world.put()
        await world.work()
        asked = world.operator.asked[0]
        assert isinstance(asked, SignatureReq)
        assert asked.services == ()
        assert asked.head.mssp.uri == "http://mssp.example/"

    play(
        tmp_path,
        sqlite_url,
        scene,
        event_id=False,
        user_lang=False,
        mssp_uri="http://mssp.example/",
    )


ENDS = [number for number in CODES if meaning_of(number).meaning not in {"PENDING", "DONE"}]


@pytest.mark.parametrize("wire", ["soap", "json"])
def test_every_final_code_ends_a_transaction_as_the_table_says(
    tmp_path: Path, sqlite_url: str, wire: str
) -> None:
    async def scene(world: World) -> None:
        for number in ENDS:
            world.operator.plan(100, number)
            await world.put(f"transaction-{number}")
            await world.work()
            world.clock.advance(10)
            await world.work()
            ended = await world.get(f"transaction-{number}")
            row = CODES[number]
            assert ended["state"] == row.meaning
            assert (ended["outcome"]["code"], ended["outcome"]["name"]) == (number, row.name)
            assert bool(ended["outcome"]["cause"]) == (row.meaning != "SIGNED")
            assert (ended["signature"] is not None) == (number in {500, 502})

    play(tmp_path, sqlite_url, scene, wire=wire)


@pytest.mark.parametrize("wire", ["soap", "json"])
def test_a_code_at_once_is_an_end_too(tmp_path: Path, sqlite_url: str, wire: str) -> None:
    async def scene(world: World) -> None:
        for number in ENDS:
            world.operator.plan(number)
            await world.put(f"transaction-{number}")
            await world.work()
            assert (await world.get(f"transaction-{number}"))["outcome"]["code"] == number

    play(tmp_path, sqlite_url, scene, mode="synch", wire=wire)


@pytest.mark.parametrize("number", [501, 503])
def test_a_bad_signature_is_an_alarm_and_never_handed_out(
    tmp_path: Path, sqlite_url: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, number)
        await world.put()
        ended = await world.until("FAILED")
        assert ended["signature"] is None

    play(tmp_path, sqlite_url, scene)
    assert [r.levelname for r in caplog.records if "calls the signature bad" in r.message] == [
        "ERROR"
    ]


MISMATCHES = {
    "AP_TransID": other(trans_id_of_ap="A999"),
    "AP_ID": other(ap_id="urn:somebody-else"),
    "MSISDN": other(msisdn="84900000002"),
}


@pytest.mark.parametrize("name", MISMATCHES)
@pytest.mark.parametrize("at", ["signature", "status"])
def test_an_answer_to_somebody_else_is_no_consent_and_an_alarm(
    tmp_path: Path, sqlite_url: str, name: str, at: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(*([100] if at == "status" else []), MISMATCHES[name])
        await world.put()
        ended = await world.until("FAILED")
        assert ended["outcome"]["name"] == "OPERATOR_ANSWER_MISMATCH"
        assert ended["signature"] is None

    play(tmp_path, sqlite_url, scene)
    assert any(r.levelno == logging.ERROR and "alarm" in r.message for r in caplog.records)


def test_another_transaction_of_the_operator_is_no_consent(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, other(trans_id="M999"))
        await world.put()
        ended = await world.until("FAILED")
        assert ended["outcome"]["name"] == "OPERATOR_ANSWER_MISMATCH"

    play(tmp_path, sqlite_url, scene)


def _response(status: int, body: bytes = b"", **headers: str) -> Callable[[Any], httpx.Response]:
    return lambda _message: httpx.Response(
        status, content=body, headers={"Content-Type": "text/html", **headers}
    )


def _fails(error: Exception) -> Callable[[Any], Exception]:
    return lambda _message: error


SOAP = {"Content-Type": "application/soap+xml"}
TROUBLES: dict[str, tuple[Any, str]] = {
    "down": (_fails(httpx.ConnectError("refused")), "OPERATOR_UNREACHABLE"),
    "no way to it": (_fails(httpx.ConnectTimeout("late")), "OPERATOR_UNREACHABLE"),
    "503": (_response(503), "OPERATOR_UNREACHABLE"),
    "429": (_response(429), "OPERATOR_UNREACHABLE"),
    "slow": (_fails(httpx.ReadTimeout("late")), "OPERATOR_SLOW"),
    "cut": (_fails(httpx.RemoteProtocolError("closed")), "OPERATOR_SLOW"),
    "502": (_response(502), "OPERATOR_SLOW"),
    "a page": (_response(200, b"<html>"), "OPERATOR_ANSWER_INVALID"),
    "404": (_response(404), "OPERATOR_ANSWER_INVALID"),
    "a redirect": (_response(302, Location="http://127.0.0.1/"), "OPERATOR_ANSWER_INVALID"),
    "garbage": (_response(200, b"\x00\xff", **SOAP), "OPERATOR_ANSWER_INVALID"),
    "nothing": (_response(200, b"", **SOAP), "OPERATOR_ANSWER_INVALID"),
    "a bomb": (
        _response(200, b"<!DOCTYPE x [<!ENTITY a 'a'>]><x>&a;</x>", **SOAP),
        "OPERATOR_ANSWER_INVALID",
    ),
    "ten megabytes": (_response(200, b" " * 10_000_000, **SOAP), "OPERATOR_ANSWER_INVALID"),
    "an unasked encoding": (
        _response(200, b"", **SOAP, **{"Content-Encoding": "identity"}),
        "OPERATOR_ANSWER_INVALID",
    ),
    "500 without a signature": (lambda message: answered(message, 500), "SIGNATURE"),
    "an unknown code": (lambda message: answered(message, 599), "CODE_599"),
    "a code of another exchange": (lambda message: answered(message, 408), "REGISTRATION_OK"),
    "a certificate that is none": (
        lambda message: answered(message, 500, Signature(b"\x01" * 64, b"no certificate")),
        "SIGNATURE",
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
@pytest.mark.parametrize("at", ["send", "poll"])
def test_an_operator_in_trouble_ends_in_words_and_a_new_try_works(
    tmp_path: Path, sqlite_url: str, name: str, at: str
) -> None:
    async def scene(world: World) -> None:
        trouble, expected = TROUBLES[name]
        world.operator.plan(*([100] if at == "poll" else []), trouble)
        await world.put()
        ended = await world.until("FAILED")
        assert ended["outcome"]["name"] == expected
        assert len(ended["outcome"]["cause"]) > 10
        assert ended["signature"] is None
        # The SIM is free again, and the operator is back.
        world.operator.plan(100, 500)
        assert (await world.put("transaction-2")).status_code == 201
        await world.work()
        world.clock.advance(10)
        await world.work()
        assert (await world.get("transaction-2"))["state"] == "SIGNED"

    play(tmp_path, sqlite_url, scene)


def test_a_lost_answer_to_a_status_query_is_borne(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        lost = _fails(httpx.ReadTimeout("late"))
        world.operator.plan(100, lost, lost, lost, 504, lost, 502)
        await world.put()
        assert (await world.until("SIGNED", "FAILED"))["state"] == "SIGNED"

    play(tmp_path, sqlite_url, scene)


def test_a_connection_that_fails_once_is_tried_again(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(_fails(httpx.ConnectError("refused")), 100, 500)
        await world.put()
        assert (await world.until("SIGNED", "FAILED"))["state"] == "SIGNED"
        sent = [m for m in world.operator.asked if isinstance(m, SignatureReq)]
        assert len({m.head.ap.trans_id for m in sent}) == 1  # the operator never took the first

    play(tmp_path, sqlite_url, scene)


def test_nobody_answers_until_the_deadline(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, 504)
        await world.put()
        ended = await world.until("EXPIRED")
        assert ended["outcome"] == {
            "code": None,
            "name": "NO_ANSWER_IN_TIME",
            "cause": "Điện thoại không trả lời kịp thời hạn.",
        }

    play(tmp_path, sim_url, scene)


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_a_signature_after_the_end_is_kept_told_and_not_handed_out(
    tmp_path: Path, sim_url: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, 504)
        await world.put()
        await world.work()
        if end == "cancelled":
            cancelled = await world.post("transactions/transaction-1/cancel")
            assert cancelled.json()["state"] == "CANCELLED"
        else:
            await world.until("EXPIRED")
        world.operator.plan(504, 500)
        for _ in range(30):
            await world.work()
            world.clock.advance(1)
        over = await world.get()
        assert over["state"] == {"cancelled": "CANCELLED", "expired": "EXPIRED"}[end]
        assert over["signature"] is None
        row = world.services.database.one(select(sim_transaction))
        assert row is not None
        assert row.late_signature == CMS.value
        assert row.next_at is None

    play(tmp_path, sim_url, scene)
    alarms = [r for r in caplog.records if "a signature came after the end" in r.message]
    assert len(alarms) == 1


def test_the_watch_after_the_end_is_not_for_ever(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, 504)
        await world.put()
        await world.work()
        await world.post("transactions/transaction-1/cancel")
        for _ in range(130):
            await world.work()
            world.clock.advance(1)
        row = world.services.database.one(select(sim_transaction))
        assert row is not None
        assert row.next_at is None

    play(tmp_path, sqlite_url, scene)


def test_what_was_cancelled_before_it_was_sent_is_never_sent(
    tmp_path: Path, sqlite_url: str
) -> None:
    async def scene(world: World) -> None:
        await world.put()
        await world.post("transactions/transaction-1/cancel")
        await world.work()
        assert world.operator.asked == []

    play(tmp_path, sqlite_url, scene)


def test_a_cancellation_that_overtakes_its_own_put_wins(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        for _ in range(2):
            over = await world.post("transactions/transaction-1/cancel")
            assert (over.status_code, over.json()["state"]) == (200, "CANCELLED")
            assert over.json()["outcome"]["name"] == "CANCELLED"
        assert code_of(await world.put()) == (409, "conflict")
        assert (await world.put("transaction-2")).status_code == 201  # the SIM is free
        await world.post("transactions/transaction-2/cancel")
        await world.work()
        assert world.operator.asked == []

    play(tmp_path, sim_url, scene)


def test_a_cancellation_finds_the_put_that_came_between(
    tmp_path: Path, sim_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(world: World) -> None:
        await world.put()
        known, looks = transactions.known, iter([None])
        monkeypatch.setattr(transactions, "known", lambda *given: next(looks, known(*given)))
        over = await world.post("transactions/transaction-1/cancel")
        assert over.json()["state"] == "CANCELLED"
        row = known(world.services.database, "transaction-1")
        assert row is not None
        assert row.operator == "canned"

    play(tmp_path, sim_url, scene)


def test_cancelling_twice_is_harmless_and_cancelling_an_end_is_refused(
    tmp_path: Path, sqlite_url: str
) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(401)
        await world.put()
        for _ in range(2):
            assert (await world.post("transactions/transaction-1/cancel")).status_code == 200
        await world.put("transaction-2")
        await world.work()
        assert (await world.get("transaction-2"))["state"] == "REFUSED"
        assert code_of(await world.post("transactions/transaction-2/cancel")) == (409, "over")

    play(tmp_path, sqlite_url, scene)


def test_the_same_put_again_is_the_same_transaction(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, 504)
        first, second = await world.put(), await world.put()
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json() == second.json()
        other_text = await world.put(display_text="Bộ Nội vụ: ký 13/QĐ-BNV")
        assert code_of(other_text) == (409, "conflict")
        # Even when its deadline has long passed.
        deadline = world.order()["deadline"]
        world.clock.advance(500)
        again = await world.put(deadline=deadline)
        assert (again.status_code, again.json()["state"]) == (200, "EXPIRED")

    play(tmp_path, sim_url, scene)


def test_one_open_transaction_for_a_sim(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, 504)
        await world.put()
        assert code_of(await world.put("transaction-2")) == (409, "sim_busy")
        assert (await world.put("transaction-3", msisdn="84900000002")).status_code == 201
        await world.post("transactions/transaction-1/cancel")
        assert (await world.put("transaction-2")).status_code == 201

    play(tmp_path, sim_url, scene)


def test_twenty_at_once_for_one_sim_make_one(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        answers = await asyncio.gather(*(world.put(f"transaction-{at}") for at in range(20)))
        assert sorted(answer.status_code for answer in answers) == [201, *[409] * 19]

    play(tmp_path, sim_url, scene)


BAD_ORDERS: dict[str, tuple[dict[str, Any], int, str]] = {
    "120 units of UCS-2": ({"display_text": "ữ" * 120}, 422, "text_too_long"),
    "240 of GSM-7": ({"display_text": "a" * 240}, 422, "text_too_long"),
    "120 that take two": ({"display_text": "€" * 120}, 422, "text_too_long"),
    "a control": ({"display_text": "a\tb"}, 422, "text_character"),
    "right to left": ({"display_text": "a\u202eb"}, 422, "text_character"),
    "zero width": ({"display_text": "a\u200bb"}, 422, "text_character"),
    "beyond UCS-2": ({"display_text": "a😀"}, 422, "text_character"),
    "not composed": ({"display_text": "u\u031b\u0303"}, 422, "text_character"),
    "no text": ({"display_text": ""}, 422, "text_character"),
    "no prefix": ({"display_text": "ký 12"}, 422, "text_prefix_missing"),
    "an unknown operator": ({"operator": "nobody"}, 422, "operator_unknown"),
    "a number of nobody": ({"msisdn": "4512345678"}, 422, "operator_unknown"),
    "a deadline that is over": ({"deadline": 1}, 422, "deadline_invalid"),
    "a deadline next year": ({"deadline": 1_900_000_000_000}, 422, "deadline_invalid"),
    "a number that is none": ({"msisdn": "0912345678"}, 400, "invalid_request"),
    "a code with letters": ({"verification_code": "12ab"}, 400, "invalid_request"),
    "an unknown mode": ({"mode": "voice"}, 400, "invalid_request"),
    "an unknown language": ({"language": "fr"}, 400, "invalid_request"),
    "a member more": ({"also": 1}, 400, "invalid_request"),
    "a deadline in words": ({"deadline": "1800000060000"}, 400, "invalid_request"),
    "base64 that is none": ({"consent": "a==="}, 400, "invalid_request"),
    "base64 in two spellings": ({"consent": "AB=="}, 400, "invalid_request"),
    "no consent": ({"consent": ""}, 400, "invalid_request"),
}


@pytest.mark.parametrize("name", BAD_ORDERS)
def test_an_order_that_cannot_be_is_refused_with_a_cause(
    tmp_path: Path, sqlite_url: str, name: str
) -> None:
    async def scene(world: World) -> None:
        changes, status, code = BAD_ORDERS[name]
        prefix = "" if name in {"no prefix", "no text"} else "Bộ: "
        text = changes.get("display_text")
        if text is not None and prefix and name not in {"240 of GSM-7", "120 that take two"}:
            changes = changes | {"display_text": prefix + text}
        assert code_of(await world.put(**changes)) == (status, code)

    limited = name == "no prefix"
    play(tmp_path, sqlite_url, scene, text_prefix="Bộ: " if limited else "")


def test_what_an_operators_phones_can_show_is_told(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        told = (await world.http.get("/v1/operators/canned")).json()
        assert told == {
            "name": "canned",
            "display_text": {"prefix": "Bộ: ", "room": 96},
            "receipt": {"prefix": "Bộ: ", "room": 66},
        }
        unknown = await world.http.get("/v1/operators/nobody")
        assert code_of(unknown) == (422, "operator_unknown")

    play(tmp_path, sqlite_url, scene, text_prefix="Bộ: ", text_ucs2=100)


@pytest.mark.parametrize("text", ["ữ" * 119, "a" * 239, "€" * 119, "a" * 237 + "€"])
def test_the_longest_texts_fit(tmp_path: Path, sqlite_url: str, text: str) -> None:
    async def scene(world: World) -> None:
        assert (await world.put(display_text=text)).status_code == 201

    play(tmp_path, sqlite_url, scene)


def test_requests_that_are_none(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        http, path = world.http, "/v1/transactions/transaction-1"
        json = {"Content-Type": "application/json"}
        bodies = [b"", b"[]", b"{", b'{"mode":"text","mode":"digest"}', b'{"deadline":NaN}']
        for body in bodies:
            answer = await http.put(path, content=body, headers=json)
            assert code_of(answer) == (400, "invalid_request")
        large = await http.put(path, content=b" " * 10_000_000, headers=json)
        assert code_of(large) == (413, "content_too_large")
        text = await http.put(path, content=b"{}", headers={"Content-Type": "text/plain"})
        assert code_of(text) == (415, "unsupported_media_type")
        assert code_of(await http.get("/v1/transactions/transaction-1")) == (404, "not_found")
        assert code_of(await http.get("/v1/transactions/x")) == (400, "invalid_request")
        assert code_of(await http.get("/v1/nothing")) == (404, "not_found")
        assert code_of(await http.delete(path)) == (405, "method_not_allowed")
        assert code_of(await http.get(f"{path}?wait=99")) == (400, "invalid_request")

    play(tmp_path, sqlite_url, scene)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic dGVzdA=="])
def test_without_the_secret_there_is_nothing(
    tmp_path: Path, sqlite_url: str, header: str | None
) -> None:
    async def scene(world: World) -> None:
        del world.http.headers["Authorization"]
        headers = {} if header is None else {"Authorization": header}
        for method, path in (
            ("PUT", "/v1/transactions/transaction-1"),
            ("GET", "/v1/transactions/transaction-1"),
            ("POST", "/v1/transactions/transaction-1/cancel"),
            ("POST", "/v1/transactions/transaction-1/receipt"),
            ("POST", "/v1/profiles"),
            ("GET", "/v1/operators/test"),
            ("PUT", "/v1/registrations/registration-1"),
            ("GET", "/v1/registrations/registration-1"),
            ("POST", "/v1/registrations/registration-1/certificate"),
        ):
            answer = await world.http.request(method, path, headers=headers)
            assert code_of(answer) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"

    play(tmp_path, sqlite_url, scene)


def test_a_long_poll_returns_when_something_happens(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, 504)
        await world.put()
        waiting = asyncio.create_task(world.get(wait=20, version=1))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await world.work()
        assert (await asyncio.wait_for(waiting, 5))["state"] == "SENT"
        # Above a version that is past already, and at an end, there is nothing to wait for.
        assert (await asyncio.wait_for(world.get(wait=20, version=1), 5))["version"] == 2
        await world.post("transactions/transaction-1/cancel")
        assert (await asyncio.wait_for(world.get(wait=20, version=9), 5))["state"] == "CANCELLED"

    play(tmp_path, sim_url, scene)


def test_a_long_poll_ends_when_time_is_up_or_the_process_goes(
    tmp_path: Path, sqlite_url: str
) -> None:
    async def scene(world: World) -> None:
        await world.put()
        assert (await asyncio.wait_for(world.get(wait=0.05, version=1), 5))["state"] == "CREATED"
        waiting = asyncio.create_task(world.get(wait=20, version=1))
        await asyncio.sleep(0.05)
        world.services.bells.close()
        assert (await asyncio.wait_for(waiting, 5))["state"] == "CREATED"

    play(tmp_path, sqlite_url, scene)


def test_a_receipt_after_the_signature(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(100, 500, 100)
        await world.put()
        path = "transactions/transaction-1/receipt"
        assert code_of(await world.post(path, {"message": "Đã ký"})) == (409, "over")
        await world.until("SIGNED")
        told = await world.post(path, {"message": "Đã ký 12/QĐ-BNV lúc 10:04"})
        assert told.json()["outcome"]["code"] == 100
        asked = world.operator.asked[-1]
        assert isinstance(asked, ReceiptReq)
        assert (asked.trans_id, asked.msisdn) == ("M1", NUMBER)
        assert asked.message is not None
        assert asked.message.value == "Đã ký 12/QĐ-BNV lúc 10:04"
        assert code_of(await world.post(path, {"message": "ữ" * 71})) == (422, "text_too_long")
        world.operator.plan(209)
        assert (await world.post(path, {"message": "Đã ký"})).json()["outcome"]["code"] == 209

    play(tmp_path, sqlite_url, scene)


def test_a_process_that_died_while_sending_does_not_ask_twice(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        await world.put()
        row = world.services.database.one(select(sim_transaction))
        assert row is not None
        from sim_adapter import transactions  # noqa: PLC0415 - only this test reaches below the API

        now = world.clock.now_ms()
        assert transactions.begin_sending(world.services.database, row, now, now + 1000)
        await world.work()
        assert world.operator.asked == []
        world.clock.advance(2)
        await world.work()
        ended = await world.get()
        assert world.operator.asked == []
        assert (ended["state"], ended["outcome"]["name"]) == ("FAILED", "SEND_INTERRUPTED")

    play(tmp_path, sim_url, scene)


def test_another_process_goes_on_where_the_first_one_stopped(tmp_path: Path, sim_url: str) -> None:
    async def first(world: World) -> None:
        world.operator.plan(100)
        await world.put()
        await world.work()

    async def second(world: World) -> None:
        world.operator.plan(500)
        assert (await world.get())["state"] == "SENT"
        signed = await world.until("SIGNED")
        assert signed["signature"] is not None
        assert [type(m) for m in world.operator.asked] == [StatusReq]

    play(tmp_path, sim_url, first)
    play(tmp_path, sim_url, second)


def test_an_operator_that_left_the_configuration_ends_its_transactions(
    tmp_path: Path, sqlite_url: str
) -> None:
    async def first(world: World) -> None:
        await world.put()

    async def second(world: World) -> None:
        await world.work()
        assert (await world.get())["outcome"]["name"] == "OPERATOR_UNREACHABLE"

    play(tmp_path, sqlite_url, first)
    play(tmp_path, sqlite_url, second, name="renamed")


def test_old_transactions_are_removed(tmp_path: Path, sim_url: str) -> None:
    async def scene(world: World) -> None:
        world.operator.plan(401)
        await world.put(callback=True)
        await world.work()
        world.clock.advance(31 * 86_400)
        await world.work()
        assert world.services.database.all(select(sim_transaction)) == []
        assert world.services.database.all(select(callback)) == []

    play(tmp_path, sim_url, scene)


def test_health(tmp_path: Path, sqlite_url: str) -> None:
    async def scene(world: World) -> None:
        assert (await world.http.get("/healthz")).json() == {"status": "ok"}
        assert (await world.http.get("/readyz")).json()["checks"] == {"database": "ok"}
        world.services.drain.started = True
        assert (await world.http.get("/readyz")).status_code == 503

    play(tmp_path, sqlite_url, scene)


def test_a_database_without_the_tables_is_not_ready(
    tmp_path: Path, sqlite_folder: Databases
) -> None:
    async def scene(world: World) -> None:
        answer = await world.http.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "down")

    play(tmp_path, sqlite_folder.fresh(), scene)
