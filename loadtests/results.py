"""A run's figures, put together from what the generators, the system and the database counted.

Shape of the JSON file: docs/performance.md. Times are milliseconds, rates a second, sizes bytes.
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from loadtests.accounting import WORKERS, Usage
from loadtests.events import recovery
from loadtests.sims import OPERATOR, PHONES

if TYPE_CHECKING:
    from loadtests.histogram import Histogram
    from loadtests.options import Options
    from loadtests.recorder import Recorder
    from loadtests.statements import Counted

VERSION = 1
GENERATOR = "generator"
OUTSIDE = {GENERATOR, OPERATOR, PHONES}
# As `hsm bench` names them.
C_SIGN, SINGLE = "C_Sign", "unwrap, sign, verify, destroy"
SETTLED = 0.1  # of a run: then growth begins to count
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that was seen of one run. ``raw``: operation → rate of one session alone."""

    options: Options
    started_at: str
    seconds: float
    recorder: Recorder
    before: dict[str, Usage]
    settled: dict[str, Usage]
    after: dict[str, Usage]
    statements: Counted | None
    raw: dict[str, float]
    machine: dict[str, Any]
    busy: float = 0.0  # share of the machine's processors that anybody's work took meanwhile
    missing: int = 0  # activations whose signatures a portal was given, and not on record


def results(seen: Observed) -> dict[str, Any]:
    """The figures."""
    recorder, seconds = seen.recorder, seen.seconds
    done = recorder.done
    found: dict[str, Any] = {
        "version": VERSION,
        "scenario": seen.options.scenario,
        "started_at": seen.started_at,
        "seconds": seconds,
        "machine": seen.machine,
        "options": _options(seen.options),
        "ceremonies": done,
        "signatures": recorder.signatures,
        "rate": done / seconds,
        "signature_rate": recorder.signatures / seconds,
        "errors": {"total": recorder.errors.total(), "causes": dict(recorder.errors)},
        "shortage": recorder.short,
        "late": recorder.late,
        "unfinished": recorder.unfinished,
        # Told a portal that it has a signature, and nothing on record: must never be.
        "lost": seen.missing,
        "latency_ms": quantiles(recorder.ceremonies),
        "steps": _steps(recorder, done),
        "cpu_ms": _cpu(seen, done),
        "machine_busy": seen.busy,
        "memory": _memory(seen),
        "growth": _growth(seen),
        "raw": seen.raw,
        "ratios": _ratios(seen, done / seconds),
        "series": _series(recorder, seconds),
    }
    found["bytes"] = {
        name: sum(step[name] for step in found["steps"].values()) for name in ("sent", "received")
    }
    if seen.options.event is not None:
        found["recovery"] = recovery(found["series"], seen.options.event_at)
    if seen.statements is not None:
        found["statements"] = _statements(seen.statements, done)
    return found


def machine() -> dict[str, Any]:
    """Enough to know the kind of machine again, and how busy it was with others' work."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def quantiles(histogram: Histogram) -> dict[str, float]:
    """p50, p95, p99 in milliseconds."""
    return {name: histogram.quantile(share) * 1000 for name, share in SHARES.items()}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - one line of a long one
            return next(
                (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
                platform.machine(),
            )
    except OSError:
        return platform.machine()


def _options(options: Options) -> dict[str, Any]:
    paths = {"kept", "out", "history"}
    return {name: value for name, value in asdict(options).items() if name not in paths}


def _statements(counted: Counted, done: int) -> dict[str, Any]:
    return {
        "work": _each(counted.work, done),
        "frame": _each(counted.frame, done),
        "rows_written": _each(counted.rows_written, done),
        "database_ms": _each(counted.seconds * 1000, done),
        "most": counted.most,
    }


def _each(total: float, done: int) -> float:
    return total / done if done else 0.0


def _steps(recorder: Recorder, done: int) -> dict[str, Any]:
    return {
        name: {
            "count": step.latencies.count,
            "each": _each(step.latencies.count, done),
            "latency_ms": quantiles(step.latencies),
            "sent": _each(step.sent, done),
            "received": _each(step.received, done),
        }
        for name, step in recorder.steps.items()
    }


def _cpu(seen: Observed, done: int) -> dict[str, float]:
    """Processor milliseconds a ceremony; ``server`` is all of it that is the service's."""
    used = {
        # Not below nought where a program was started anew.
        role: _each(max(0.0, after.cpu - seen.before.get(role, Usage()).cpu) * 1000, done)
        for role, after in seen.after.items()
    }
    server = sum(each for role, each in used.items() if role not in OUTSIDE)
    return {**used, "server": server}


def _memory(seen: Observed) -> dict[str, Any]:
    return {
        role: {
            "start": _sizes(seen.before.get(role, Usage())),
            "settled": _sizes(seen.settled.get(role, Usage())),
            "end": _sizes(after),
        }
        for role, after in seen.after.items()
    }


def _growth(seen: Observed) -> dict[str, float]:
    """End against settled, of the service as a whole; nothing where that could not be read."""

    def total(usages: dict[str, Usage], name: str) -> float:
        inside = (each for role, each in usages.items() if role not in OUTSIDE)
        return float(sum(getattr(each, name) for each in inside))

    names = ("rss", "pss", "files", "processes")
    return {
        name: total(seen.after, name) / before
        for name in names
        if (before := total(seen.settled, name))
    }


def _sizes(usage: Usage) -> dict[str, int]:
    return {
        "rss": usage.rss,
        "pss": usage.pss,
        "files": usage.files,
        "processes": usage.processes,
    }


def _ratios(seen: Observed, rate: float) -> dict[str, float]:
    """Against the raw token, and how busy its workers were.

    A worker is one HSM session. With SoftHSM its processor time is the HSM's, so the share of the
    run that the workers computed is the share that the sessions were busy.
    """
    found = {}
    workers = seen.after.get(WORKERS)
    if workers is not None and workers.processes:
        busy = workers.cpu - seen.before.get(WORKERS, Usage()).cpu
        found["hsm_busy"] = busy / (seen.seconds * workers.processes)
    algorithm = seen.options.algorithm
    signatures = seen.recorder.signatures / seen.seconds
    is_mixed = seen.options.scenario == "working_day"  # calls with one hash and with many
    call = None if is_mixed else seen.recorder.steps.get("sign_hash")
    for operation in (SINGLE, C_SIGN):
        raw = seen.raw.get(f"{operation} {algorithm}")
        if raw:
            found[f"ceremonies/{operation}"] = rate / raw
            found[f"signatures/{operation}"] = signatures / raw
            if call is not None and call.latencies.count:
                # What one caller gets out of signHash, one call after the other: of the mean, since
                # the slow calls are part of what it takes.
                each = seen.options.hashes if seen.options.scenario == "batch" else 1
                found[f"call/{operation}"] = each / call.latencies.mean / raw
    return found


def _series(recorder: Recorder, seconds: float) -> list[dict[str, float]]:
    """Second by second: what ended well, what did not, and how long it took."""
    series = []
    for number in range(int(seconds)):
        second = recorder.seconds.get(number)
        if second is None:
            series.append({"second": number, "ceremonies": 0, "errors": 0, "p50": 0.0, "p99": 0.0})
            continue
        times = quantiles(second.latencies)
        series.append(
            {
                "second": number,
                "ceremonies": second.latencies.count,
                "errors": second.errors,
                "p50": times["p50"],
                "p99": times["p99"],
            }
        )
    return series
