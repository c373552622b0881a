"""``python -m loadtests SCENARIO``: exit status 0 when every goal is reached, 1 when one is not."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING

from loadtests import goals, options
from loadtests.programs import ProgramFailed
from loadtests.run import GeneratorFailed, run

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write the results, judge them."""
    chosen = options.read(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the programs are stopped, too
    begun = time.monotonic()
    try:
        found = run(
            chosen, lambda text: print(f"[{time.monotonic() - begun:6.1f} s] {text}", flush=True)
        )
    except (ProgramFailed, GeneratorFailed) as error:
        print(error, file=sys.stderr)
        return 2
    judged = goals.judge(chosen, found)
    found["goals"] = [
        {
            "figure": each.goal.figure,
            "told": each.goal.told,
            "bound": each.goal.bound,
            "limit": each.goal.limit,
            "measured": each.measured,
            "reached": each.is_reached,
        }
        for each in judged
    ]
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / f"{chosen.scenario}.json").write_text(
        json.dumps(found, indent=1), encoding="utf-8"
    )
    print(
        json.dumps(
            {k: v for k, v in found.items() if k not in {"series", "options", "machine"}},
            indent=1,
            ensure_ascii=False,
        )
    )
    return 0 if all(each.is_reached for each in judged) or not chosen.judged else 1


if __name__ == "__main__":
    sys.exit(main())
