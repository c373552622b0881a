"""``python -m loadtests.tables docs/performance.md``: fill the document's tables from results.

Between ``<!-- measured: NAME -->`` and ``<!-- end -->`` comes what ``NAME.json`` in the folder of
results says, so that no figure there was typed by hand. What has no result stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.results import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PLACE = re.compile(r"(<!-- measured: ([a-z_]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill; exit status 1 when a place has no result."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.tables", description=__doc__)
    parser.add_argument("document", type=Path)
    parser.add_argument("--results", type=Path, default=Path("var/loadtests"))
    given = parser.parse_args(arguments)
    text, missing = filled(given.document.read_text(encoding="utf-8"), given.results)
    given.document.write_text(text, encoding="utf-8")
    for name in missing:
        print(f"no {given.results / name}.json: its table is left as it is", file=sys.stderr)
    return int(bool(missing))


def filled(text: str, folder: Path) -> tuple[str, list[str]]:
    """``text`` with its tables, and the names of results that are not in ``folder``."""
    missing = []

    def place(match: re.Match[str]) -> str:
        file = folder / f"{match[2]}.json"
        if not file.exists():
            missing.append(match[2])
            return match[0]
        found = json.loads(file.read_text(encoding="utf-8"))
        lines = _comparison(found) if match[2] == "compare" else _run(found)
        return match[1] + "\n".join(lines) + "\n" + match[3]

    return _PLACE.sub(place, text), missing


def _run(found: Mapping[str, Any]) -> Iterator[str]:
    options, machine = found["options"], found["machine"]
    latency, cpu = found["latency_ms"], found["cpu_ms"]
    rate = "closed loop" if options["rate"] is None else f"{options['rate']:g}/s asked for"
    yield (
        f"{found['started_at']}, {machine['cores']} cores ({machine['processor']}), load before"
        f" {machine['load_before']:.1f}; {options['database']}, {options['algorithm']}, {rate},"
        f" {found['seconds']:g} s."
    )
    yield ""
    yield "| figure | measured |"
    yield "|---|---|"
    yield f"| ceremonies a second (failed) | {found['rate']:.1f} ({found['errors']['total']}) |"
    yield f"| p50, p95, p99 | {', '.join(f'{latency[name]:.0f}' for name in latency)} ms |"
    yield _processor_time(cpu)
    if "statements" in found:
        counted = found["statements"]
        yield (
            f"| SQL statements, rows written, of a ceremony | {counted['work']:.1f},"
            f" {counted['rows_written']:.1f} |"
        )
    size = found["bytes"]
    yield f"| bytes sent, received | {size['sent']:.0f}, {size['received']:.0f} |"
    for name, ratio in found["ratios"].items():
        yield f"| {name} | {ratio:.3f} |"
    yield ""
    yield "| goal | limit | measured | |"
    yield "|---|---|---|---|"
    for goal in found["goals"]:
        measured = "–" if goal["measured"] is None else f"{goal['measured']:.4g}"
        state = "reached" if goal["reached"] else "**missed**"
        yield f"| {goal['told']} | {goal['bound']} {goal['limit']:g} | {measured} | {state} |"


def _processor_time(cpu: Mapping[str, float]) -> str:
    inside, outside = (
        ", ".join(
            f"{role} {ms:.2f}"
            for role, ms in cpu.items()
            if role != "server" and (role in OUTSIDE) is is_outside
        )
        for is_outside in (False, True)
    )
    return (
        f"| server-side processor time of a ceremony | {cpu['server']:.2f} ms ({inside};"
        f" not in it: {outside}) |"
    )


def _comparison(found: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | ours | the other | ratio | goal | |"
    yield "|---|---|---|---|---|---|"
    for algorithm, each in found.items():
        state = "reached" if each["ratio"] >= each["goal"] else "**missed**"
        yield (
            f"| {algorithm} | {each['ours']:.1f}/s | {each['other']:.1f}/s | {each['ratio']:.2f} |"
            f" {each['goal']:g} | {state} |"
        )


if __name__ == "__main__":
    sys.exit(main())
