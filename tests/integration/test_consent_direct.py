"""The consent page's own HTTP transport, against a server that says exactly what it is told."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from consent_app import direct
from consent_app.direct import DirectTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
NO_ANSWERS = {
    "short": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nclose",
    "no-http": b"close",
    "no-answer-yet": b"HTTP/1.1 100 Continue\r\n\r\n",
    "two-answers": OK + OK,
    "what-nobody-asked": OK + b"close",
    "upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    "endless-head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
}


@dataclass
class Server:
    """Answers each request with the next of ``answers``; None: not at all."""

    answers: list[bytes | None]
    port: int = 0
    connections: int = 0
    asked: list[bytes] = field(default_factory=list)
    serving: set[asyncio.Task[None] | None] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.add(asyncio.current_task())
        while head := await self._head(reader):
            self.asked.append(head)
            answer = self.answers.pop(0)
            if answer is None:
                await reader.read()
                break
            writer.write(answer)
            if b"close" in answer:
                break
        writer.close()

    @staticmethod
    async def _head(reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        _, _, length = head.lower().partition(b"content-length: ")
        return head + await reader.readexactly(int(length.partition(b"\r\n")[0] or 0))


@asynccontextmanager
async def client_of(server: Server, **limits: float) -> AsyncIterator[httpx.AsyncClient]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{server.port}"
    timeout = httpx.Timeout(limits.pop("read", 5.0), **limits)
    transport = DirectTransport(ssl.create_default_context())
    async with httpx.AsyncClient(base_url=url, transport=transport, timeout=timeout) as client:
        yield client
    listening.close()
    for serving in server.serving:
        if serving is not None:
            await serving
    await asyncio.sleep(0.01)  # closed sockets are buried in the loop's next round


def run(
    answers: list[bytes | None],
    work: Callable[[httpx.AsyncClient], Awaitable[None]],
    **limits: float,
) -> Server:
    server = Server(answers)

    async def all_of_it() -> None:
        async with client_of(server, **limits) as client:
            await work(client)

    asyncio.run(all_of_it())
    return server


def test_one_connection_serves_one_request_after_another() -> None:
    async def work(client: httpx.AsyncClient) -> None:
        for path in ("/a?b=%20", "/c"):
            answer = await client.post(path, json={"x": 1}, headers={"Authorization": "Bearer y"})
            assert (answer.status_code, answer.text) == (200, "hi")
        nothing = await client.delete("/d")
        assert (nothing.status_code, nothing.content) == (204, b"")

    server = run([OK, OK, b"HTTP/1.1 204 No Content\r\n\r\n"], work)
    assert server.connections == 1
    assert server.asked[0].startswith(b"POST /a?b=%20 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert server.asked[0].endswith(b'{"x":1}')
    assert b"Authorization: Bearer y\r\n" in server.asked[0]


def test_a_long_answer_comes_in_pieces_and_one_in_chunks_whole() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"

    async def work(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", "/") as answer:
            pieces = [piece async for piece in answer.aiter_bytes()]
        assert (sum(map(len, pieces)), len(pieces) > 1) == (300_000, True)
        assert (await client.get("/")).text == "hi!"

    assert run([long, chunked], work).connections == 1


def test_who_leaves_in_the_middle_of_an_answer_leaves_its_connection() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000)

    async def work(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", "/") as answer:
            assert answer.status_code == 200
        assert (await client.get("/")).text == "hi"

    assert run([long, OK], work).connections == 2


def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    async def work(client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).text == "hi"
        assert (await client.get("/")).text == "hi"

    assert run([LAST, OK], work).connections == 2


def test_a_server_that_goes_away_between_requests_is_noticed() -> None:
    async def work(client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).text == "hi"
        transport = client._transport  # noqa: SLF001 - whose socket is closed here by its other end
        assert isinstance(transport, DirectTransport)
        (kept,) = transport._idle.values()  # noqa: SLF001 - as above
        kept[0]._reader.feed_data(b"HTTP/1.1 408 Too slow\r\n\r\n")  # noqa: SLF001 - as above
        assert (await client.get("/")).text == "hi"

    assert run([OK, OK], work).connections == 2


@pytest.mark.parametrize("name", [*NO_ANSWERS, "silent"])
def test_an_answer_that_is_none_is_a_fault_and_its_connection_goes(
    name: str,
) -> None:
    answer = NO_ANSWERS.get(name)
    fault = httpx.ReadTimeout if answer is None else httpx.RemoteProtocolError

    async def work(client: httpx.AsyncClient) -> None:
        with pytest.raises(fault):
            await client.get("/")
        assert (await client.get("/")).text == "hi"

    assert run([answer, OK], work, read=0.5).connections == 2


def test_no_server_and_no_place_are_told_apart_from_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(direct, "MOST_CONNECTIONS", 1)

    async def work(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", "/"):
            with pytest.raises(httpx.PoolTimeout):
                await client.get("/")
        assert (await client.get("/")).text == "hi"
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")

    run([OK, OK], work, pool=0.1)


def test_a_connection_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_given: object, **_named: object) -> None:
        await asyncio.sleep(60)

    async def work(client: httpx.AsyncClient) -> None:
        monkeypatch.setattr(asyncio, "open_connection", never)
        with pytest.raises(httpx.ConnectTimeout):
            await client.get("/")

    run([], work, connect=0.05)


def test_a_header_cannot_bring_another_one_along() -> None:
    async def work(client: httpx.AsyncClient) -> None:
        for value in ("a\r\nX: b", "a\nb", "a\0b"):
            with pytest.raises(httpx.LocalProtocolError):
                await client.get("/", headers={"X-Request-Id": value})

    assert run([], work).asked == []


def test_a_socket_that_breaks_is_a_fault_of_reading() -> None:
    async def broken(_size: int) -> bytes:
        raise ConnectionResetError("gone")

    async def work(client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).text == "hi"
        transport = client._transport  # noqa: SLF001 - whose socket breaks here
        assert isinstance(transport, DirectTransport)
        (kept,) = transport._idle.values()  # noqa: SLF001 - as above
        kept[0]._reader.read = broken  # type: ignore[method-assign,assignment]  # noqa: SLF001 - as above
        with pytest.raises(httpx.ReadError):
            await client.get("/")

    run([OK, OK], work)
