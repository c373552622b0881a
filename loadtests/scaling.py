"""``python -m loadtests.scaling``: twice the workers, twice the hosts: twice as much?

The same load on services of several sizes. So that a small machine's processors are not what
limits it, each C_Sign and C_UnwrapKey of the token takes 5 ms more than it computes
(:mod:`loadtests.slow_token`), and the load is ``batch``: a hundred hashes are half a second of one
session and some 100 ms of processors. There are four users for each worker, so that one always
waits for it and nobody longer than the SAM lets a request wait.

Then two hosts beside one PostgreSQL (:mod:`loadtests.hosts`), with that token and with the true
one: there the processors are the limit, and a second host on the same ones shows what it costs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests import people, portal
from loadtests.environment import python_of
from loadtests.generators import GeneratorFailed
from loadtests.options import Options
from loadtests.programs import ProgramFailed, begin
from loadtests.results import GENERATOR, machine
from loadtests.run import Calm, measured
from loadtests.scenarios import SCENARIOS
from loadtests.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from loadtests.people import Official

GOAL = 0.9
"""Of the rate that the smallest service's would be when multiplied by the size."""
WORKERS, HOSTS = (1, 2, 4), (1, 2)
_EACH_WORKER = 4  # users
_OF_A_HOST = 2  # workers, where hosts are compared
_FASTEST = 60.0  # ceremonies a second that the true token is asked for at most, for want of codes
_WRONG = ("errors", "unfinished", "shortage", "lost")
_CODES = 2  # this half minute's and the next one's: nobody is asked for more


@dataclass(frozen=True, slots=True)
class Size:
    """``workers``: of each host's only node."""

    hosts: int
    workers: int
    latency_ms: float

    @property
    def sessions(self) -> int:
        """Of HSMs, in all."""
        return self.hosts * self.workers

    @property
    def users(self) -> int:
        """That keep them busy."""
        return _EACH_WORKER * self.sessions

    def limit(self, hashes: int) -> float:
        """Ceremonies a second that the sessions do if they do nothing but sleep."""
        if not self.latency_ms:
            return _FASTEST
        return self.sessions * 1000 / (hashes * self.latency_ms)


def sizes(latency_ms: float) -> list[Size]:
    """What is measured, in order: the largest first, since the key ceremony is for all nodes."""
    true = [Size(hosts, _OF_A_HOST, 0.0) for hosts in reversed(HOSTS)]
    slow = [Size(1, workers, latency_ms) for workers in WORKERS]
    more = [Size(hosts, _OF_A_HOST, latency_ms) for hosts in HOSTS]
    return list(dict.fromkeys([*true, *slow, *more]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge; exit status 0 when the goal is reached, 2 when the run itself failed."""
    given = _parser().parse_args(arguments)
    say = begin()
    try:
        found = scale(given, say)
    except (ProgramFailed, GeneratorFailed) as error:
        print(error, file=sys.stderr)
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "scaling.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    for name in ("workers", "hosts"):
        for row in found[name]:
            print(_told(name, row))
    return int(not all(row["reached"] for name in ("workers", "hosts") for row in found[name]))


def scale(given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """What was measured and how it grew. Errors: ``ProgramFailed``, ``GeneratorFailed``."""
    here, interpreter = machine(), python_of(given.engine, say)
    started_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    base = Options(
        "batch",
        seconds=given.seconds,
        warm_up=given.warm_up,
        database=given.database,
        engine=given.engine,
        hashes=given.hashes,
        rssp_workers=given.rssp_workers,
        statements=False,
    )
    rows: dict[Size, list[dict[str, Any]]] = {}
    # Beside the site, which makes its folder itself when it keeps one.
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL works as another user when we are root
        kept = replace(base, kept=Path(folder) / "site")
        for size, officials in shares(kept, sizes(given.latency) * given.rounds):
            say(f"{size.hosts} host(s), {size.sessions} session(s), {size.latency_ms:g} ms")
            found = row(size, _run(kept, size, officials, Calm(here, {}), interpreter))
            rows.setdefault(size, []).append(found)
            say(_figures(found))
    return {
        "started_at": started_at,
        "machine": here,
        "seconds": given.seconds,
        "hashes": given.hashes,
        "database": given.database,
        "goal": GOAL,
        **growth({size: best(of_it) for size, of_it in rows.items()}, given.latency),
    }


def best(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The quickest of the rounds, since what else the machine does only takes away.

    What went wrong in any of them counts. ``rates``: of all.
    """
    wrong = {name: sum(row[name] for row in rows) for name in _WRONG}
    quickest = max(rows, key=lambda row: row["rate"])
    return {**quickest, **wrong, "rates": [row["rate"] for row in rows]}


def growth(rows: Mapping[Size, dict[str, Any]], latency_ms: float) -> dict[str, Any]:
    """``workers``: one host with more of them; ``hosts``: more hosts, the true token's first.

    Each row is told how much of linear it is. Of the true token that is no goal: the hosts of one
    machine share its processors.
    """
    workers = [rows[Size(1, count, latency_ms)] for count in WORKERS]
    found = _all_against(workers, goal=GOAL)
    hosts = []
    for latency, goal in ((0.0, 0.0), (latency_ms, GOAL)):
        of_these = [rows[Size(count, _OF_A_HOST, latency)] for count in HOSTS]
        hosts += _all_against(of_these, goal=goal)
    return {"workers": found, "hosts": hosts}


def _all_against(rows: Sequence[Mapping[str, Any]], *, goal: float) -> list[dict[str, Any]]:
    """The first is what the others are held against, and has no goal."""
    first, *others = rows
    told = [_against(first, first, goal=0.0)]
    return told + [_against(first, row, goal=goal) for row in others]


def _against(first: Mapping[str, Any], row: Mapping[str, Any], *, goal: float) -> dict[str, Any]:
    linear = first["rate"] * row["sessions"] / first["sessions"]
    of_linear = row["rate"] / linear if linear else 0.0
    is_clean = not any(row[name] for name in _WRONG)
    reached = is_clean and of_linear >= goal
    return {**row, "of_linear": of_linear, "goal": goal or None, "reached": reached}


def shares(base: Options, chosen: Sequence[Size]) -> Iterator[tuple[Size, slice]]:
    """Each size with the officials that are its own: nobody's code is asked for in two runs."""
    seconds, begin = base.warm_up + base.seconds, 0
    for size in chosen:
        codes = size.limit(base.hashes) * seconds + 2 * size.users
        end = begin + math.ceil(codes / _CODES) + size.users
        yield size, slice(begin, end)
        begin = end


def _run(
    base: Options, size: Size, officials: slice, calm: Calm, interpreter: str
) -> dict[str, Any]:
    options = replace(
        base,
        users=size.users,
        hosts=size.hosts,
        sam_workers=size.workers,
        hsm_latency=size.latency_ms,
    )
    needs = SCENARIOS[options.scenario].needs
    with Site(options, needs) as site:
        people.found_agency(site)
        portal.register(site, dpop=options.dpop)
        # Those of the sizes before are there; these are added to them.
        everybody = people.enrol(site, officials.stop, options.algorithm, needs)
        chosen: list[Official] = everybody[officials]
        people.sign_in_all(site, chosen)
        return measured(site, options, chosen, calm, interpreter)


def row(size: Size, found: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a run. ``cores``: processors that the service and the generator took."""
    cpu, rate = found["cpu_ms"], found["rate"]
    limit = size.limit(found["options"]["hashes"]) if size.latency_ms else None
    return {
        **asdict(size),
        "sessions": size.sessions,
        "users": size.users,
        "rate": rate,
        "signature_rate": found["signature_rate"],
        "p50_ms": found["latency_ms"]["p50"],
        "p99_ms": found["latency_ms"]["p99"],
        "cores": (cpu["server"] + cpu.get(GENERATOR, 0.0)) * rate / 1000,
        "machine_busy": found["machine_busy"],
        "of_limit": None if limit is None else rate / limit,
        "errors": found["errors"]["total"],
        "causes": found["errors"]["causes"],
        "unfinished": found["unfinished"],
        "shortage": found["shortage"],
        "lost": found["lost"],
    }


def _figures(row: Mapping[str, Any]) -> str:
    return (
        f"{row['rate']:.2f} ceremonies/s, {row['signature_rate']:.0f} signatures/s,"
        f" {row['cores']:.2f} cores of ours, processors {100 * row['machine_busy']:.0f} % busy,"
        f" {row['errors']} failed {row['causes'] or ''}"
    )


def _told(name: str, row: Mapping[str, Any]) -> str:
    count = row["sessions"] if name == "workers" else row["hosts"]
    state = "told only" if row["goal"] is None else "reached" if row["reached"] else "MISSED"
    return (
        f"{state:<9} {count} {name}, {row['latency_ms']:g} ms: {row['rate']:.2f}/s,"
        f" {row['of_linear']:.2f} of linear"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.scaling", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=20.0, help="of each of the six runs")
    add("--rounds", type=int, default=1, help="of the six; the quickest run of each size counts")
    add("--warm-up", type=float, default=4.0)
    add("--latency", type=float, default=5.0, metavar="MS", help="of C_Sign and C_UnwrapKey")
    add("--hashes", type=int, default=100, help="of one ceremony")
    add("--database", choices=["sqlite", "postgresql"], default="postgresql")
    add("--engine", choices=["locust", "plain"], default="locust")
    add("--rssp-workers", type=int, default=1, help="processes of each host's rssp")
    add("--out", type=Path, default=Path("var/loadtests"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
