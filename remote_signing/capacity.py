"""What a day's load needs, worked out from what was measured and from nothing else.

Two measurements go in: a run of ``python -m loadtests`` of the same way of consent and the same
algorithm (processor time of each program for a ceremony), and one of ``python -m
tests.bench.growth`` (what a signature leaves in the database). Each figure comes with its formula.
What was not measured is not guessed: :class:`CostMissing` names it all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SCENARIOS: Final = {"otp": "ceremony_otp", "sim": "ceremony_sim", "passkey": "ceremony_passkey"}
SINGLE: Final = "unwrap, sign, verify, destroy"  # as `hsm bench` names it
_VERSION = 1
_WEB = ("rssp", "consent_app", "sim_adapter")
_KEYS = ("sam", "sam_workers")
_HOUR, _GIGABYTE = 3600, 1e9
_FEWEST = 2  # of everything: one may be lost


class CostMissing(Exception):
    """Something was not measured; ``costs`` says what, and how to measure it."""

    def __init__(self, costs: list[str]) -> None:
        super().__init__("; ".join(costs))
        self.costs = costs


@dataclass(frozen=True, slots=True)
class Demand:
    """A day: signatures over ``hours``, the busiest of them ``peak_factor`` times the average.

    ``utilisation``: the share of a processor or token that is planned with. ``hsm_rate``: unwrap
    and sign with this algorithm a second on one node, as its maker or `hsm bench` says.
    """

    per_day: int
    algorithm: str
    consent: str = "otp"
    peak_factor: float = 2.0
    hours: float = 8.0
    days: int = 365  # in a year
    utilisation: float = 0.6
    host_cores: int = 16
    hsm_rate: float | None = None

    @property
    def peak(self) -> float:
        """Signatures a second in the busiest hour."""
        return self.per_day / (self.hours * _HOUR) * self.peak_factor


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one signature, as measured: ``cpu_ms`` by program, what it leaves by table."""

    cpu_ms: Mapping[str, float]
    signatures: float  # of a ceremony
    single_rate: float  # unwrap and sign of one session of the measured token, a second
    tables: Mapping[str, Mapping[str, float | None]]
    wal_bytes: float
    basis: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One result: what of, how much of what unit, and how it came about."""

    name: str
    value: float
    unit: str
    formula: str


def costs(
    demand: Demand, load: Mapping[str, Any] | None, growth: Mapping[str, Any] | None
) -> Costs:
    """The costs in both measurements. ``CostMissing`` when anything is not in them."""
    missing = _missing_of_load(demand, load) + _missing_of_growth(growth)
    if missing or load is None or growth is None:
        raise CostMissing(missing)
    return Costs(
        cpu_ms={role: float(load["cpu_ms"][role]) for role in _roles(demand, load)},
        signatures=load["signatures"] / load["ceremonies"],
        single_rate=float(load["raw"][f"{SINGLE} {demand.algorithm}"]),
        tables=growth["tables"],
        wal_bytes=float(growth["wal_bytes"]),
        basis=_basis(load, growth),
    )


def plan(demand: Demand, cost: Costs) -> list[Figure]:
    """Everything that ``demand`` needs."""
    cores = {role: _cores(demand, cost, ms) for role, ms in cost.cpu_ms.items()}
    return [
        Figure(
            "peak",
            demand.peak,
            "signatures/s",
            f"{demand.per_day:,} / ({demand.hours:g} h x 3600) x {demand.peak_factor:g}",
        ),
        *(
            Figure(f"cores of {role}", cores[role], "cores", _formula(demand, cost, ms))
            for role, ms in cost.cpu_ms.items()
        ),
        *_hosts(demand, cores),
        *_hsm(demand, cost),
        *_database(demand, cost),
    ]


def _basis(load: Mapping[str, Any], growth: Mapping[str, Any]) -> tuple[str, str]:
    """Which measurements: enough to find them again, and to doubt them."""
    machine, options = load["machine"], load["options"]
    run = (
        f"{load['scenario']} {options['algorithm']}, {load['ceremonies']} ceremonies in"
        f" {load['seconds']:.0f} s at {load['rate']:.1f}/s, {load['started_at']},"
        f" {machine['cores']} cores {machine['processor']}, load {machine['load_before']:.1f}"
    )
    past = (
        f"growth: {growth['credentials'][-1]:,} credentials,"
        f" {growth['past_signatures'][-1]:,} past signatures, {growth['started_at']}"
    )
    return run, past


def _roles(demand: Demand, load: Mapping[str, Any]) -> list[str]:
    """The programs that take part: all of them, or a cost is missing."""
    roles = ["rssp", *_KEYS, "postgres"]
    if load.get("options", {}).get("consent_page", True):
        roles.append("consent_app")
    return [*roles, "sim_adapter"] if demand.consent == "sim" else roles


def _missing_of_load(demand: Demand, load: Mapping[str, Any] | None) -> list[str]:
    scenario = SCENARIOS[demand.consent]
    how = f"python -m loadtests {scenario} --algorithm {demand.algorithm} --database postgresql"
    if load is None:
        return [f"no measured run: {how}"]
    options = load.get("options", {})
    expected = {
        "version": (load.get("version"), _VERSION),
        "scenario": (load.get("scenario"), scenario),
        "algorithm": (options.get("algorithm"), demand.algorithm),
        "database": (options.get("database"), "postgresql"),
        # A database that may forget is quicker; one that fell over has lost its processor time.
        "durable": (options.get("durable"), True),
        "event": (options.get("event", "unknown"), None),
        "errors": (load.get("errors", {}).get("total"), 0),
    }
    wrong = [
        f"the run's {name} is {found!r}, not {wanted!r}: {how}"
        for name, (found, wanted) in expected.items()
        if found != wanted
    ]
    if not load.get("ceremonies") or not load.get("signatures"):
        wrong.append(f"the run made no signature: {how}")
    wrong += [
        f"no processor time of {role} in the run: {how}"
        for role in _roles(demand, load)
        if role not in load.get("cpu_ms", {})
    ]
    if not load.get("raw", {}).get(f"{SINGLE} {demand.algorithm}"):
        wrong.append(f"no raw rate of {demand.algorithm} in the run (--raw-seconds): {how}")
    return wrong


def _missing_of_growth(growth: Mapping[str, Any] | None) -> list[str]:
    how = "python -m tests.bench.growth --out FILE"
    if growth is None:
        return [f"no measured growth of the database: {how}"]
    if growth.get("kind") != "growth" or growth.get("version") != _VERSION:
        return [f"that is no measurement of growth: {how}"]
    wrong = [] if growth.get("wal_bytes") else [f"no write-ahead log in it: {how}"]
    tables = growth.get("tables", {})
    names = ("signature_activation", "audit_event")
    return wrong + [f"no {name} in it: {how}" for name in names if name not in tables]


def _ceremonies(demand: Demand, cost: Costs) -> float:
    return demand.peak / cost.signatures


def _cores(demand: Demand, cost: Costs, milliseconds: float) -> float:
    return _ceremonies(demand, cost) * milliseconds / 1000 / demand.utilisation


def _formula(demand: Demand, cost: Costs, milliseconds: float) -> str:
    ceremonies = _ceremonies(demand, cost)
    return f"{ceremonies:.1f} ceremonies/s x {milliseconds:.2f} ms / {demand.utilisation:.0%}"


def _hosts(demand: Demand, cores: Mapping[str, float]) -> list[Figure]:
    found = []
    for name, roles in (("web", _WEB), ("SAM", _KEYS)):
        needed = sum(cores.get(role, 0.0) for role in roles)
        hosts = max(_FEWEST, math.ceil(needed / demand.host_cores) + 1)
        told = (
            f"max({_FEWEST}, ceil({needed:.1f} cores / {demand.host_cores}) + 1 that may be lost)"
        )
        found.append(Figure(f"{name} hosts", hosts, "hosts", told))
    primaries = math.ceil(cores["postgres"] / demand.host_cores)
    told = f"ceil({cores['postgres']:.1f} cores / {demand.host_cores}), each with two standbys"
    if primaries > 1:
        told += "; more than one primary needs distribution (docs/decisions)"
    return [*found, Figure("database hosts", 3 * primaries, "hosts", told)]


def _hsm(demand: Demand, cost: Costs) -> list[Figure]:
    sessions = demand.peak / cost.single_rate / demand.utilisation
    told = (
        f"{demand.peak:.1f}/s / {cost.single_rate:.0f}/s of one session / {demand.utilisation:.0%}"
    )
    found = [
        Figure("key uses of the HSM", demand.peak, "unwrap+sign/s", "one a signature"),
        Figure("sessions of the measured token", math.ceil(sessions), "sessions", told),
    ]
    if demand.hsm_rate is not None:
        nodes = max(_FEWEST, math.ceil(demand.peak / demand.hsm_rate / demand.utilisation) + 1)
        each = f"{demand.hsm_rate:g}/s of a node / {demand.utilisation:.0%}"
        told = f"max({_FEWEST}, ceil({demand.peak:.1f}/s / {each}) + 1 that may be lost)"
        found.append(Figure("HSM nodes", nodes, "nodes", told))
    return found


def _database(demand: Demand, cost: Costs) -> list[Figure]:
    found = []
    for table, leaves in cost.tables.items():
        kept = leaves.get("kept_days")
        days = demand.days if kept is None else kept
        span = f"in a year of {demand.days} days" if kept is None else f"kept {kept:g} days"
        for what, unit, divisor in (("rows", "rows", 1.0), ("bytes", "GB", _GIGABYTE)):
            each = float(leaves[what] or 0)
            told = f"{demand.per_day:,} x {days:g} x {each:,.1f}"
            value = demand.per_day * days * each / divisor
            found.append(Figure(f"{what} of {table} {span}", value, unit, told))
    wal = demand.per_day * cost.wal_bytes
    told = f"{demand.per_day:,} x {cost.wal_bytes:,.0f} B"
    found += [
        Figure("write-ahead log of a day", wal / _GIGABYTE, "GB", told),
        Figure(
            "write-ahead log of a year",
            wal * demand.days / _GIGABYTE,
            "GB",
            f"{told} x {demand.days}",
        ),
        Figure(
            "write-ahead log at the peak",
            demand.peak * cost.wal_bytes / 1e6,
            "MB/s",
            f"{demand.peak:.1f}/s x {cost.wal_bytes:,.0f} B",
        ),
    ]
    return found
