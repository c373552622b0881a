"""``python -m loadtests.tables docs/performance.md``: fill the document's tables from results.

Between ``<!-- measured: NAME -->`` and ``<!-- end -->`` comes what ``NAME.json`` in the folder of
results says, so that no figure there was typed by hand: a column for each algorithm that there are
results of. What has no result stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.output import latest
from loadtests.place import SIGN_ALGO
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
        lines = _lines(match[2], folder)
        if lines is None:
            missing.append(match[2])
            return match[0]
        return match[1] + "\n".join(lines) + "\n" + match[3]

    return _PLACE.sub(place, text), missing


def _lines(name: str, folder: Path) -> Iterator[str] | None:
    """The place's new text; None where there is no result for it."""
    if (of_their_own := _OWN.get(name)) is not None:
        file = folder / f"{name}.json"
        return of_their_own(_read(file)) if file.exists() else None
    files = [folder / latest(name, algorithm) for algorithm in SIGN_ALGO]
    runs = {found["options"]["algorithm"]: found for found in map(_read, files) if found}
    return _runs(runs) if runs else None


def _read(file: Path) -> dict[str, Any]:
    """The results in ``file``; nothing where there is none."""
    if not file.exists():
        return {}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _runs(runs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Runs of one scenario beside one another. ``runs``: algorithm of the keys → results."""
    for algorithm, found in runs.items():
        yield _circumstances(algorithm, found)
        yield ""
    yield from _beside("figure", {name: dict(_figures(found)) for name, found in runs.items()})
    yield ""
    yield from _beside("goal", {name: dict(_goals(found)) for name, found in runs.items()})


def _circumstances(algorithm: str, found: Mapping[str, Any]) -> str:
    options, machine = found["options"], found["machine"]
    rate = "closed loop" if options["rate"] is None else f"{options['rate']:g}/s asked for"
    busy = found.get("machine_busy")  # not in results of before it was looked at
    processors = "" if busy is None else f", processors {100 * busy:.0f} % busy"
    latency = f", token {options['hsm_latency']:g} ms late" if options.get("hsm_latency") else ""
    return (
        f"{algorithm}: {found['started_at']}, {machine['cores']} cores ({machine['processor']}),"
        f" load before {machine['load_before']:.1f}{processors};"
        f" {options['database']}{latency}, {rate}, {options['users']} users,"
        f" {found['seconds']:g} s."
    )


def _figures(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    latency, size = found["latency_ms"], found["bytes"]
    yield "ceremonies a second (failed)", f"{found['rate']:.1f} ({found['errors']['total']})"
    yield "p50, p95, p99", f"{', '.join(f'{latency[name]:.0f}' for name in latency)} ms"
    yield "server-side processor time of a ceremony", _processor_time(found["cpu_ms"])
    if "statements" in found:
        counted = found["statements"]
        written = f"{counted['work']:.1f}, {counted['rows_written']:.1f}"
        yield "SQL statements, rows written, of a ceremony", written
    yield "bytes sent, received", f"{size['sent']:.0f}, {size['received']:.0f}"
    yield from ((name, f"{ratio:.3f}") for name, ratio in found["ratios"].items())


def _goals(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for goal in found["goals"]:
        measured = "–" if goal["measured"] is None else f"{goal['measured']:.4g}"
        limit = f"{goal['told']} ({goal['bound']} {goal['limit']:g})"
        yield limit, f"{measured} {_state(goal['reached'])}"


def _beside(title: str, columns: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A table. ``columns``: heading → row's name → cell."""
    yield f"| {title} | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for row in dict.fromkeys(row for column in columns.values() for row in column):
        cells = (column.get(row, "–") for column in columns.values())
        yield f"| {row} | {' | '.join(cells)} |"


def _processor_time(cpu: Mapping[str, float]) -> str:
    inside, outside = (
        ", ".join(
            f"{role} {ms:.2f}"
            for role, ms in cpu.items()
            if role != "server" and (role in OUTSIDE) is is_outside
        )
        for is_outside in (False, True)
    )
    return f"{cpu['server']:.2f} ms ({inside}; not in it: {outside})"


def _comparison(found: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | ours | the other | ratio | goal | | processes: ours, the other |"
    yield "|---|---|---|---|---|---|---|"
    for algorithm, each in found.items():
        ours = ", ".join(f"{role} {count}" for role, count in each["our_processes"].items())
        yield (
            f"| {algorithm} | {each['ours']:.1f}/s | {each['other']:.1f}/s | {each['ratio']:.2f} |"
            f" {each['goal']:g} | {_state(each['ratio'] >= each['goal'])} |"
            f" {ours}; {each['other_processes']} |"
        )


def _scaling(found: Mapping[str, Any]) -> Iterator[str]:
    here = found["machine"]
    yield (
        f"{found['started_at']}, {here['cores']} cores ({here['processor']}), load before"
        f" {here['load_before']:.1f}; {found['database']}, p256, `batch` of {found['hashes']}"
        f" hashes, {found['seconds']:g} s each, the quickest of"
        f" {max(len(row['rates']) for row in found['workers'])}."
    )
    titles = ("hosts", "sessions", "token", "ceremonies/s", "signatures/s", "of linear", "goal")
    more = (
        "of what sleeping allows",
        "p99",
        "cores of ours",
        "processors busy",
        "failed, without a code",
    )
    for name in ("workers", "hosts"):
        yield ""
        yield f"| {' | '.join(titles + more)} |"
        yield f"|{'---|' * len(titles + more)}"
        yield from (f"| {' | '.join(_size(row))} |" for row in found[name])


def _size(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(row["hosts"]), str(row["sessions"]), _late(row["latency_ms"]))
    yield from (f"{row['rate']:.2f}", f"{row['signature_rate']:.0f}", f"{row['of_linear']:.2f}")
    is_told_only = row["goal"] is None
    yield "–" if is_told_only else f"{row['goal']:g} {_state(row['reached'])}"
    yield "–" if row["of_limit"] is None else f"{row['of_limit']:.2f}"
    yield from (f"{row['p99_ms']:.0f} ms", f"{row['cores']:.2f}")
    yield from (f"{100 * row['machine_busy']:.0f} %", f"{row['errors']}, {row['shortage']}")


def _late(milliseconds: float) -> str:
    return f"{milliseconds:g} ms late" if milliseconds else "as it is"


def _state(is_reached: bool) -> str:  # noqa: FBT001 - the one thing it is about
    return "reached" if is_reached else "**missed**"


# What has a shape of its own; all others are runs of a scenario.
_OWN = {"compare": _comparison, "scaling": _scaling}


if __name__ == "__main__":
    sys.exit(main())
