"""One run from an empty folder to its figures: start, seed, warm up, measure, stop."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from loadtests import accounting, people, portal, sims, statements
from loadtests.environment import python_of
from loadtests.recorder import Recorder
from loadtests.results import GENERATOR, Observed, results
from loadtests.scenarios import SCENARIOS
from loadtests.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.accounting import Usage
    from loadtests.options import Options
    from loadtests.people import Official

_STEP = 30  # seconds of a one-time code
_FEWEST = 8
_SECONDS_TO_BEGIN = 3.0  # a generator imports its libraries in that time
_SECONDS_AFTER = 90.0


class GeneratorFailed(Exception):
    """A load generator ended without a result."""


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures. Errors: ``ProgramFailed``, ``GeneratorFailed``."""
    scenario = SCENARIOS[options.scenario]
    interpreter = python_of(options.engine, say)
    with Site(options, scenario.needs) as site:
        say(f"the service is ready ({', '.join(site.roots)})")
        people.found_agency(site)
        portal.register(site, dpop=options.dpop)
        officials = people.enrol(site, officials_needed(options), options.algorithm, scenario.needs)
        say(f"{len(officials)} officials are enrolled")
        people.sign_in_all(site, officials)
        people.give_phones(site, officials, scenario.needs)
        raw = raw_figures(site, options)
        say("raw " + ", ".join(f"{name} {rate:.0f}/s" for name, rate in raw.items()))
        return _measured(site, options, officials, raw, interpreter)


def officials_needed(options: Options) -> int:
    """So many that nobody is asked again before his device shows a new code."""
    needs = SCENARIOS[options.scenario].needs
    if needs.sim:
        return min(options.officials or options.users, sims.MOST)
    if options.officials:
        return options.officials
    if not needs.codes:
        return max(_FEWEST, 2 * options.users)
    rate = options.rate or 60.0
    return max(_FEWEST, options.users + int(rate * (_STEP + 1) * 1.1))


def raw_figures(site: Site, options: Options) -> dict[str, float]:
    """What one session of the first node does alone, a second: ``hsm bench``."""
    if not options.raw_seconds:
        return {}
    rates = site.command.json_lines(
        *("hsm", "bench", "--seconds", str(options.raw_seconds)),
        *("--algorithm", options.algorithm),
    )
    return {
        f"{each['operation']} {each['algorithm'] or ''}".strip(): each["per_second"]
        for each in rates
    }


def _measured(
    site: Site,
    options: Options,
    officials: list[Official],
    raw: dict[str, float],
    interpreter: str,
) -> dict[str, Any]:
    begin = time.time() + _SECONDS_TO_BEGIN
    start, end = begin + options.warm_up, begin + options.warm_up + options.seconds
    generators = [
        _start(site, options, officials[number :: options.generators], number, begin, interpreter)
        for number in range(options.generators)
    ]
    roots = site.roots | {GENERATOR: 0}
    pids = [process.pid for process, _ in generators]
    time.sleep(max(0.0, start - time.time()))
    counting = site.postgres is not None and options.statements and statements.begin(site.postgres)
    before = _usage(roots, pids)
    time.sleep(max(0.0, end - time.time()))
    after = _usage(roots, pids)
    counted = statements.read(site.postgres) if counting and site.postgres is not None else None
    recorder = Recorder(start, end)
    for process, file in generators:
        try:
            status = process.wait(_SECONDS_AFTER)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if status:
            raise GeneratorFailed(
                (site.folder / "log" / "generator.log").read_text("utf-8")[-2000:]
            )
        recorder.merge(json.loads(file.read_text(encoding="utf-8")))
    started_at = dt.datetime.fromtimestamp(start, dt.UTC).isoformat(timespec="seconds")
    return results(
        Observed(options, started_at, options.seconds, recorder, before, after, counted, raw)
    )


def _usage(roots: dict[str, int], generators: list[int]) -> dict[str, Usage]:
    named = {role: pid for role, pid in roots.items() if pid}
    found = accounting.usage(named)
    for pid in generators:
        one = accounting.usage({GENERATOR: pid})
        found[GENERATOR] = found.get(GENERATOR, accounting.Usage()) + one.get(
            GENERATOR, accounting.Usage()
        )
    return found


def _start(  # noqa: PLR0913, PLR0917 - a plan has as many parts
    site: Site,
    options: Options,
    officials: list[Official],
    number: int,
    begin: float,
    interpreter: str,
) -> tuple[subprocess.Popen[bytes], Path]:
    """A generator with its share of officials and of the rate; where its result will be."""
    secrets = site.folder / "secrets"
    share = options.generators
    plan = {
        "scenario": options.scenario,
        "engine": options.engine,
        "users": max(1, options.users // share),
        "rate": None if options.rate is None else options.rate / share,
        "seed": number,
        "warm_up_from": begin,
        "start": begin + options.warm_up,
        "end": begin + options.warm_up + options.seconds,
        "issuer": site.issuer,
        "consent": site.consent,
        "identity": str(secrets / "portal.pem"),
        "binding": str(secrets / "proof.pem") if options.dpop else "",
        "algorithm": options.algorithm,
        "consent_page": options.consent_page,
        "hashes": options.hashes,
        "officials": [official.members() for official in officials],
    }
    plan_file, result = secrets / f"plan-{number}.json", site.folder / f"result-{number}.json"
    descriptor = os.open(plan_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(plan, file)
    result.unlink(missing_ok=True)
    with (site.folder / "log" / "generator.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [interpreter, "-m", "loadtests.generator", str(plan_file), str(result)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=_ROOT,
            start_new_session=True,
        )
    return process, result


_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - for cwd
