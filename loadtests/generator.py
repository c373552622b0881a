"""A load generator: one process that reads its plan, does its share and writes what it saw.

    python -m loadtests.generator PLAN.json RESULT.json

Started by :mod:`loadtests.generators`: it says when it is ready and is told when to begin. The plan
holds secrets, so it is a file that only we may read.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from loadtests import profiles
from loadtests.generators import READY, Times
from loadtests.hosts import Balancer
from loadtests.people import Official
from loadtests.place import Place
from loadtests.portal import Key, Portal
from loadtests.recorder import Recorder
from loadtests.scenarios import SCENARIOS
from loadtests.simple_server import SCENARIO as SIMPLE
from loadtests.turns import Arrivals, Pool
from loadtests.worker import Desk


def main() -> int:
    """Do the share that the plan says."""
    plan_file, result_file = map(Path, sys.argv[1:3])
    plan: dict[str, Any] = json.loads(plan_file.read_text(encoding="utf-8"))
    scenario = (SCENARIOS | {SIMPLE.name: SIMPLE})[plan["scenario"]]
    if plan["engine"] == "locust":
        from loadtests import locust_engine as engine  # noqa: PLC0415 - not where it is not installed
    else:
        from loadtests import plain_engine as engine  # type: ignore[no-redef]  # noqa: PLC0415 - as above
    place = _place(plan)
    pool = Pool([Official(**members) for members in plan["officials"]], scenario.needs.codes)
    times = _told_when()
    profile = profiles.PROFILES.get(scenario.name)
    arrivals = Arrivals(plan["rate"], times.begin, times.end, plan["seed"], profile)
    recorder = Recorder(times.start, times.end)
    time.sleep(max(0.0, times.begin - time.time()))
    balancer = Balancer(plan["behind"]) if plan["behind"] else None
    desk = Desk(scenario, place, pool, arrivals, recorder, engine.sleep, times.give_up, balancer)
    engine.run(desk, plan["users"])
    result_file.write_text(json.dumps(recorder.members()), encoding="utf-8")
    return 0


def _place(plan: dict[str, Any]) -> Place:
    identity = Key.read(Path(plan["identity"]))
    binding = Key.read(Path(plan["binding"])) if plan["binding"] else None
    return Place(
        issuer=plan["issuer"],
        consent=plan["consent"],
        portal=Portal(plan["issuer"], identity, binding),
        algorithm=plan["algorithm"],
        has_consent_page=plan["consent_page"],
        hashes=plan["hashes"],
    )


def _told_when() -> Times:
    """Say that everything is loaded; when all generators begin."""
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    return Times(**json.loads(sys.stdin.readline()))


if __name__ == "__main__":
    sys.exit(main())
