"""What a run must show; the exit status says whether it did.

A goal is a limit on a figure of the results. Some mean something only in runs of a kind: a rate
where that rate is asked for, growth where the run is long. ``when`` says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from loadtests.events import LOSE_NODE, RECOVERED, RESTART_POSTGRES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadtests.options import Options

Bound = Literal["at most", "at least"]


PEAK = 208  # ceremonies a second: 3,000,000 in 8 hours, the peak hour at twice the average
SOAK = 600  # seconds from which on growth means something


def _always(options: Options) -> bool:
    del options
    return True


def _is_open(options: Options) -> bool:
    """In a closed loop the users wait for one another; what an event does is told by recovery."""
    return options.rate is not None and options.event is None


def _is_real(options: Options) -> bool:
    """Nothing is left out that the service does in earnest, and nothing put in or taken away."""
    is_whole = options.consent_page and options.dpop
    is_quiet = options.event is None and not options.hsm_latency
    return is_whole and is_quiet and options.database == "postgresql" and options.durable


def _is_peak(options: Options) -> bool:
    return options.rate is not None and options.rate >= PEAK and _is_real(options)


def _is_down(options: Options) -> bool:
    return options.event == RESTART_POSTGRES


def _is_up(options: Options) -> bool:
    """While there is no database, whoever asks is told so."""
    return not _is_down(options)


def _loses_node(options: Options) -> bool:
    return options.event == LOSE_NODE


def _is_alone(options: Options) -> bool:
    """One call at a time, as the raw figure is one session's."""
    return options.users == 1


def _is_soak(options: Options) -> bool:
    return options.seconds >= SOAK


@dataclass(frozen=True, slots=True)
class Goal:
    """``figure`` is a path into the results, such as ``latency_ms.p99``.

    ``when``: of which runs it is asked at all.
    """

    figure: str
    bound: Bound
    limit: float
    told: str
    when: Callable[[Options], bool] = _always


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


def _recovered(event: str, told: str, when: Callable[[Options], bool]) -> Goal:
    return Goal("recovery.seconds", "at most", RECOVERED[event], told, when)


NO_ERRORS = Goal("errors.total", "at most", 0, "no ceremony fails", _is_up)
NO_SHORTAGE = Goal("shortage", "at most", 0, "the load generator itself kept up")
SOMETHING = Goal("ceremonies", "at least", 1, "there was something to measure")
_EACH = (
    SOMETHING,
    NO_ERRORS,
    Goal("unfinished", "at most", 0, "whatever was due has ended, at the latest 30 s after"),
    Goal("lost", "at most", 0, "each activation whose signatures a portal was given is on record"),
    _recovered(LOSE_NODE, "good again after a node was lost", _loses_node),
    _recovered(RESTART_POSTGRES, "good again after PostgreSQL fell over", _is_down),
    NO_SHORTAGE,
    Goal("growth.pss", "at most", 1.05, "memory at the end against the settled service", _is_soak),
    Goal("growth.files", "at most", 1.05, "open files, connections among them", _is_soak),
    Goal("growth.processes", "at most", 1.0, "processes, HSM sessions among them", _is_soak),
)
_LATENCY = "99 of 100 within, from when they were due"

GOALS: dict[str, tuple[Goal, ...]] = {
    "ceremony_otp": (
        *_EACH,
        Goal("rate", "at least", 208, "ceremonies a second", _is_peak),
        Goal("latency_ms.p99", "at most", 1000, _LATENCY, _is_open),
        Goal("cpu_ms.server", "at most", 6, "server-side processor ms a ceremony", _is_real),
    ),
    "ceremony_passkey": (*_EACH, Goal("latency_ms.p99", "at most", 1000, _LATENCY, _is_open)),
    "portal_decoupled": (*_EACH, Goal("latency_ms.p99", "at most", 1500, _LATENCY, _is_open)),
    # The operator is asked twice a second at most, and the card's dialogue is four messages.
    "ceremony_sim": (*_EACH, Goal("latency_ms.p99", "at most", 5000, _LATENCY, _is_open)),
    "documents": (*_EACH, Goal("latency_ms.p99", "at most", 3000, _LATENCY, _is_open)),
    "read_mostly": (*_EACH, Goal("latency_ms.p99", "at most", 500, _LATENCY, _is_open)),
    "sign_in": (*_EACH, Goal("latency_ms.p99", "at most", 1000, _LATENCY, _is_open)),
    "working_day": (*_EACH, Goal("latency_ms.p99", "at most", 1500, _LATENCY, _is_open)),
    "batch": (
        *_EACH,
        Goal("ratios.call/C_Sign", "at least", 0.9, "one call against raw C_Sign", _is_alone),
    ),
    "seal": (
        *_EACH,
        Goal(
            "ratios.call/unwrap, sign, verify, destroy",
            "at least",
            0.5,
            "signHash with a ready authorisation against raw unwrap, sign, verify, destroy",
            _is_alone,
        ),
    ),
}
"""A scenario that is not here has the goals of each."""


def judge(options: Options, results: Mapping[str, Any]) -> list[Judged]:
    """The scenario's goals that such a run can reach or miss."""
    return [
        Judged(goal, figure(results, goal.figure))
        for goal in GOALS.get(options.scenario, _EACH)
        if goal.when(options)
    ]


def figure(results: Mapping[str, Any], path: str) -> float | None:
    """The number at ``path``; None where there is none."""
    found: Any = results
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) else None
