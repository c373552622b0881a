"""Questions of the page to the rssp over true connections: kept, closed, given up, never made."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from consent_app.config import RsspConfig
from consent_app.wire import Said, Unanswered, Unreached, Wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Rssp:
    """A server on loopback that answers each request by the next of ``answers``.

    An answer is sent as it is; None: nothing comes. ``asked`` are the requests, ``callers`` how
    many connections there were.
    """

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = list(answers)
        self.asked: list[bytes] = []
        self.is_asked = asyncio.Event()
        self.callers = 0
        self._ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; it ends with an answer that says so."""
        self.callers += 1
        with suppress(asyncio.IncompleteReadError):
            while self._answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                self.asked.append(head + await reader.readexactly(int(length[1]) if length else 0))
                self.is_asked.set()
                answer = self._answers.pop(0)
                if answer is None:
                    await self._ended.wait()
                    break
                writer.write(answer)
                if b"close" in answer:
                    break
        writer.close()

    async def talk(self, conversation: Callable[[Wire], Awaitable[None]], patience: float) -> None:
        """``conversation`` over a wire to this server."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        wire = Wire(RsspConfig(f"http://127.0.0.1:{port}/base", timeout=patience))
        await conversation(wire)
        await wire.close()
        self._ended.set()
        server.close()


def say(body: bytes, *headers: bytes) -> bytes:
    lines = (b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers, b"", body)
    return b"\r\n".join(lines)


def talk(
    rssp: Rssp, conversation: Callable[[Wire], Awaitable[None]], patience: float = 30.0
) -> None:
    asyncio.run(rssp.talk(conversation, patience))


def test_questions_follow_each_other_over_one_connection() -> None:
    async def conversation(wire: Wire) -> None:
        assert await wire.ask("GET", "/a?b=1", {"X-Request-Id": "one"}) == Said(200, b"first")
        assert await wire.ask("POST", "/b", {}, {"pin": "é"}) == Said(200, b"second")

    rssp = Rssp(say(b"first"), say(b"second"))
    talk(rssp, conversation)
    assert rssp.callers == 1
    first, second = rssp.asked
    assert first.startswith(b"GET /base/a?b=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"X-Request-Id: one\r\n" in first
    assert b"Content-Type: application/json\r\n" in second
    assert second.endswith('\r\n\r\n{"pin":"é"}'.encode())


def test_a_connection_that_the_rssp_has_closed_is_not_used_again() -> None:
    async def conversation(wire: Wire) -> None:
        assert (await wire.ask("GET", "/", {})).content == b"last"
        assert (await wire.ask("GET", "/", {})).content == b"new"

    rssp = Rssp(say(b"last", b"Connection: close"), say(b"new"))
    talk(rssp, conversation)
    assert rssp.callers == 2


@pytest.mark.parametrize(
    "answer", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nx: close\r\n\r\nhalf"]
)
def test_an_answer_that_does_not_come_to_its_end_is_none(answer: bytes | None) -> None:
    async def conversation(wire: Wire) -> None:
        with pytest.raises(Unanswered) as caught:
            await wire.ask("POST", "/approve", {})
        assert not isinstance(caught.value, Unreached)

    rssp = Rssp(answer)
    talk(rssp, conversation, patience=30.0 if answer else 0.05)
    assert len(rssp.asked) == 1


def test_nobody_gets_the_answer_to_a_question_that_was_given_up() -> None:
    async def conversation(wire: Wire) -> None:
        given_up = asyncio.create_task(wire.ask("GET", "/first", {}))
        await rssp.is_asked.wait()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert await wire.ask("GET", "/second", {}) == Said(200, b"second")

    rssp = Rssp(None, say(b"second"))
    talk(rssp, conversation)
    assert rssp.callers == 2


def test_an_rssp_that_is_not_there_was_not_asked() -> None:
    async def conversation() -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            wire = Wire(RsspConfig(f"http://127.0.0.1:{nobody.getsockname()[1]}"))
            with pytest.raises(Unreached):
                await wire.ask("POST", "/approve", {})
            await wire.close()

    asyncio.run(conversation())
