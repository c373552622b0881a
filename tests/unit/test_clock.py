import time

from remote_signing.clock import FixedClock, SystemClock, as_datetime


def test_system_clock_tells_milliseconds() -> None:
    before = time.time() * 1000
    assert before - 1 <= SystemClock().now_ms() <= time.time() * 1000 + 1


def test_fixed_clock_moves_only_when_told() -> None:
    clock = FixedClock(1_000)
    clock.advance(1.5)
    assert clock.now_ms() == 2_500
    clock.advance(-1)
    assert clock.now_ms() == 1_500


def test_datetime_is_aware_utc() -> None:
    assert as_datetime(0).isoformat() == "1970-01-01T00:00:00+00:00"
