from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from remote_signing.client.errors import NotReached, OutcomeUnknown
from remote_signing.client.exchange import (
    Body,
    Call,
    Incoming,
    Lost,
    Outgoing,
    Pause,
    Retry,
    exchange,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

RETRY = Retry(tries=4, first=1, longest=4)
DONE = Incoming(200, {}, b"{}")
NOT_SENT = Lost(was_sent=False, cause=OSError("refused"))
UNANSWERED = Lost(was_sent=True, cause=OSError("reset"))
BUSY = Incoming(503, {}, json.dumps({"error": "temporarily_unavailable"}).encode())
PROXY_BUSY = Incoming(503, {}, b"<h1>503</h1>")
LATER = Incoming(429, {"retry-after": "3"}, b"")
REFUSED = Incoming(400, {}, b'{"error": "invalid_request"}')
ACCIDENT = Incoming(500, {}, b'{"error": "server_error"}')


def played(
    events: Sequence[Incoming | Lost], *, repeatable: bool, retry: Retry = RETRY
) -> tuple[Incoming | Exception, int, list[float]]:
    """What an exchange comes to, how often it was sent, and the pauses between."""
    made = iter(range(100))

    def outgoing() -> Outgoing:
        return Outgoing(f"https://x/{next(made)}", {}, Body.of(""))

    flow = exchange(Call("signatures/signHash", outgoing, repeatable), retry)
    urls, pauses, rest = [], [], list(events)
    event: Incoming | Lost | None = None
    try:
        while True:
            step = flow.send(event)
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                event = None
            else:
                urls.append(step.url)
                event = rest.pop(0)
    except StopIteration as done:
        result: Incoming = done.value
        assert len(set(urls)) == len(urls)  # each try made its request anew
        return result, len(urls), pauses
    except (NotReached, OutcomeUnknown) as error:
        return error, len(urls), pauses


@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize("event", [NOT_SENT, BUSY, LATER], ids=["refused", "503", "429"])
def test_what_was_certainly_not_done_is_sent_again(
    event: Incoming | Lost,
    repeatable: bool,  # noqa: FBT001 - a table of cases
) -> None:
    result, times, _ = played([event, event, DONE], repeatable=repeatable)
    assert (result, times) == (DONE, 3)


@pytest.mark.parametrize(
    "event", [UNANSWERED, Incoming(502, {}, b""), Incoming(502, {}, BUSY.body), PROXY_BUSY]
)
def test_without_an_answer_only_what_is_repeatable_is_sent_again(event: Incoming | Lost) -> None:
    result, times, _ = played([event, DONE], repeatable=True)
    assert isinstance(result, Incoming)
    assert (result.status, result.after_unknown, times) == (200, True, 2)
    result, times, _ = played([event, DONE], repeatable=False)
    assert isinstance(result, OutcomeUnknown)
    assert times == 1


@pytest.mark.parametrize("event", [REFUSED, ACCIDENT, Incoming(401, {}, b""), DONE])
def test_an_answer_is_an_answer(event: Incoming) -> None:
    assert played([event], repeatable=True) == (event, 1, [])


def test_it_ends_after_so_many_tries_and_tells_what_is_known() -> None:
    result, times, pauses = played([NOT_SENT] * 4, repeatable=True)
    assert isinstance(result, NotReached)
    assert isinstance(result.__cause__, OSError)
    assert (times, len(pauses)) == (4, 3)
    assert played([BUSY] * 4, repeatable=True)[:2] == (BUSY, 4)
    # Once the end is unknown, a later refusal to listen does not make it known.
    for last in (NOT_SENT, BUSY):
        result, times, _ = played([UNANSWERED, last, last, last], repeatable=True)
        assert isinstance(result, OutcomeUnknown)
        assert times == 4


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    for number, pause in enumerate(Retry(tries=8, first=1, longest=4).pauses()):
        whole = min(4, 2**number)
        assert whole / 2 <= pause <= whole
    assert len({next(RETRY.pauses()) for _ in range(20)}) > 1


def test_the_service_says_how_long_to_wait() -> None:
    assert played([LATER, DONE], repeatable=False)[2] == [3.0]
    too_long = Incoming(503, {"retry-after": "3600"}, BUSY.body)
    assert played([too_long, DONE], repeatable=True)[:2] == (too_long, 1)
    dated = Incoming(503, {"retry-after": "Thu, 26 Nov 2026 00:00:00 GMT"}, BUSY.body)
    assert played([dated, DONE], repeatable=True)[:2] == (DONE, 2)
