"""``python -m loadtests SCENARIO``: exit status 0 when every goal is reached, 1 when one is not.

2: the run itself failed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from loadtests import goals, history, options, output
from loadtests.generators import GeneratorFailed
from loadtests.programs import ProgramFailed, begin
from loadtests.run import run

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write the results, judge them."""
    chosen = options.read(arguments)
    say = begin()
    try:
        found = run(chosen, say)
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
    found["against_before"] = history.add(chosen.history or chosen.out / "history.jsonl", found)
    files = output.write(chosen.out, found)
    for text in output.told(found):
        print(text)
    for name, ratio in history.regressions(found["against_before"]).items():
        print(f"WORSE than before: {name}, {ratio:.2f} times")
    print(f"results: {files['json']}, {files['csv'].name}, {files['html'].name}")
    if not chosen.judged:
        return int(found["errors"]["total"] > 0 or not found["ceremonies"])
    return int(not all(each.is_reached for each in judged))


if __name__ == "__main__":
    sys.exit(main())
