"""Questions to the rssp over a pool of connections, without an HTTP client around it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from consent_app.config import RsspConfig
from consent_app.wire import Said, Unanswered, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CONFIG = RsspConfig("https://rssp.example.gov.vn:8443/base", timeout=7.0)


class Answers(httpx.AsyncBaseTransport):
    """Keeps what it was asked."""

    def __init__(self, answer: Callable[[], httpx.Response]) -> None:
        self._answer = answer
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answer()


class Torn(httpx.AsyncByteStream):
    """A body that breaks off."""

    def __init__(self) -> None:
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"state": '
        raise httpx.ReadError("reset")

    async def aclose(self) -> None:
        self.is_closed = True


def ask(transport: httpx.AsyncBaseTransport, *questions: tuple[object, ...]) -> list[Said]:
    async def all_of_them() -> list[Said]:
        wire = Wire(CONFIG, transport)
        said = [
            await wire.ask("POST", "/consent/v1/x?y=1", {"Authorization": "Bearer a"}, *body)
            for body in questions
        ]
        await wire.close()
        return said

    return asyncio.run(all_of_them())


def test_a_question_names_the_address_below_the_configured_one() -> None:
    rssp = Answers(lambda: httpx.Response(418, content=b"no"))
    assert ask(rssp, (), ({"pin": "1"},)) == [Said(418, b"no")] * 2
    plain, with_body = rssp.asked
    assert str(plain.url) == "https://rssp.example.gov.vn:8443/base/consent/v1/x?y=1"
    assert plain.headers["host"] == "rssp.example.gov.vn:8443"
    assert plain.headers["authorization"] == "Bearer a"
    assert plain.headers["content-length"] == "0"
    assert with_body.headers["content-type"] == "application/json"
    assert json.loads(with_body.content) == {"pin": "1"}
    assert plain.extensions["timeout"] == {"connect": 3.0, "read": 7.0, "write": 7.0, "pool": 3.0}


def test_nothing_of_one_answer_goes_along_with_the_next_question() -> None:
    rssp = Answers(lambda: httpx.Response(200, headers={"Set-Cookie": "who=first; Path=/"}))
    ask(rssp, (), ())
    assert [request.headers.get("cookie") for request in rssp.asked] == [None, None]


def test_a_redirect_is_an_answer() -> None:
    rssp = Answers(lambda: httpx.Response(302, headers={"Location": "https://evil.example"}))
    assert ask(rssp, ()) == [Said(302, b"")]
    assert len(rssp.asked) == 1


def test_a_body_that_breaks_off_is_no_answer_and_its_connection_is_given_up() -> None:
    body = Torn()
    with pytest.raises(Unanswered, match="reset"):
        ask(Answers(lambda: httpx.Response(200, stream=body)), ())
    assert body.is_closed


def test_a_compressed_answer_is_not_asked_for() -> None:
    rssp = Answers(lambda: httpx.Response(200))
    ask(rssp, ())
    assert "accept-encoding" not in rssp.asked[0].headers
