"""``python -m loadtests.compare``: ours beside the one other CSC server in Python, in one run.

Both are asked for the same: an authorisation for one hash and the signature over it, RSA-2048 and
P-256, by the same generators, one server after the other. Ours checks client, PIN, one-time code
and hash, seals and stores everything, and signs in the token; the other does none of that. Ours is
several processes, which more than one core helps; how many each has is told beside the rates.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests import accounting, generators, people, portal
from loadtests.environment import python_of, python_of_compared
from loadtests.generators import GeneratorFailed, Generators
from loadtests.options import Options
from loadtests.programs import ProgramFailed, begin
from loadtests.scenarios import SCENARIOS
from loadtests.simple_server import SCENARIO, SimpleServer
from loadtests.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from loadtests.recorder import Recorder

GOALS = {"rsa2048": 10.0, "p256": 0.4}
"""Algorithm → how many times the other's rate ours must have."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; exit status 0 when both goals are reached."""
    given = _parser().parse_args(arguments)
    say = begin()
    try:
        found = compare(given, say)
    except (ProgramFailed, GeneratorFailed) as error:
        print(error, file=sys.stderr)
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "compare.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    for algorithm, each in found.items():
        reached = "reached" if each["ratio"] >= each["goal"] else "MISSED "
        print(
            f"{reached} {algorithm}: ours {each['ours']:.1f}/s, the other {each['other']:.1f}/s,"
            f" {each['ratio']:.2f} times (at least {each['goal']:g}); processes"
            f" {sum(each['our_processes'].values())} and {each['other_processes']}"
        )
    return int(any(each["ratio"] < each["goal"] for each in found.values()))


def compare(given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Algorithm → both rates, ratio, processes. Errors: ``ProgramFailed``, ``GeneratorFailed``."""
    options = Options(
        "authorize_sign",
        users=given.users,
        seconds=given.seconds,
        warm_up=0.5,
        database=given.database,
        engine=given.engine,
        consent_page=False,
        kept=given.kept,
        sam_workers=given.sam_workers,
        rssp_workers=given.rssp_workers,
    )
    interpreter, other = python_of(given.engine, say), python_of_compared(say)
    needs = SCENARIOS["authorize_sign"].needs
    found = {}
    with Site(options, needs) as site:
        people.found_agency(site)
        portal.register(site, dpop=True)
        for algorithm, goal in GOALS.items():
            chosen = replace(options, algorithm=algorithm)
            officials = people.enrol(site, given.officials, algorithm, needs)
            say(f"{len(officials)} signers with {algorithm}")
            orders = generators.plans(site, chosen, officials)
            ours, our_processes = _rate(site, chosen, interpreter, orders, site.roots)
            theirs, their_processes = _of_other(site, chosen, interpreter, other)
            found[algorithm] = {
                "ours": ours,
                "other": theirs,
                "ratio": ours / theirs if theirs else 0.0,
                "goal": goal,
                "our_processes": our_processes,
                "other_processes": sum(their_processes.values()),
            }
    return found


def _of_other(
    site: Site, options: Options, interpreter: str, python: str
) -> tuple[float, dict[str, int]]:
    server = SimpleServer(site.folder / "simple-server", python)
    server.start()
    try:
        server.wait_until_ready()
        nobody = [people.Official(str(n), "", "", "", "", "") for n in range(options.users)]
        orders = generators.plans(site, options, nobody)
        for order in orders:
            order |= {"scenario": SCENARIO.name, "issuer": server.address}
        return _rate(site, options, interpreter, orders, {SCENARIO.name: server.pid})
    finally:
        server.stop()


def _rate(
    site: Site,
    options: Options,
    interpreter: str,
    orders: list[dict[str, Any]],
    roots: Mapping[str, int],
) -> tuple[float, dict[str, int]]:
    """Signatures a second, and how many processes each of ``roots`` (role → process id) is.

    Errors: ``GeneratorFailed``, also when anything went wrong.
    """
    running = Generators(site.folder, interpreter, orders)
    try:
        times = running.begin(options)
        time.sleep(max(0.0, times.end - time.time()))
        processes = {role: used.processes for role, used in accounting.usage(roots).items()}
        recorder: Recorder = running.gather()
    finally:
        running.kill()
    if recorder.errors or recorder.short or recorder.unfinished:
        raise GeneratorFailed(
            f"{dict(recorder.errors)}, {recorder.short} turns without a signer,"
            f" {recorder.unfinished} unfinished"
        )
    return recorder.signatures / (recorder.end - recorder.start), processes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.compare", description=__doc__)
    add = parser.add_argument
    add("--users", type=int, default=8)
    add("--seconds", type=float, default=4.0)
    add("--officials", type=int, default=1000, help="signers; each has two codes at a time")
    add("--database", choices=["sqlite", "postgresql"], default="postgresql")
    add("--engine", choices=["locust", "plain"], default="locust")
    add("--sam-workers", type=int, default=2)
    add("--rssp-workers", type=int, default=1)
    add("--kept", type=Path)
    add("--out", type=Path, default=Path("var/loadtests"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
