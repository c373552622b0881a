"""The list that follows what waits: streams of events, and the count for the worker."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from consent_app.config import ConfigInvalid, LiveConfig
from consent_app.faults import RsspAway, RsspRefused
from consent_app.live import AWAY, HEARTBEAT, OVER, Live
from consent_app.phone_api import Count
from consent_app.site import Drain
from tests.support.consent_api import OTHER_REQUEST, REQUEST
from tests.support.consent_visitor import Visitor, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine


@pytest.fixture
def visitor() -> Visitor:
    """Signed in; a request waits."""
    found = Visitor().signed_in()
    found.rssp.add_request()
    return found


class Rssp:
    """Says what waits, or fails as told."""

    def __init__(self) -> None:
        self.says: Count | Exception = Count(waiting=1, mark="1.a")
        self.asked = 0

    async def look(self, _session: str) -> Count:
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def live(rssp: Rssp, drain: Drain | None = None, **changes: Any) -> Live:
    config = LiveConfig(**{"period": 0.001, "heartbeat": 60.0, "lifetime": 60.0} | changes)
    return Live(config, drain or Drain(), rssp.look, tick=0.001)


async def told(stream: AsyncIterator[str], count: int) -> list[str]:
    return [await anext(stream) for _ in range(count)]


def run(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work

    asyncio.run(bounded())


def test_a_stream_tells_a_change_once_and_beats_meanwhile() -> None:
    rssp = Rssp()
    streams = live(rssp, heartbeat=0.001)

    async def work() -> None:
        async with aclosing(streams.events("s", "")) as stream:
            first = await anext(stream)
            assert first == 'id: 1.a\nevent: waiting\ndata: {"waiting": 1}\n\n'
            assert await told(stream, 3) == [HEARTBEAT] * 3
            rssp.says = Count(waiting=2, mark="2.b")
            while (line := await anext(stream)) == HEARTBEAT:
                pass
            assert line.startswith("id: 2.b\n")
        async with aclosing(streams.events("s", "2.b")) as stream:
            assert await anext(stream) == HEARTBEAT  # the page knows it already
        assert len(streams) == 0

    run(work())


def test_a_stream_ends_with_its_session() -> None:
    rssp = Rssp()
    rssp.says = RsspRefused(401, "session_invalid")
    streams = live(rssp)

    async def work() -> None:
        assert [line async for line in streams.events("s", "")] == [OVER]

    run(work())
    assert len(streams) == 0


@pytest.mark.parametrize(
    "fault",
    [RsspAway("away", is_settled=True), RsspRefused(404, "request_unknown")],
    ids=["away", "older"],
)
def test_a_stream_asks_an_rssp_that_is_away_less_and_less(fault: Exception) -> None:
    rssp = Rssp()
    rssp.says = fault
    streams = live(rssp, period=0.02, lifetime=0.5)

    async def work() -> None:
        lines = [line async for line in streams.events("s", "")]
        assert lines[0] == AWAY
        assert 2 <= rssp.asked <= 6  # after 0.04, 0.08, 0.16 and 0.32 s, not 25 times

    run(work())


def test_a_further_stream_of_a_session_ends_the_oldest_and_others_stay() -> None:
    streams = live(Rssp(), of_session=2)

    async def work() -> None:
        mine = [streams.events("s", "") for _ in range(4)]
        other = streams.events("t", "")
        for stream in (*mine, other):
            await anext(stream)
        for old in mine[:2]:  # however fast they came
            assert [line async for line in old] == []
        assert len(streams) == 3
        for stream in (*mine, other):
            await stream.aclose()
        assert len(streams) == 0

    run(work())


def test_streams_end_after_their_time_and_when_the_process_drains() -> None:
    drain = Drain()
    streams = live(Rssp(), lifetime=0.02)
    draining = live(Rssp(), drain)

    async def work() -> None:
        assert len([line async for line in streams.events("s", "")]) == 1
        lines = []
        async for line in draining.events("s", ""):
            lines.append(line)
            drain.started = True
        assert len(lines) == 1
        assert draining.is_full

    run(work())


def test_a_full_process_takes_no_further_stream_and_a_stranger_has_none(visitor: Visitor) -> None:
    assert Visitor().get("/events").status_code == 204
    visitor.app.state.site.live._config = LiveConfig(streams=0)  # noqa: SLF001 - no room
    answer = visitor.get("/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


def test_streams_that_come_all_at_once_are_no_more_than_there_is_room_for() -> None:
    streams = live(Rssp(), streams=2)

    async def work() -> None:
        first, second, third = (streams.events(name, "") for name in "abc")
        await anext(first)
        await anext(second)
        assert [line async for line in third] == []
        await first.aclose()
        await second.aclose()
        assert len(streams) == 0

    run(work())


def test_a_stream_over_http_is_one_that_browsers_read(visitor: Visitor) -> None:
    visitor.app.state.site.live._config = LiveConfig(lifetime=0.01)  # noqa: SLF001 - soon over
    answer = visitor.get("/events?mark=nonsense%0Aevent:x")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert answer.text.startswith(f"id: 1.{REQUEST}\nevent: waiting\n")


def test_the_list_has_the_mark_that_its_stream_would_tell(visitor: Visitor) -> None:
    visitor.rssp.add_request(OTHER_REQUEST)
    page = visitor.get("/").text
    assert f'data-mark="2.{OTHER_REQUEST}" data-waiting="2"' in page


def test_the_worker_is_told_the_count_while_the_session_lives(visitor: Visitor) -> None:
    assert visitor.get("/events/count").json() == {"waiting": 1}
    visitor.rssp.session_is_valid = False
    answer = visitor.get("/events/count")
    assert (answer.status_code, answer.json()) == (401, {})
    assert Visitor().get("/events/count").status_code == 401


def test_a_count_that_nobody_knows_is_no_page(visitor: Visitor) -> None:
    visitor.rssp.away = True
    answer = visitor.get("/events/count")
    assert (answer.status_code, answer.json()) == (503, {})


@pytest.mark.parametrize(
    "members", [{"streams": -1}, {"of_session": 0}, {"period": 0.0}, {"heartbeat": -1.0}]
)
def test_a_configuration_without_room_or_time_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid, match="live"):
        settings_with(members)


def settings_with(members: dict[str, Any]) -> None:
    from dataclasses import replace  # noqa: PLC0415 - of this alone

    replace(settings(), live=LiveConfig(**members))
