"""What a load generator counts: when a ceremony was due, when it ended, and what never ended."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from loadtests import plain_engine
from loadtests.options import Options
from loadtests.people import Official
from loadtests.place import Needs, Scenario
from loadtests.recorder import Recorder, Steps
from loadtests.results import SINGLE, Observed, machine, results
from loadtests.turns import Arrivals, Pool
from loadtests.worker import Desk

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """What ``time.time`` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def official(number: int = 0) -> Official:
    return Official(str(number), "s", "c", "pw", "pin", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")


def desk(ceremony: Callable[..., int], arrivals: Arrivals, recorder: Recorder, **more: Any) -> Desk:
    scenario = Scenario("x", "", Needs(codes=0), ceremony)
    persons = Pool([official(number) for number in range(8)], codes=0)
    return Desk(scenario, None, persons, arrivals, recorder, **more)  # type: ignore[arg-type]  # a place is not looked at


def one(recorder: Recorder, clock: Clock, due: float, ended: float, cause: str | None) -> None:
    recorder.begin(due)
    clock.now = ended
    recorder.ceremony("x", due, int(cause is None), cause)


@pytest.mark.parametrize(
    ("due", "ended", "counted"),
    [
        (5.0, 8.0, (0, 0, 0)),  # all of it before
        (5.0, 12.0, (0, 0, 1)),  # of the warm-up, but it is work of the measured time
        (12.0, 15.0, (1, 0, 1)),
        (19.0, 29.0, (1, 1, 0)),  # due in time: the slow ones at the end are not left out
        (21.0, 22.0, (0, 0, 0)),
    ],
)
def test_times_are_of_what_was_due_and_the_rate_of_what_ended(
    clock: Clock, due: float, ended: float, counted: tuple[int, int, int]
) -> None:
    times, _, done = counted
    recorder = Recorder(10.0, 20.0)
    one(recorder, clock, due, ended, None)
    assert (recorder.ceremonies.count, recorder.late, recorder.done) == counted
    assert recorder.signatures == sum(each.latencies.count for each in recorder.seconds.values())
    assert recorder.signatures == done
    assert not recorder.unfinished
    if times:
        assert recorder.ceremonies.quantile(0.99) == pytest.approx(ended - due, rel=0.03)


@pytest.mark.parametrize(
    ("due", "ended", "errors"), [(5.0, 8.0, 0), (5.0, 12.0, 1), (19.0, 29.0, 1), (21.0, 22.0, 0)]
)
def test_failure_counts_when_it_was_due_or_ended_in_the_measured_time(
    clock: Clock, due: float, ended: float, errors: int
) -> None:
    recorder = Recorder(10.0, 20.0)
    one(recorder, clock, due, ended, "refused")
    assert list(recorder.errors.values()) == [1] * errors
    assert not recorder.ceremonies.count
    assert not recorder.unfinished


def test_what_nobody_got_to_is_unfinished() -> None:
    now = time.time()
    recorder = Recorder(now - 10, now - 5)
    overdue = Arrivals(10.0, now - 10, now - 5, seed=1)
    expected = sum(1 for _ in iter(Arrivals(10.0, now - 10, now - 5, seed=1).next, None))

    def ceremony(*_: object) -> int:
        raise AssertionError("it is too late to begin")

    waiting = desk(ceremony, overdue, recorder, give_up=now - 1)
    while waiting.turn(None):  # type: ignore[arg-type]  # nothing is sent
        pass
    assert recorder.unfinished == expected > 20
    assert not recorder.errors


def test_ceremony_that_hangs_is_given_up_and_unfinished() -> None:
    now, never = time.time(), threading.Event()
    recorder = Recorder(now - 1, now + 1.0)

    def ceremony(*_: object) -> int:
        never.wait(20)
        return 1

    # Time enough for both to begin, however busy the machine is.
    hanging = desk(ceremony, Arrivals(None, now, now + 1.0), recorder, give_up=now + 1.2)
    plain_engine.run(hanging, 2)
    assert time.time() - now < 15
    assert recorder.unfinished == 2
    never.set()


def test_activation_is_that_of_the_token_or_sad() -> None:
    recorder = Recorder(0, 1)
    steps = Steps(None, recorder)  # type: ignore[arg-type]  # nothing is sent
    steps.signed_by("0123456789abcdefghjkmnpqrs.secret")
    assert recorder.activations == ["0123456789abcdefghjkmnpqrs"]
    assert recorder.members()["activations"] == recorder.activations


@pytest.mark.parametrize(
    ("scenario", "hashes", "expected"),
    # One call in ten is slow: the mean is 19 ms, the median 10.
    [("seal", 100, 1 / 0.019 / 100), ("batch", 100, 100 / 0.019 / 100)],
)
def test_a_call_against_the_token_is_judged_by_its_mean(
    scenario: str, hashes: int, expected: float
) -> None:
    recorder = Recorder(0, 10)
    for number in range(100):
        recorder.step("sign_hash", 0.1 if number % 10 == 0 else 0.01, 0, 0)
    seen = Observed(
        options=Options(scenario, hashes=hashes),
        started_at="2026-11-26T08:00:00+00:00",
        seconds=10.0,
        recorder=recorder,
        before={},
        settled={},
        after={},
        statements=None,
        raw={f"{SINGLE} p256": 100.0},
        machine=machine(),
    )
    assert results(seen)["ratios"][f"call/{SINGLE}"] == pytest.approx(expected)


@pytest.mark.parametrize(("due", "short"), [(15.0, 1), (25.0, 0)])
def test_a_shortage_counts_where_the_ceremony_was_due_however_late_it_is_told(
    clock: Clock, due: float, short: int
) -> None:
    recorder = Recorder(10.0, 20.0)
    full = desk(lambda *_: 1, Arrivals(1.0, due, 99.0), recorder, sleep=lambda _: None)
    nobody = replace(full, pool=Pool([], codes=0))
    clock.now = 50.0
    http: Any = None
    assert nobody.turn(http)
    assert recorder.short == short
