from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loadtests import accounting, charts, events, goals, history, options, output, report, tables
from loadtests.accounting import WORKERS, Usage
from loadtests.histogram import Histogram
from loadtests.options import Options
from loadtests.people import Official
from loadtests.place import Needs, Scenario
from loadtests.profiles import working_day
from loadtests.recorder import Answer, CeremonyFailed, Recorder, Steps
from loadtests.results import C_SIGN, GENERATOR, SINGLE, Observed, machine, results
from loadtests.statements import Counted
from loadtests.turns import Arrivals, Pool
from loadtests.worker import Desk

if TYPE_CHECKING:
    from collections.abc import Mapping


def official(number: int = 0) -> Official:
    return Official(str(number), "s", "c", "pw", "pin", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")


def observed(scenario: str = "ceremony_otp", **changes: Any) -> Observed:
    recorder = Recorder(time.time() - 5, time.time() + 5)
    recorder.unfinished = 100
    for _ in range(99):
        recorder.ceremony("x", time.time() - 0.1, 1, None)
        recorder.step("sign_hash", 0.002, 100, 200)
    recorder.ceremony("x", time.time() - 0.9, 1, None)
    given: dict[str, Any] = {
        "options": Options(scenario, rate=208, database="postgresql"),
        "started_at": "2026-11-26T08:00:00+00:00",
        "seconds": 10.0,
        "recorder": recorder,
        "before": {"rssp": Usage(1.0, 80, 70, 5, 1), WORKERS: Usage(0.0, 0, 0, 0, 2)},
        "settled": {"rssp": Usage(1.1, 100, 100, 10, 1), WORKERS: Usage(0.1, 0, 0, 0, 2)},
        "after": {
            "rssp": Usage(1.5, 110, 104, 10, 1),
            WORKERS: Usage(1.0, 0, 0, 0, 2),
            GENERATOR: Usage(7.0),
            "phones": Usage(3.0),
        },
        "statements": Counted(1200, 400, 900, 0.3, []),
        "machine": machine(),
        "busy": 0.75,
        "raw": {f"{SINGLE} p256": 100.0, f"{C_SIGN} p256": 1000.0},
    }
    return Observed(**(given | changes))


def judged(found: dict[str, Any], chosen: Options) -> dict[str, bool]:
    return {each.goal.figure: each.is_reached for each in goals.judge(chosen, found)}


def with_goals(found: dict[str, Any], chosen: Options) -> dict[str, Any]:
    names = ("figure", "told", "bound", "limit")
    found["goals"] = [
        {name: getattr(each.goal, name) for name in names}
        | {"measured": each.measured, "reached": each.is_reached}
        for each in goals.judge(chosen, found)
    ]
    return found


def test_quantile_is_rounded_up_by_two_per_cent_at_most() -> None:
    histogram = Histogram()
    for milliseconds in range(1, 1001):
        histogram.add(milliseconds / 1000)
    for share in (0.5, 0.95, 0.99, 1.0):
        assert share <= histogram.quantile(share) <= share * 1.02


def test_histograms_add_up_over_json() -> None:
    one, other = Histogram(), Histogram()
    one.add(0.001)
    other.add(5.0)
    one.merge(Histogram.of(json.loads(json.dumps(other.members()))))
    assert one.count == 2
    assert one.quantile(1.0) == pytest.approx(5.0, rel=0.02)
    assert one.mean == pytest.approx(2.5005)
    assert Histogram().quantile(0.99) == Histogram().mean == 0.0


def test_time_runs_from_when_a_ceremony_was_due() -> None:
    recorder = Recorder(time.time() - 10, time.time() + 10)
    recorder.ceremony("x", time.time() - 3.0, 1, None)  # waited three seconds for a free user
    assert recorder.ceremonies.quantile(0.5) == pytest.approx(3.0, rel=0.05)


def test_generators_results_add_up() -> None:
    one = Recorder(0, time.time() + 10)
    one.start = time.time() - 1
    for _ in range(3):
        one.begin(time.time())
    one.ceremony("x", time.time(), 2, None)
    one.ceremony("x", time.time(), 0, "refused")
    one.step("par", 0.01, 5, 7)
    one.short, one.late = 3, 4
    one.activations.append("a")
    members = json.loads(json.dumps(one.members()))
    both = Recorder(one.start, one.end)
    both.merge(members)
    both.merge(members)
    assert (both.ceremonies.count, both.done, both.signatures, both.short) == (2, 2, 4, 6)
    assert (both.late, both.unfinished, both.activations) == (8, 2, ["a", "a"])
    assert both.errors == {"refused": 2}
    assert (both.steps["par"].sent, both.steps["par"].received) == (10, 14)
    assert sum(each.errors for each in both.seconds.values()) == 2


class Http:
    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def send(
        self, step: str, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        del step, method, url, headers, body
        return self.answers.pop(0)


def test_step_with_another_answer_fails_the_ceremony_with_its_cause() -> None:
    recorder = Recorder(0, time.time() + 10)
    steps = Steps(Http(Answer(200, {"a": "b"}, b"{}"), Answer(0, {}, b"")), recorder)
    steps.send("par", "POST", "http://x", {"h": "v"}, b"body")
    with pytest.raises(CeremonyFailed, match="token: 0 no answer"):
        steps.send("token", "POST", "http://x")
    assert set(recorder.steps) == {"par"}
    assert recorder.steps["par"].received == 2 + 6


def test_people_come_at_the_rate_whoever_is_free() -> None:
    arrivals = Arrivals(1000.0, 100.0, 110.0, seed=1)
    moments = []
    while (due := arrivals.next()) is not None:
        moments.append(due)
    assert moments == sorted(moments)
    assert len(moments) == pytest.approx(10_000, rel=0.05)
    assert max(moments) < 110.0


def test_rate_follows_the_working_day() -> None:
    arrivals = Arrivals(1000.0, 0.0, 10.0, seed=1, profile=working_day)
    seconds = [0] * 10
    while (due := arrivals.next()) is not None:
        seconds[int(due)] += 1
    morning, noon, afternoon = seconds[2], seconds[4], seconds[7]  # 9:30, 11:30, 14:30
    assert noon < morning / 2
    assert noon < afternoon / 2
    shares = [working_day(over) for over in (0.0, 0.25, 1.0, 2.0)]  # 10:00 is the second
    assert shares == pytest.approx([0.05, 1.0, 0.05, 0.05])


def test_closed_loop_is_due_at_once_until_the_end() -> None:
    now = time.time()
    assert Arrivals(None, now - 1, now + 60).next() == pytest.approx(now, abs=5)
    assert Arrivals(None, now - 2, now - 1).next() is None


def test_nobody_is_asked_for_a_code_twice() -> None:
    pool = Pool([official()])
    step = int(time.time()) // 30
    taken = []
    while (one := pool.take()) is not None:
        taken.append(one.code(max(step, one.last_step + 1)))
        pool.give_back(one)
    assert len(taken) == len(set(taken)) <= 3  # three when a step ended meanwhile
    assert Pool([]).take() is None


def test_code_is_that_of_the_standard() -> None:
    # RFC 6238 appendix B, SHA-1, T = 1 and T = 37037036, the last six digits.
    assert official().code(1) == "287082"
    assert official().code(37037036) == "081804"


def test_results_say_what_a_ceremony_cost_whom() -> None:
    found = results(observed())
    assert found["rate"] == 10.0
    assert found["cpu_ms"]["rssp"] == pytest.approx(5.0)
    # Neither the generator nor the phones are the service's.
    assert found["cpu_ms"]["server"] == pytest.approx(15.0)
    assert found["statements"]["work"] == 12.0
    assert found["ratios"]["hsm_busy"] == pytest.approx(1.0 / (10 * 2))
    assert found["ratios"][f"ceremonies/{SINGLE}"] == pytest.approx(0.1)
    assert found["growth"]["pss"] == pytest.approx(1.04)
    assert sum(each["ceremonies"] for each in found["series"]) == 100


def test_goal_is_missed_by_the_figure_that_passes_its_limit() -> None:
    chosen = Options("ceremony_otp", rate=208, database="postgresql")
    reached = judged(results(observed()), chosen)
    assert reached["errors.total"]
    assert reached["latency_ms.p99"]
    assert not reached["rate"]  # ten a second
    assert not reached["cpu_ms.server"]


def test_figure_that_is_not_there_misses_its_goal() -> None:
    chosen = Options("batch", users=1)
    found = results(observed("batch", raw={}))
    assert not judged(found, chosen)["ratios.call/C_Sign"]


def test_growth_from_nothing_that_could_be_read_misses_its_goals() -> None:
    chosen = Options("ceremony_otp", seconds=600)
    unread = {"rssp": Usage(1.0, 0, 0, 0, 1), WORKERS: Usage()}
    reached = judged(results(observed(settled=unread)), chosen)
    assert not reached["growth.pss"]
    assert not reached["growth.files"]
    assert judged(results(observed()), chosen)["growth.pss"]


@pytest.mark.parametrize("error", [KeyError("SAD"), IndexError("0"), TypeError("int")])
def test_answer_of_another_shape_is_a_failed_ceremony(error: Exception) -> None:
    def ceremony(*_: object) -> int:
        raise error

    now = time.time()
    recorder, users = Recorder(now - 5, now + 5), Pool([official()])
    scenario = Scenario("x", "", Needs(), ceremony)  # type: ignore[arg-type]  # takes anything
    desk: Any = Desk(scenario, None, users, Arrivals(None, now, now + 5), recorder)  # type: ignore[arg-type]  # a place is not looked at
    assert desk.turn(None)
    assert recorder.errors.total() == 1
    assert users.take() is not None


def test_rate_is_no_goal_where_none_is_asked_for() -> None:
    found = results(observed())
    assert "rate" not in judged(found, Options("ceremony_otp", database="sqlite"))
    whole = Options("ceremony_otp", database="postgresql", rate=208)
    of_the_whole = {"cpu_ms.server", "rate"}
    assert of_the_whole <= judged(found, whole).keys()
    for partial in (
        replace(whole, durable=False),
        replace(whole, consent_page=False),
        replace(whole, dpop=False),
        replace(whole, hsm_latency=5.0),
        replace(whole, database="sqlite"),
        replace(whole, event=events.LOSE_NODE),
    ):
        assert not of_the_whole & judged(found, partial).keys()
    assert "growth.pss" in judged(found, Options("ceremony_otp", seconds=600))
    assert "growth.pss" not in judged(found, Options("ceremony_otp", seconds=599))


def test_memory_is_told_of_processes_that_show_it_to_root_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(self: Path, **_: object) -> str:
        if self.name == "smaps_rollup":
            raise PermissionError
        return "1000 300 100 1 0 90 0\n"

    monkeypatch.setattr(Path, "read_text", read)
    page = os.sysconf("SC_PAGESIZE")
    assert accounting._memory(1) == (300 * page, 200 * page)  # noqa: SLF001 - root may read it all


def test_time_of_a_child_that_has_ended_is_not_lost() -> None:
    roots = {"sam": os.getpid()}
    before = accounting.usage(roots)
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    after = accounting.usage(roots)
    # Of a supervisor it is its workers'.
    assert after[WORKERS].cpu - before[WORKERS].cpu >= 0.15  # ticks of 10 ms
    assert after["sam"].processes == before["sam"].processes >= 1
    assert after["sam"].rss >= after["sam"].pss > 0
    assert accounting.usage({"gone": 2**22 + 1}) == {}


def test_data_files_that_postgresql_keeps_open_are_its_cache_and_no_growth(tmp_path: Path) -> None:
    def opened() -> tuple[int, int]:
        found = accounting.usage({"rssp": os.getpid(), "postgres": os.getpid()})
        return found["rssp"].files, found["postgres"].files

    ours, databases = opened()
    with (tmp_path / "table").open("w"):
        assert opened() == (ours + 1, databases)
    with socket.socket():
        assert opened() == (ours + 1, databases + 1)


def test_signature_that_is_not_on_record_is_lost() -> None:
    chosen = Options("ceremony_otp")
    assert not judged(results(observed(missing=1)), chosen)["lost"]
    assert judged(results(observed()), chosen)["lost"]


def test_recovery_ends_with_the_last_bad_second() -> None:
    good = {"ceremonies": 9, "errors": 0, "p99": 200.0}
    series = [{"second": number, **good} for number in range(20)]
    assert events.recovery(series, 5.0)["seconds"] == 0.0
    series[2]["errors"] = 1  # before
    series[6]["p99"] = 4000.0
    series[8]["errors"] = 3
    assert events.recovery(series, 5.0) == {"at": 5.0, "seconds": 4.0, "errors": 3}
    series[9]["ceremonies"] = 0
    assert events.recovery(series, 5.0)["seconds"] == 5.0


def test_what_never_became_good_again_has_not_recovered() -> None:
    series = [{"second": number, "ceremonies": 9, "errors": 0, "p99": 99.0} for number in range(20)]
    series[19]["errors"] = 1
    assert "seconds" not in events.recovery(series, 5.0)
    assert "seconds" not in events.recovery(series, 20.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--event", "restart-postgres"], "10 seconds"),
        (["--event", "lose-node", "--event-at", "14.5"], "5 seconds"),
        (["--event", "lose-node", "--event-at", "-1"], "5 seconds"),
        (
            ["--event", "restart-postgres", "--seconds", "60", "--database", "sqlite"],
            "no PostgreSQL",
        ),
    ],
)
def test_an_event_that_nobody_could_judge_is_refused(
    given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options.read(["ceremony_otp", *given])
    assert told in capsys.readouterr().err
    assert options.read(["ceremony_otp", "--event", "lose-node"]).event_at == 10


def test_run_without_its_database_may_have_errors_and_must_come_back() -> None:
    chosen = Options("ceremony_otp", event=events.RESTART_POSTGRES)
    figures = judged(results(observed()), chosen)
    assert "errors.total" not in figures
    assert not figures["recovery.seconds"]  # not measured: missed
    lost = Options("ceremony_otp", event=events.LOSE_NODE)
    assert {"errors.total", "recovery.seconds"} <= judged(results(observed()), lost).keys()


def test_run_that_did_nothing_misses() -> None:
    nothing = results(observed(recorder=Recorder(0, 10)))
    assert not judged(nothing, Options("sign_in"))["ceremonies"]


def test_history_shows_a_change_for_the_worse(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    found = results(observed())
    assert history.add(file, found) == {}
    same = history.add(file, found)
    assert same["cpu_times_raw"] == pytest.approx(1.0)
    assert not history.regressions(same)
    found["cpu_ms"]["server"] *= 1.3
    found["ratios"][f"ceremonies/{SINGLE}"] *= 0.7
    worse = history.regressions(history.add(file, found))
    assert set(worse) == {"cpu_times_raw", f"ratios.ceremonies/{SINGLE}"}
    other = results(observed("seal"))
    assert history.add(file, other) == {}  # of another kind
    found["options"] |= {"hosts": 2}
    assert history.add(file, found) == {}  # of more hosts


def test_history_of_before_there_were_several_hosts_still_counts(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    found = results(observed())
    old = {name: value for name, value in history.line(found).items() if "hosts" not in name}
    file.write_text(json.dumps(old) + "\n", "utf-8")
    assert history.add(file, found)["cpu_times_raw"] == pytest.approx(1.0)


def test_report_needs_nothing_beside_it_and_shows_each_goal() -> None:
    chosen = Options("ceremony_otp", rate=208, database="postgresql")
    found = with_goals(results(observed()), chosen)
    found["errors"]["causes"] = {"<script>": 1}
    page = report.page(found)
    assert "http" not in page.replace("http-equiv", "")
    assert "<script>" not in page
    assert page.count("<svg") == 4
    assert page.count("missed") >= 2


def test_results_are_written_as_json_csv_and_page(tmp_path: Path) -> None:
    found = with_goals(results(observed()), Options("ceremony_otp"))
    files = output.write(tmp_path, found)
    assert json.loads(files["json"].read_text("utf-8"))["rate"] == 10.0
    assert "rate,10.0" in files["csv"].read_text("utf-8").splitlines()
    assert files["html"].read_text("utf-8").startswith("<!doctype html>")
    told = "\n".join(output.told(found))
    assert "10.0/s" in told
    assert "reached no ceremony fails" in told


def test_documents_tables_come_from_results(tmp_path: Path) -> None:
    chosen = Options("ceremony_otp", rate=208, database="postgresql")
    found = with_goals(results(observed()), chosen)
    output.write(tmp_path, found)
    text = "a\n<!-- measured: ceremony_otp -->\nold\n<!-- end -->\n<!-- measured: seal -->\n"
    filled, missing = tables.filled(text + "kept\n<!-- end -->\n", tmp_path)
    assert "old" not in filled
    assert "| ceremonies a second (failed) | 10.0 (0) |" in filled
    assert "**missed**" in filled
    assert "not in it: generator 70.00, phones 30.00) |" in filled
    assert "processors 75 % busy" in filled
    assert "kept" in filled
    assert missing == ["seal"]
    again, _ = tables.filled(filled, tmp_path)
    assert again == filled


def test_comparison_is_a_table_too(tmp_path: Path) -> None:
    rates = {"ours": 40.0, "other": 80.0, "ratio": 0.5, "goal": 0.4}
    processes = {"our_processes": {"rssp": 1, "sam_workers": 2}, "other_processes": 1}
    (tmp_path / "compare.json").write_text(json.dumps({"p256": rates | processes}), "utf-8")
    filled, _ = tables.filled("<!-- measured: compare -->\n<!-- end -->", tmp_path)
    row = "| p256 | 40.0/s | 80.0/s | 0.50 | 0.4 | reached | rssp 1, sam_workers 2; 1 |"
    assert row in filled.splitlines()


def test_each_algorithm_has_its_own_column(tmp_path: Path) -> None:
    for algorithm, missing in (("p256", 0), ("rsa3072", 1)):
        chosen = Options("seal", algorithm=algorithm, users=1)
        raw = {f"{SINGLE} {algorithm}": 100.0, f"{C_SIGN} {algorithm}": 1000.0}
        seen = observed("seal", options=chosen, missing=missing, raw=raw)
        output.write(tmp_path, with_goals(results(seen), chosen))
    filled, _ = tables.filled("<!-- measured: seal -->\n<!-- end -->", tmp_path)
    lines = filled.splitlines()
    assert "| figure | p256 | rsa3072 |" in lines
    assert "| goal | p256 | rsa3072 |" in lines
    lost = next(line for line in lines if "is on record" in line)
    assert lost.endswith("| 0 reached | 1 **missed** |")
    assert sum(line.startswith(("p256: ", "rsa3072: ")) for line in lines) == 2
    # What only one of them has leaves the other's place empty.
    found = json.loads((tmp_path / "seal.json").read_text("utf-8"))
    found["ratios"]["more"] = 0.5
    (tmp_path / "seal.json").write_text(json.dumps(found), "utf-8")
    again, _ = tables.filled(filled, tmp_path)
    assert "| more | 0.500 | – |" in again.splitlines()


def test_empty_chart_is_drawn_all_the_same() -> None:
    assert "<svg" in charts.lines("x", "ms", {"a": []})
    assert "<svg" in charts.bars("x", "ms", {})


def test_options_are_read_from_the_command_line() -> None:
    read = options.read(["seal", "--users", "1", "--direct", "--bearer", "--forgetful"])
    assert (read.scenario, read.users) == ("seal", 1)
    assert [read.consent_page, read.dpop, read.durable] == [False] * 3
    assert read.database == "postgresql"
