"""What a day needs, with numbers worked out by hand, and a refusal where one is missing."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing import cli
from remote_signing.capacity import SINGLE, CostMissing, Demand, costs, plan

if TYPE_CHECKING:
    from pathlib import Path

# 2,880,000 in 8 hours are 100 a second, at the peak 200.
DEMAND = Demand(2_880_000, "p256", utilisation=0.5, host_cores=4)
LOAD: dict[str, Any] = {
    "version": 1,
    "scenario": "ceremony_otp",
    "started_at": "2026-11-26T06:43:00+00:00",
    "seconds": 600.0,
    "machine": {"cores": 2, "processor": "x", "load_before": 0.1},
    "options": {
        "algorithm": "p256",
        "database": "postgresql",
        "consent_page": True,
        "durable": True,
        "event": None,
    },
    "ceremonies": 120_000,
    "signatures": 120_000,
    "rate": 200.0,
    "errors": {"total": 0},
    "cpu_ms": {
        "rssp": 3.0,
        "consent_app": 1.0,
        "sam": 0.5,
        "sam_workers": 2.0,
        "postgres": 1.5,
        "generator": 9.0,
        "server": 8.0,
    },
    "raw": {f"{SINGLE} p256": 400.0},
}
GROWTH: dict[str, Any] = {
    "version": 1,
    "kind": "growth",
    "started_at": "2026-11-26T06:50:00+00:00",
    "credentials": [1000, 900_000],
    "past_signatures": [0, 10_000_000],
    "wal_bytes": 5000,
    "tables": {
        "signature_activation": {"rows": 1.0, "bytes": 2000, "kept_days": 30},
        "audit_event": {"rows": 7.0, "bytes": 3000, "kept_days": None},
    },
}


def worked_out(demand: Demand = DEMAND, load: dict[str, Any] = LOAD) -> dict[str, float]:
    return {figure.name: figure.value for figure in plan(demand, costs(demand, load, GROWTH))}


def test_cores_of_each_program_are_peak_times_cost() -> None:
    found = worked_out()
    assert found["peak"] == 200
    # 200/s x 3 ms is 0.6 of a core, of which half is planned with.
    expected = {"rssp": 1.2, "consent_app": 0.4, "sam": 0.2, "sam_workers": 0.8, "postgres": 0.6}
    cores = {name: value for name, value in found.items() if name.startswith("cores")}
    assert cores == {f"cores of {role}": pytest.approx(value) for role, value in expected.items()}


def test_one_host_may_be_lost_and_none_stands_alone() -> None:
    found = worked_out()
    # Web: 1.6 cores on hosts of 4 is one, and one that may be lost. A database, two standbys.
    assert (found["web hosts"], found["SAM hosts"], found["database hosts"]) == (2, 2, 3)
    # Ten times as much: web 16 cores on 4 hosts, SAM 10 on 3, PostgreSQL 6 on 2.
    many = worked_out(Demand(28_800_000, "p256", utilisation=0.5, host_cores=4))
    assert (many["web hosts"], many["SAM hosts"], many["database hosts"]) == (5, 4, 6)


def test_hsm_by_the_measured_session_and_by_the_makers_rate() -> None:
    found = worked_out()
    assert found["key uses of the HSM"] == 200
    assert found["sessions of the measured token"] == 1  # 200 of 400 a second, half used
    assert "HSM nodes" not in found, "nobody has said what a node can do"
    # 200/s on nodes of 150/s, half used: 2.67, so three and one that may be lost.
    nodes = worked_out(Demand(2_880_000, "p256", utilisation=0.5, hsm_rate=150.0))["HSM nodes"]
    assert nodes == 4


def test_database_rows_bytes_and_log_of_a_year() -> None:
    found = worked_out()
    assert found["rows of signature_activation kept 30 days"] == 86_400_000
    assert found["bytes of signature_activation kept 30 days"] == pytest.approx(172.8)
    assert found["rows of audit_event in a year of 365 days"] == 2_880_000 * 365 * 7
    assert found["bytes of audit_event in a year of 365 days"] == pytest.approx(3153.6)
    assert found["write-ahead log of a day"] == pytest.approx(14.4)
    assert found["write-ahead log of a year"] == pytest.approx(5256)
    assert found["write-ahead log at the peak"] == pytest.approx(1.0)


def test_a_ceremony_of_several_signatures_is_counted_once() -> None:
    batch = {**LOAD, "signatures": 1_200_000}
    assert worked_out(load=batch)["cores of rssp"] == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("scenario",), "ceremony_sim", "the run's scenario is 'ceremony_sim'"),
        (("version",), 2, "the run's version is 2"),
        (("options", "algorithm"), "rsa2048", "the run's algorithm is 'rsa2048'"),
        (("options", "database"), "sqlite", "the run's database is 'sqlite'"),
        (("options", "durable"), False, "the run's durable is False"),
        (("options", "event"), "restart-postgres", "the run's event is 'restart-postgres'"),
        (("errors", "total"), 3, "the run's errors is 3"),
        (("ceremonies",), 0, "made no signature"),
        (("cpu_ms",), {"rssp": 1.0}, "no processor time of sam_workers"),
        (("raw",), {}, "no raw rate of p256"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else "-",
)
def test_what_a_run_does_not_say_is_not_guessed(
    place: tuple[str, ...], value: object, told: str
) -> None:
    load = copy.deepcopy(LOAD)
    inner = load
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(CostMissing, match=told) as refused:
        costs(DEMAND, load, GROWTH)
    assert all("python -m loadtests ceremony_otp" in cost for cost in refused.value.costs)


def test_without_measurements_everything_is_missing() -> None:
    with pytest.raises(CostMissing) as refused:
        costs(DEMAND, None, None)
    assert len(refused.value.costs) == 2
    for growth in ({"kind": "other"}, {**GROWTH, "wal_bytes": 0}, {**GROWTH, "tables": {}}):
        with pytest.raises(CostMissing, match=r"tests\.bench\.growth"):
            costs(DEMAND, LOAD, growth)


def test_a_sim_needs_the_adapters_cost() -> None:
    load = {**LOAD, "scenario": "ceremony_sim"}
    with pytest.raises(CostMissing, match="no processor time of sim_adapter"):
        costs(Demand(1000, "p256", consent="sim"), load, GROWTH)


def test_the_command_prints_figures_formulas_and_what_they_rest_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for name, members in (("load", LOAD), ("growth", GROWTH)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(members), "utf-8")
        files += ["--results" if name == "load" else "--growth", str(path)]
    day = ["capacity", "--per-day", "2880000", "--algorithm", "p256"]
    assert cli.main([*day, *files, "--utilisation", "0.5"]) == 0
    told = capsys.readouterr()
    assert "2,880,000 / (8 h x 3600) x 2" in told.out
    assert "200.0 ceremonies/s x 3.00 ms / 50%" in told.out
    assert "rests on ceremony_otp p256, 120000 ceremonies in 600 s at 200.0/s" in told.err
    assert "HSM nodes are not told" in told.err
    assert cli.main([*day, *files, "--json", "--hsm-rate", "1000"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["value"] == 200
    assert "HSM nodes" in {line["name"] for line in lines}
    sim = {
        **LOAD,
        "scenario": "ceremony_sim",
        "cpu_ms": {**LOAD["cpu_ms"], "sim_adapter": 1.0},
    }
    (tmp_path / "load.json").write_text(json.dumps(sim), "utf-8")
    assert cli.main([*day, *files, "--consent", "sim"]) == 0
    told = capsys.readouterr()
    assert "cores of sim_adapter" in told.out
    assert "sim_transaction, which stay for ever" in told.err
    assert cli.main(day) == 1
    assert "not measured, and not guessed" in capsys.readouterr().err
    assert cli.main([*day, "--consent", "fax"]) == 2
    (tmp_path / "load.json").write_text("[]", "utf-8")
    assert cli.main([*day, *files]) == 1
    (tmp_path / "load.json").write_text("{", "utf-8")
    assert cli.main([*day, *files]) == 1
