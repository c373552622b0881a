"""What earlier runs of the same kind showed, so that a change for the worse is seen.

Figures of two runs are compared as ratios to the raw token of their own run, because a machine that
is busier or slower today is so for both.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LAST = 5
_COMPARED = (
    "scenario",
    *(
        f"options.{name}"
        for name in (
            *("algorithm", "database", "durable", "rate", "users", "hashes", "event"),
            *("consent_page", "dpop", "engine", "nodes", "rssp_workers", "sam_workers"),
            *("hosts", "hsm_latency"),
        )
    ),
)
# Of lines that were written before there was such an option.
_BEFORE = {"options.hosts": 1, "options.hsm_latency": 0.0}
# Figure → whether more of it is better.
FIGURES = {
    "ratios.ceremonies/unwrap, sign, verify, destroy": True,
    "ratios.signatures/C_Sign": True,
    "cpu_times_raw": False,
    "latency_ms.p99": False,
    "statements.work": False,
}


def line(found: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a run."""
    kept = {name: at(found, name) for name in (*_COMPARED, *FIGURES) if name != "cpu_times_raw"}
    raw = at(found, f"raw.unwrap, sign, verify, destroy {at(found, 'options.algorithm')}")
    # Processor time in units of what the token needs for one key use: the same on each machine.
    kept["cpu_times_raw"] = None if not raw else found["cpu_ms"]["server"] * raw / 1000
    return {"started_at": found["started_at"], **kept}


def add(file: Path, found: Mapping[str, Any]) -> dict[str, float]:
    """Add the run to ``file``; figure → ratio to the median of the runs like it before."""
    new = line(found)
    before = [
        each
        for each in (_BEFORE | line for line in _read(file))
        if all(each.get(name) == new.get(name) for name in _COMPARED)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(new) + "\n")
    ratios = {}
    for name in FIGURES:
        known = [each[name] for each in before[-_LAST:] if each.get(name)]
        if known and new.get(name):
            ratios[name] = new[name] / statistics.median(known)
    return ratios


def regressions(ratios: Mapping[str, float], tolerance: float = 0.15) -> dict[str, float]:
    """Those ratios that are worse than ``tolerance`` allows."""
    return {
        name: ratio
        for name, ratio in ratios.items()
        if (ratio < 1 - tolerance if FIGURES[name] else ratio > 1 + tolerance)
    }


def at(found: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - a number, a text or None
    """The value at ``path``; names may hold anything but a full stop."""
    value: Any = found
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(each) for each in file.read_text(encoding="utf-8").splitlines()]
