"""What is measured to see whether more of the same does more, and how it is judged."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from loadtests import accounting, people, portal, scaling, tables
from loadtests.generators import GeneratorFailed
from loadtests.options import Options
from loadtests.programs import ProgramFailed
from loadtests.results import machine
from loadtests.scaling import Size

if TYPE_CHECKING:
    from pathlib import Path

RATES = {1: 1.5, 2: 3.0, 4: 5.7}
WRONG = ("errors", "unfinished", "shortage", "lost")


def row(size: Size, rate: float, **changes: Any) -> dict[str, Any]:
    found = {
        "options": {"hashes": 100},
        "rate": rate,
        "signature_rate": 100 * rate,
        "latency_ms": {"p50": 900.0, "p95": 1500.0, "p99": 2000.0},
        "cpu_ms": {"server": 50.0, "generator": 6.0},
        "machine_busy": 0.4,
        "errors": {"total": 0, "causes": {}},
        "unfinished": 0,
        "shortage": 0,
        "lost": 0,
    }
    return scaling.row(size, found) | {"rates": [rate]} | changes


def rows(**changes: Any) -> dict[Size, dict[str, Any]]:
    """A row for each size; ``changes`` are those of one host with four workers."""
    found = {}
    for size in scaling.sizes(5.0):
        rate = RATES[size.sessions] if size.latency_ms else 20.0 / size.hosts
        found[size] = row(size, rate) | (changes if size == Size(1, 4, 5.0) else {})
    return found


def test_key_ceremony_comes_first_with_the_nodes_of_all_hosts() -> None:
    chosen = scaling.sizes(5.0)
    assert chosen[0].hosts == max(size.hosts for size in chosen) == 2
    assert len(chosen) == len(set(chosen)) == 6
    late = {(size.hosts, size.sessions) for size in chosen if size.latency_ms}
    assert late == {(1, 1), (1, 2), (1, 4), (2, 4)}


def test_nobody_is_asked_for_a_code_in_two_runs() -> None:
    base = Options("batch", hashes=100, seconds=20, warm_up=4)
    chosen = scaling.sizes(5.0)
    shares = [share for _, share in scaling.shares(base, chosen)]
    assert shares[0].start == 0
    assert all(later.start == earlier.stop for earlier, later in pairwise(shares))
    # Four sessions of 5 ms do eight ceremonies of a hundred hashes a second; two codes each.
    four = shares[chosen.index(Size(1, 4, 5.0))]
    assert four.stop - four.start == (8 * 24 + 2 * 16) / 2 + 16


def test_each_size_is_held_against_a_multiple_of_the_smallest() -> None:
    found = scaling.growth(rows(), 5.0)
    assert [each["of_linear"] for each in found["workers"]] == pytest.approx([1.0, 1.0, 0.95])
    assert all(each["reached"] for each in found["workers"])
    one, two, late_one, late_two = found["hosts"]
    assert (one["latency_ms"], two["latency_ms"], late_two["hosts"]) == (0.0, 0.0, 2)
    # Of one machine's processors two hosts get no more: that is told, and no goal.
    assert two["of_linear"] == pytest.approx(0.25)
    assert two["goal"] is None
    assert two["reached"]
    assert late_one["of_linear"] == 1.0
    # Each first one is what the others are held against: no goal of its own.
    assert late_one["goal"] is found["workers"][0]["goal"] is None
    assert late_two["goal"] == scaling.GOAL == 0.9
    assert late_two["of_linear"] == pytest.approx(0.95)


@pytest.mark.parametrize("changes", [{"rate": 5.39}, *({name: 1} for name in WRONG)])
def test_size_that_does_less_or_fails_at_something_misses(changes: dict[str, float]) -> None:
    *fewer, most = scaling.growth(rows(**changes), 5.0)["workers"]
    assert all(each["reached"] for each in fewer)
    assert not most["reached"]
    assert scaling.growth(rows(rate=5.4), 5.0)["workers"][-1]["reached"]


def test_quickest_round_counts_and_the_failures_of_all() -> None:
    size = Size(1, 2, 5.0)
    rounds = [row(size, 2.5, errors=1), row(size, 3.0), row(size, 2.0, lost=2)]
    found = scaling.best(rounds)
    assert (found["rate"], found["rates"]) == (3.0, [2.5, 3.0, 2.0])
    assert (found["errors"], found["lost"], found["shortage"]) == (1, 2, 0)


def test_row_says_what_the_sessions_and_the_processors_had_to_do() -> None:
    found = row(Size(2, 2, 5.0), 6.0)
    assert found["sessions"] == 4
    assert found["users"] == 16
    assert found["of_limit"] == pytest.approx(6.0 / 8.0)
    assert found["cores"] == pytest.approx(6.0 * 56 / 1000)
    assert row(Size(1, 2, 0.0), 6.0)["of_limit"] is None


def test_command_writes_and_judges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {
        "started_at": "2026-11-26T10:00:00+00:00",
        "machine": machine(),
        "seconds": 20.0,
        "hashes": 100,
        "database": "postgresql",
    }
    for changes, status in (({}, 0), ({"rate": 4.0}, 1)):
        scaled = found | scaling.growth(rows(**changes), 5.0)
        monkeypatch.setattr(scaling, "scale", lambda *_, scaled=scaled: scaled)
        assert scaling.main(["--out", str(tmp_path)]) == status
        assert json.loads((tmp_path / "scaling.json").read_text("utf-8")) == scaled
        told = capsys.readouterr().out.splitlines()
        assert ("MISSED" in told[2]) is bool(status)
        assert told[4].startswith("told only 2 hosts, 0 ms: 10.00/s, 0.25 of linear")
    filled, missing = tables.filled("<!-- measured: scaling -->\n<!-- end -->", tmp_path)
    assert not missing
    text = filled.replace("\n", "")
    assert "|| 1 | 4 | 5 ms late | 4.00 | 570 | 0.67 | 0.9 **missed** | 0.71 | 2000 ms |" in text
    assert (
        "|| 2 | 4 | as it is | 10.00 | 1000 | 0.25 | – | – | 2000 ms | 0.56 | 40 % | 0, 0 |" in text
    )


@dataclass
class Bench:
    """The command without a service: what it asks for, and what each size would do."""

    rates: dict[tuple[int, float], float]  # sessions, latency
    runs: list[tuple[Options, list[int]]] = field(default_factory=list)
    signed_in: list[list[int]] = field(default_factory=list)
    fails: Exception | None = None

    def measured(self, _site: object, options: Options, officials: list[int], *_: Any) -> Any:
        if self.fails is not None:
            raise self.fails
        assert officials == self.signed_in[-1]
        assert options.kept is not None
        assert options.kept.parent.is_dir()
        self.runs.append((options, officials))
        sessions = options.hosts * options.sam_workers
        size = Size(options.hosts, options.sam_workers, options.hsm_latency)
        found = row(size, self.rates[sessions, options.hsm_latency])
        return found | {
            "options": {"hashes": options.hashes},
            "latency_ms": {"p50": 1.0, "p99": 2.0},
            "cpu_ms": {"server": 1.0},
            "errors": {"total": 0, "causes": {}},
        }


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench({(1, 5.0): 1.5, (2, 5.0): 3.0, (4, 5.0): 6.0, (2, 0.0): 20.0, (4, 0.0): 15.0})
    monkeypatch.setattr(scaling, "Site", lambda *_: nullcontext())
    monkeypatch.setattr(people, "found_agency", lambda _: None)
    monkeypatch.setattr(people, "enrol", lambda _, count, *__: list(range(count)))
    monkeypatch.setattr(people, "sign_in_all", lambda _, chosen: found.signed_in.append(chosen))
    monkeypatch.setattr(portal, "register", lambda _, dpop: dpop)
    monkeypatch.setattr(scaling, "measured", found.measured)
    return found


FAST = ["--engine", "plain", "--seconds", "0.2", "--warm-up", "0.1"]


def test_every_size_is_run_in_each_round_with_officials_of_its_own(
    bench: Bench, tmp_path: Path
) -> None:
    asked = [*FAST, "--rounds", "2", "--hashes", "7", "--rssp-workers", "3", "--out", str(tmp_path)]
    assert scaling.main(asked) == 0
    chosen = scaling.sizes(5.0) * 2
    assert [
        Size(options.hosts, options.sam_workers, options.hsm_latency) for options, _ in bench.runs
    ] == chosen
    assert [options.users for options, _ in bench.runs] == [size.users for size in chosen]
    of_all = [each for _, officials in bench.runs for each in officials]
    assert of_all == list(range(len(of_all)))
    assert {
        (options.scenario, options.hashes, options.rssp_workers, options.seconds, options.engine)
        for options, _ in bench.runs
    } == {("batch", 7, 3, 0.2, "plain")}
    (kept,) = {options.kept for options, _ in bench.runs}
    assert kept is not None
    assert not kept.parent.exists(), "the site is removed in the end"
    told = json.loads((tmp_path / "scaling.json").read_text("utf-8"))
    assert [each["rates"] for each in told["workers"]] == [[1.5] * 2, [3.0] * 2, [6.0] * 2]
    assert [each["of_linear"] for each in told["hosts"]] == pytest.approx([1.0, 0.375, 1.0, 1.0])
    assert told["hashes"] == 7


def test_run_that_fails_is_no_figure(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for fails in (GeneratorFailed("no result"), ProgramFailed("never ready")):
        bench.fails = fails
        assert scaling.main([*FAST, "--out", str(tmp_path)]) == 2
        assert str(fails) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_busy_processors_are_never_more_than_there_are() -> None:
    early = accounting.processors()
    late = accounting.processors()
    assert 0 < early[0] <= late[0]
    assert early[0] < early[1] <= late[1]
