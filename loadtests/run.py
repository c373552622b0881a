"""One run from an empty folder to its figures: start, seed, warm up, measure, stop."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadtests import accounting, events, generators, people, portal, sims, statements
from loadtests.accounting import Usage
from loadtests.environment import python_of
from loadtests.generators import Generators
from loadtests.results import GENERATOR, SETTLED, Observed, machine, results
from loadtests.scenarios import SCENARIOS
from loadtests.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.options import Options
    from loadtests.people import Official

_STEP = 30  # seconds of a one-time code
_FEWEST = 8


@dataclass(frozen=True, slots=True)
class Calm:
    """What was found out before the load: the machine at rest, the token alone."""

    machine: dict[str, Any]
    raw: dict[str, float]


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures. Errors: ``ProgramFailed``, ``GeneratorFailed``."""
    scenario, here = SCENARIOS[options.scenario], machine()  # before our own work loads it
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
        return measured(site, options, officials, Calm(here, raw), interpreter)


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


def measured(
    site: Site,
    options: Options,
    officials: list[Official],
    calm: Calm,
    interpreter: str,
) -> dict[str, Any]:
    """The figures of a load on ``site``. Errors: ``GeneratorFailed``."""
    orders = generators.plans(site, options, officials)
    running = Generators(site.folder, interpreter, orders)
    try:
        times = running.begin(options)
        _sleep_until(times.start)
        if options.event is not None:
            coming = events.Appointment.made(site, options.event, options.event_at)
        counting = (
            site.postgres is not None and options.statements and statements.begin(site.postgres)
        )
        before, busy_before = _usage(site, running), accounting.processors()
        _sleep_until(times.start + SETTLED * options.seconds)
        settled = _usage(site, running)
        _sleep_until(times.end)
        after, busy_after = _usage(site, running), accounting.processors()
        # A server that fell over has forgotten what it counted.
        counting = counting and options.event != events.RESTART_POSTGRES
        counted = statements.read(site.postgres) if counting and site.postgres else None
        recorder = running.gather()
        if options.event is not None:
            coming.end()
    finally:
        running.kill()
    started_at = dt.datetime.fromtimestamp(times.start, dt.UTC).isoformat(timespec="seconds")
    return results(
        Observed(
            options=options,
            started_at=started_at,
            seconds=options.seconds,
            recorder=recorder,
            before=before,
            settled=settled,
            after=after,
            statements=counted,
            raw=calm.raw,
            machine=calm.machine,
            missing=site.count_missing(recorder.activations),
            busy=_share(busy_before, busy_after),
        )
    )


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _share(before: tuple[float, float], after: tuple[float, float]) -> float:
    """Of the processors' time from ``before`` to ``after`` that they worked."""
    worked, there = (late - early for early, late in zip(before, after, strict=True))
    return worked / there if there else 0.0


def _usage(site: Site, running: Generators) -> dict[str, Usage]:
    found = accounting.usage(site.roots)
    each = [accounting.usage({GENERATOR: pid}).get(GENERATOR, Usage()) for pid in running.pids]
    return found | {GENERATOR: sum(each, Usage())}
