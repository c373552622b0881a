"""Replay counters: rules, and a file that a power loss cannot turn back."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from sim_adapter.ota.counters import LAST, CounterFile, CounterRule, check
from sim_adapter.ota.errors import CounterBlocked, CounterHigh, CounterLow

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("rule", "stored", "value", "refusal"),
    [
        (CounterRule.HIGHER, 5, 6, None),
        (CounterRule.HIGHER, 5, 600, None),
        (CounterRule.HIGHER, 5, 5, CounterLow),
        (CounterRule.HIGHER, 5, 4, CounterLow),
        (CounterRule.HIGHER, LAST, LAST, CounterBlocked),
        (CounterRule.NEXT, 5, 6, None),
        (CounterRule.NEXT, 5, 7, CounterHigh),
        (CounterRule.NEXT, 5, 5, CounterLow),
        (CounterRule.UNCHECKED, 5, 1, None),
        (CounterRule.NONE, 5, 0, None),
    ],
)
def test_a_counter_may_follow_or_not(
    rule: CounterRule, stored: int, value: int, refusal: type[Exception] | None
) -> None:
    if refusal is None:
        check(rule, stored, value)
    else:
        with pytest.raises(refusal):
            check(rule, stored, value)


def test_no_value_is_reserved_twice_over_restarts(tmp_path: Path) -> None:
    path, seen = tmp_path / "counters", []
    for _ in range(5):
        counters = CounterFile(path)
        seen += [counters.reserve("a") for _ in range(70)]
        counters.close()
    assert seen == sorted(set(seen))


def test_a_value_is_accepted_once_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    counters = CounterFile(path)
    counters.accept("a", 9)
    counters.accept("b", 3)
    counters.close()
    again = CounterFile(path)
    for value in (9, 8):
        with pytest.raises(CounterLow):
            again.accept("a", value)
    again.accept("b", 4)
    again.close()


def test_a_line_that_was_not_written_to_the_end_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    counters = CounterFile(path)
    counters.accept("a", 1234)
    counters.close()
    with path.open("a", encoding="ascii") as file:
        file.write("\na 99")  # of 9999 .
    again = CounterFile(path)
    again.accept("a", 1235)
    again.close()
    last = CounterFile(path)
    with pytest.raises(CounterLow):
        last.accept("a", 1235)
    last.close()


def test_a_line_that_the_disk_has_no_room_for_is_a_fault_and_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters, write = CounterFile(tmp_path / "counters"), os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, octets: write(file, octets[: len(octets) // 2]))
        with pytest.raises(OSError, match="not written to its end"):
            counters.accept("a", 1234)
        with pytest.raises(OSError, match="not written to its end"):
            counters.reserve("b")
    counters.accept("a", 1234)
    assert counters.reserve("b") == 1
    counters.close()
    again = CounterFile(tmp_path / "counters")
    with pytest.raises(CounterLow):
        again.accept("a", 1234)
    again.close()


def test_the_folder_is_on_disk_before_a_counter_is_written_to_the_file_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, fdatasync = os.fsync, os.fdatasync

    def noted(file: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")
        fsync(file)

    def stored(file: int) -> None:
        steps.append("counter")
        fdatasync(file)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "fdatasync", stored)
    counters = CounterFile(tmp_path / "counters", compact_above=20)
    for value in (1, 1000, 2000):
        counters.accept("a", value)
    counters.close()
    assert steps == ["folder", "counter", "counter", "counter", "file", "folder"]


def test_a_second_owner_is_turned_away(tmp_path: Path) -> None:
    counters = CounterFile(tmp_path / "counters")
    with pytest.raises(BlockingIOError):
        CounterFile(tmp_path / "counters")
    counters.close()


def test_the_file_is_made_short_and_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    counters = CounterFile(path, compact_above=200)
    for value in range(1, 200):
        counters.accept("a", value)
    counters.accept("b", 7)
    assert path.stat().st_size < 400
    counters.close()
    again = CounterFile(path)
    for name, value in (("a", 199), ("b", 7)):
        with pytest.raises(CounterLow):
            again.accept(name, value)
    again.close()


def test_a_counter_at_its_end_is_blocked_for_good(tmp_path: Path) -> None:
    counters = CounterFile(tmp_path / "counters")
    counters.accept("a", LAST - 1)
    assert counters.reserve("a") == LAST
    for _ in range(2):
        with pytest.raises(CounterBlocked):
            counters.reserve("a")
        with pytest.raises(CounterBlocked):
            counters.accept("a", LAST)
    counters.close()
