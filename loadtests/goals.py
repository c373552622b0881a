"""What a run must show; the exit status says whether it did.

A goal is a limit on a figure of the results. Figures of one machine mean nothing on another, so
rates that depend on it are goals only at the size they are made for: ``when`` names the options
that a run must have for the goal to be judged at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.options import Options

Bound = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True)
class Goal:
    """``figure`` is a path into the results, such as ``latency_ms.p99``."""

    figure: str
    bound: Bound
    limit: float
    told: str
    needs_rate: bool = False
    needs_postgresql: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal and what was measured; None: the run has no such figure."""

    goal: Goal
    measured: float | None

    @property
    def is_reached(self) -> bool:
        """Whether the figure is there and within its limit."""
        if self.measured is None:
            return False
        if self.goal.bound == "at most":
            return self.measured <= self.goal.limit
        return self.measured >= self.goal.limit


NO_ERRORS = Goal("errors.total", "at most", 0, "no ceremony fails")
NO_SHORTAGE = Goal("shortage", "at most", 0, "the load generator itself kept up")
SOMETHING = Goal("ceremonies", "at least", 1, "there was something to measure")
_EACH = (SOMETHING, NO_ERRORS, NO_SHORTAGE)

GOALS: dict[str, tuple[Goal, ...]] = {
    "ceremony_otp": (
        *_EACH,
        Goal("rate", "at least", 208, "ceremonies a second", needs_rate=True),
        Goal(
            "latency_ms.p99",
            "at most",
            1000,
            "99 of 100 within, from when they were due",
            needs_rate=True,
        ),
        Goal(
            "cpu_ms.server",
            "at most",
            6,
            "server-side processor ms a ceremony",
            needs_postgresql=True,
        ),
    ),
}


def judge(options: Options, results: Mapping[str, Any]) -> list[Judged]:
    """The scenario's goals that such a run can reach or miss."""
    judged = []
    for goal in GOALS.get(options.scenario, _EACH):
        if goal.needs_rate and options.rate is None:
            continue
        if goal.needs_postgresql and options.database != "postgresql":
            continue
        judged.append(Judged(goal, figure(results, goal.figure)))
    return judged


def figure(results: Mapping[str, Any], path: str) -> float | None:
    """The number at ``path``; None where there is none."""
    found: Any = results
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) else None
