"""The consent page's connections against a server on a real socket."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from consent_app.config import RsspConfig
from consent_app.faults import RequestMalformed, RsspAway
from consent_app.rssp import ConsentApi
from consent_app.validator import Validator
from consent_app.wire import Said, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Far:
    """A server that answers ``…/slow…`` when it is let, all else at once."""

    def __init__(self) -> None:
        self.open: set[asyncio.StreamWriter] = set()
        self.made = 0
        self.most = 0
        self.slow = asyncio.Event()
        self.asked = asyncio.Semaphore(0)
        self.quiet = asyncio.Event()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        self.made += 1
        self.most = max(self.most, len(self.open))
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked.release()
                if b"/slow" in head.partition(b"\r\n")[0]:
                    await self.slow.wait()
                writer.write(_ANSWER)
                await writer.drain()
        writer.close()
        self.open.discard(writer)
        if not self.open:
            self.quiet.set()

    async def hang_up(self) -> None:
        self.quiet.clear()
        for writer in self.open:
            writer.close()
        if self.open:
            await self.quiet.wait()


def run(scene: Callable[[Far, Wire], Coroutine[None, None, None]]) -> None:
    async def whole() -> None:
        far = Far()
        server = await asyncio.start_server(far.talk, "127.0.0.1", 0)
        wire = Wire(RsspConfig(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        try:
            async with asyncio.timeout(30):
                await scene(far, wire)
        finally:
            await far.hang_up()
            await wire.close()
            server.close()

    asyncio.run(whole())


def test_questions_one_after_the_other_share_one_connection() -> None:
    async def scene(far: Far, wire: Wire) -> None:
        for _ in range(20):
            assert await wire.ask("GET", "/", {}) == Said(200, b"{}")
        assert far.made == 1

    run(scene)


def test_more_questions_than_lanes_are_all_answered_over_the_lanes() -> None:
    async def scene(far: Far, wire: Wire) -> None:
        said = await asyncio.gather(*(wire.ask("GET", "/", {}) for _ in range(200)))
        assert said == [Said(200, b"{}")] * 200
        assert far.most <= 32

    run(scene)


def test_a_connection_that_the_rssp_has_closed_is_made_anew_without_a_fault() -> None:
    async def scene(far: Far, wire: Wire) -> None:
        await wire.ask("GET", "/", {})
        await far.hang_up()
        assert await wire.ask("GET", "/", {}) == Said(200, b"{}")
        assert far.made == 2

    run(scene)


def test_phones_that_do_not_answer_keep_nobody_from_asking() -> None:
    async def scene(far: Far, wire: Wire) -> None:
        waiting = [
            asyncio.create_task(
                wire.ask("GET", "/slow", {"Authorization": f"Bearer {number}"}, is_long=True)
            )
            for number in range(50)
        ]
        for _ in waiting:
            await far.asked.acquire()
        assert await wire.ask("GET", "/", {}) == Said(200, b"{}")
        assert (await wire.client.get("/healthz")).is_success
        far.slow.set()
        assert set(await asyncio.gather(*waiting)) == {Said(200, b"{}")}

    run(scene)


def test_one_session_keeps_no_other_from_waiting_for_a_phone() -> None:
    async def scene(far: Far, wire: Wire) -> None:
        greedy = {"Authorization": "Bearer greedy"}
        waiting = [
            asyncio.create_task(wire.ask("GET", "/slow", greedy, is_long=True)) for _ in range(500)
        ]
        await far.asked.acquire()
        assert (await wire.client.get("/", headers={"Authorization": "Bearer other"})).is_success
        assert far.most <= 8 + 1
        far.slow.set()
        assert set(await asyncio.gather(*waiting)) == {Said(200, b"{}")}

    run(scene)


def test_more_pictures_than_the_share_of_a_session_wait_for_the_first_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consent_app.wire._SECONDS_TO_CONNECT", 0.1)

    async def scene(far: Far, wire: Wire) -> None:
        sender = {"Authorization": "Bearer somebody"}
        asked = [asyncio.create_task(wire.client.get("/slow", headers=sender)) for _ in range(10)]
        for _ in range(8):
            await far.asked.acquire()
        await asyncio.sleep(0.3)
        far.slow.set()
        assert all(answer.is_success for answer in await asyncio.gather(*asked))

    run(scene)


def test_eight_pages_that_wait_for_a_phone_do_not_keep_their_signer_from_cancelling() -> None:
    async def scene(far: Far, wire: Wire) -> None:
        rssp = ConsentApi(wire)
        polls = [asyncio.create_task(rssp.sim_question("s", "slow", 20)) for _ in range(8)]
        for _ in polls:
            await far.asked.acquire()
        for question in (rssp.cancel_sim("s", "x"), rssp.sim_question("s", "x")):
            with pytest.raises(RsspAway, match="members of the answer"):  # there was one
                await question
        far.slow.set()
        await asyncio.gather(*polls, return_exceptions=True)

    run(scene)


async def _endless() -> AsyncIterator[bytes]:
    yield b"--x"
    await asyncio.Event().wait()


def _send(wire: Wire) -> asyncio.Task[object]:
    validator = Validator(wire.strangers)
    return asyncio.create_task(validator.report(_endless(), "multipart/form-data; boundary=x", ""))


def test_files_of_strangers_that_never_end_keep_no_session_from_asking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consent_app.wire._LONG", 8)

    async def scene(far: Far, wire: Wire) -> None:
        sending = [_send(wire) for _ in range(40)]
        for _ in sending:
            await far.asked.acquire()
        somebody = {"Authorization": "Bearer somebody"}
        assert await wire.ask("GET", "/", somebody, is_long=True) == Said(200, b"{}")
        assert (await wire.client.get("/", headers=somebody)).is_success
        with pytest.raises(RsspAway):
            await _send(wire)
        for each in sending:
            each.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    run(scene)


def test_a_file_that_does_not_arrive_in_time_gives_its_lane_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consent_app.validator._SECONDS_TO_SEND", 0.2)
    monkeypatch.setattr("consent_app.wire._STRANGERS", 1)

    async def scene(far: Far, wire: Wire) -> None:
        for _ in range(2):
            with pytest.raises(RequestMalformed):
                await _send(wire)
        assert far.made == 2

    run(scene)


def test_a_question_that_finds_every_lane_taken_is_told_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consent_app.wire._SECONDS_TO_CONNECT", 0.2)

    async def scene(far: Far, wire: Wire) -> None:
        waiting = [asyncio.create_task(wire.ask("GET", "/slow", {})) for _ in range(32)]
        for _ in waiting:
            await far.asked.acquire()
        with pytest.raises(httpx.PoolTimeout):
            await wire.ask("GET", "/", {})
        far.slow.set()
        await asyncio.gather(*waiting)
        assert await wire.ask("GET", "/", {}) == Said(200, b"{}")

    run(scene)
