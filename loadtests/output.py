"""Results as files: JSON with everything, CSV for a spreadsheet, HTML for people."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from loadtests import report
from loadtests.place import USUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def write(folder: Path, found: Mapping[str, Any]) -> dict[str, Path]:
    """Files named by scenario, algorithm and time, by kind. The newest JSON is ``latest``."""
    folder.mkdir(parents=True, exist_ok=True)
    moment = found["started_at"].replace(":", "").replace("-", "").partition("+")[0]
    name = latest(found["scenario"], found["options"]["algorithm"]).removesuffix(".json")
    files = {kind: folder / f"{name}-{moment}.{kind}" for kind in ("json", "csv", "html")}
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    files["json"].write_text(text, encoding="utf-8")
    with files["csv"].open("w", encoding="utf-8", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["figure", "value"])
        table.writerows(_flat("", {k: v for k, v in found.items() if k != "series"}))
    files["html"].write_text(report.page(found), encoding="utf-8")
    files["latest"] = folder / latest(found["scenario"], found["options"]["algorithm"])
    files["latest"].write_text(text, encoding="utf-8")
    return files


def latest(scenario: str, algorithm: str) -> str:
    """Name of the file with the newest results of ``scenario`` with keys of ``algorithm``."""
    return f"{scenario}.json" if algorithm == USUAL else f"{scenario}-{algorithm}.json"


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """The run in some lines for a terminal."""
    latency, cpu = found["latency_ms"], found["cpu_ms"]
    yield (
        f"{found['scenario']}: {found['ceremonies']} ceremonies in {found['seconds']:g} s ="
        f" {found['rate']:.1f}/s, {found['signature_rate']:.1f} signatures/s,"
        f" {found['errors']['total']} failed"
    )
    yield "p50, p95, p99: " + ", ".join(f"{latency[name]:.0f} ms" for name in latency)
    for name, step in found["steps"].items():
        times = ", ".join(f"{step['latency_ms'][share]:.1f}" for share in ("p50", "p95", "p99"))
        yield f"  {name:<16} {step['each']:6.2f} each  {times} ms"
    yield "processor ms a ceremony: " + ", ".join(f"{role} {ms:.2f}" for role, ms in cpu.items())
    if "statements" in found:
        counted = found["statements"]
        yield (
            f"SQL a ceremony: {counted['work']:.1f} statements, {counted['rows_written']:.1f} rows"
            f" written, {counted['database_ms']:.2f} ms"
        )
    yield f"bytes: {found['bytes']['sent']:.0f} sent, {found['bytes']['received']:.0f} received"
    if "recovery" in found:
        yield f"after the event good again in {found['recovery']['seconds']:.0f} s"
    yield "against the token: " + ", ".join(f"{n} {r:.3f}" for n, r in found["ratios"].items())
    for cause, count in found["errors"]["causes"].items():
        yield f"  {count} times: {cause}"
    for goal in found["goals"]:
        state = "reached" if goal["reached"] else "MISSED "
        measured = "not measured" if goal["measured"] is None else f"{goal['measured']:.4g}"
        yield f"{state} {goal['told']}: {measured} ({goal['bound']} {goal['limit']:g})"


def _flat(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat(f"{path}/{name}" if path else str(name), each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _flat(f"{path}/{number}", each)
    else:
        yield path, value
