"""What is streamed to the phone gives its connection to the rssp back, whatever the phone does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httpx

from consent_app.routes.documents import passed_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator


class Stream(httpx.AsyncByteStream):
    """Two pieces of a document."""

    is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"%PDF-1.7"
        yield b"%%EOF"

    async def aclose(self) -> None:
        self.is_closed = True


def test_a_phone_that_goes_away_in_between_keeps_no_connection() -> None:
    async def begin_and_leave() -> None:
        stream = Stream()
        answer = passed_on(httpx.Response(200, stream=stream), "image/png", {})
        pieces = cast("AsyncGenerator[bytes]", answer.body_iterator)
        assert await anext(pieces) == b"%PDF-1.7"
        assert not stream.is_closed
        await pieces.aclose()  # what becomes of it when the answer is cancelled
        assert stream.is_closed

    asyncio.run(begin_and_leave())


def test_what_was_never_begun_is_closed_after_the_answer() -> None:
    async def never() -> None:
        stream = Stream()
        answer = passed_on(httpx.Response(200, stream=stream), "image/png", {})
        assert answer.background is not None
        await answer.background()
        assert stream.is_closed

    asyncio.run(never())
