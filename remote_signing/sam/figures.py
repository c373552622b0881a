"""What a SAM host counts for Prometheus, and the text that tells it (exposition format 0.0.4).

No library does this here: the SAM has few, each of which could reach a key. Labels are names of
nodes (configuration), verbs (a fixed set) and faults (three), so there are only so many series.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from remote_signing.sap import NodeReport

BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_ERROR = b'"error":'
_HEAD = 48  # bytes of an answer in which its second member's name stands
_Labels = tuple[tuple[str, str], ...]
_Line = tuple[str, _Labels, float]


class Figures:
    """Counted by the supervisor, which is one thread: no lock."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()  # verb, outcome
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(
            float
        )  # of a verb, from frame to answer
        self._busy: defaultdict[str, float] = defaultdict(float)  # seconds of a node's workers
        self._operations: Counter[str] = Counter()  # of a node
        self._faults: Counter[str] = Counter()  # of a node's workers
        self._waited = 0.0
        self.waiting = 0

    @contextmanager
    def busy(self, node: str) -> Iterator[None]:
        """Within the block a worker of ``node`` works on a request."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._busy[node] += time.monotonic() - begun
            self._operations[node] += 1

    @contextmanager
    def queued(self) -> Iterator[None]:
        """Within the block a request waits for a worker."""
        begun = time.monotonic()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1
            self._waited += time.monotonic() - begun

    def answered(self, verb: str, answer: bytes, seconds: float) -> None:
        """Count an answer; ``verb`` is one that the supervisor knows."""
        outcome = "error" if _ERROR in answer[:_HEAD] else "ok"
        self._requests[verb, outcome] += 1
        self._seconds[verb] += seconds
        place = next((at for at, most in enumerate(BUCKETS) if seconds <= most), len(BUCKETS))
        self._buckets[verb][place] += 1

    def failed(self, node: str) -> None:
        """Count a worker that had to be replaced."""
        self._faults[node] += 1

    def text(
        self, nodes: Iterable[NodeReport], idle: Mapping[str, int], numbers: Mapping[str, float]
    ) -> bytes:
        """Everything. ``idle``: workers of a node; ``numbers``: further gauges, by name."""
        lines: list[str] = []
        for name, kind, told, samples in self._families(list(nodes), idle, numbers):
            lines += [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
            lines += [_sample(*sample) for sample in samples]
        return ("\n".join(lines) + "\n").encode("ascii")

    def _families(
        self, nodes: list[NodeReport], idle: Mapping[str, int], numbers: Mapping[str, float]
    ) -> Iterator[tuple[str, str, str, list[_Line]]]:
        def of_nodes(name: str, values: Mapping[str, float]) -> list[_Line]:
            names = (node["name"] for node in nodes)
            return [(name, (("node", each),), values.get(each, 0)) for each in names]

        def counter(name: str, told: str, values: Mapping[str, float]) -> _Family:
            return (name, "counter", told, of_nodes(name, values))

        requests: list[_Line] = [
            ("sam_requests_total", (("verb", verb), ("outcome", outcome)), count)
            for (verb, outcome), count in sorted(self._requests.items())
        ]
        yield ("sam_requests_total", "counter", "Answered requests.", requests)
        yield (
            *("sam_request_seconds", "histogram", "From request to answer, waiting included."),
            [line for verb in sorted(self._buckets) for line in self._histogram(verb)],
        )
        yield counter("sam_hsm_busy_seconds_total", "Of all workers of a node.", self._busy)
        yield counter("sam_hsm_operations_total", "Requests given to a node.", self._operations)
        yield counter("sam_worker_faults_total", "Workers that were replaced.", self._faults)
        up = {node["name"]: float(node["healthy"]) for node in nodes}
        yield (
            "sam_hsm_node_up",
            "gauge",
            "Whether it can be used.",
            of_nodes("sam_hsm_node_up", up),
        )
        yield ("sam_workers", "gauge", "By what they do.", list(_workers(nodes, idle)))
        waited: list[_Line] = [("sam_wait_seconds_total", (), self._waited)]
        yield ("sam_wait_seconds_total", "counter", "Requests' waiting for a worker.", waited)
        for name, value in {"sam_requests_waiting": float(self.waiting), **numbers}.items():
            yield (name, "gauge", "Now.", [(name, (), value)])

    def _histogram(self, verb: str) -> Iterator[_Line]:
        count = 0
        label = ("verb", verb)
        for most, more in zip((*BUCKETS, "+Inf"), self._buckets[verb], strict=True):
            count += more
            yield ("sam_request_seconds_bucket", (label, ("le", str(most))), count)
        yield ("sam_request_seconds_sum", (label,), self._seconds[verb])
        yield ("sam_request_seconds_count", (label,), count)


_Family = tuple[str, str, str, list[_Line]]


def _workers(nodes: list[NodeReport], idle: Mapping[str, int]) -> Iterator[_Line]:
    for node in nodes:
        name = node["name"]
        states = {"idle": idle.get(name, 0), "busy": node["workers"] - idle.get(name, 0)}
        for state, count in states.items():
            yield ("sam_workers", (("node", name), ("state", state)), max(0, count))


def _sample(name: str, labels: _Labels, value: float) -> str:
    # Names of nodes and verbs are of letters that need no escape.
    inside = ",".join(f'{label}="{text}"' for label, text in labels)
    return f"{name}{{{inside}}} {float(value)!r}" if inside else f"{name} {float(value)!r}"
