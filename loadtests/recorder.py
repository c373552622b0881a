"""What a load generator writes down: steps, ceremonies, errors, bytes, each second by itself.

A ceremony's time runs from the moment it was *due*, not from when a user was free to begin it: who
measures from the beginning leaves out just those that had to wait (coordinated omission).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from loadtests.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_ANSWER = 0


class Answer(NamedTuple):
    """``status`` 0: none came. Names of ``headers`` are looked up in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """Sends one request and follows no redirect; connections are kept."""

    def send(
        self, step: str, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """The answer; one with status 0 when none came."""
        ...


class CeremonyFailed(Exception):
    """A step had another answer than it should; the text is the cause, alike for alike."""


@dataclass(slots=True)
class StepRecord:
    """All of one step. ``sent`` and ``received`` are bytes of bodies and of headers as given."""

    latencies: Histogram = field(default_factory=Histogram)
    sent: int = 0
    received: int = 0


@dataclass(slots=True)
class Second:
    """What ended within one second of the run."""

    latencies: Histogram = field(default_factory=Histogram)
    errors: int = 0


class Recorder:
    """Of one generator. Only what ends between ``start`` and ``end`` (epoch seconds) counts."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end
        self.steps: dict[str, StepRecord] = {}
        self.ceremonies = Histogram()
        self.kinds: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.signatures = 0
        self.acknowledged = 0  # ceremonies that signed, whenever they ended
        self.seconds: dict[int, Second] = {}
        self.short = 0  # turns for which no official was ready: the generator's own shortage

    def counts_now(self) -> bool:
        """Whether this moment is measured."""
        return self.start <= time.time() < self.end

    def step(self, name: str, seconds: float, sent: int, received: int) -> None:
        """An answer came."""
        record = self.steps.setdefault(name, StepRecord())
        record.latencies.add(seconds)
        record.sent += sent
        record.received += received

    def ceremony(self, kind: str, due: float, signatures: int, cause: str | None) -> None:
        """A ceremony that was ``due`` then has ended; ``cause`` None: well."""
        now = time.time()
        self.acknowledged += signatures > 0
        if not self.start <= now < self.end:
            return
        second = self.seconds.setdefault(int(now - self.start), Second())
        if cause is not None:
            self.errors[cause] += 1
            second.errors += 1
            return
        self.kinds[kind] += 1
        self.signatures += signatures
        self.ceremonies.add(now - due)
        second.latencies.add(now - due)

    def members(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "steps": {
                name: {
                    "latencies": record.latencies.members(),
                    "sent": record.sent,
                    "received": record.received,
                }
                for name, record in self.steps.items()
            },
            "ceremonies": self.ceremonies.members(),
            "kinds": dict(self.kinds),
            "errors": dict(self.errors),
            "signatures": self.signatures,
            "acknowledged": self.acknowledged,
            "short": self.short,
            "seconds": {
                str(number): {"latencies": each.latencies.members(), "errors": each.errors}
                for number, each in self.seconds.items()
            },
        }

    def merge(self, members: Mapping[str, Any]) -> None:
        """Add what another generator wrote."""
        for name, other in members["steps"].items():
            record = self.steps.setdefault(name, StepRecord())
            record.latencies.merge(Histogram.of(other["latencies"]))
            record.sent += other["sent"]
            record.received += other["received"]
        self.ceremonies.merge(Histogram.of(members["ceremonies"]))
        self.kinds.update(members["kinds"])
        self.errors.update(members["errors"])
        self.signatures += members["signatures"]
        self.acknowledged += members["acknowledged"]
        self.short += members["short"]
        for number, other in members["seconds"].items():
            second = self.seconds.setdefault(int(number), Second())
            second.latencies.merge(Histogram.of(other["latencies"]))
            second.errors += other["errors"]


class Steps:
    """Sends a ceremony's requests one after the other and writes each down."""

    def __init__(self, http: Http, recorder: Recorder) -> None:
        self._http = http
        self._recorder = recorder

    def send(  # noqa: PLR0913 - a request has as many parts
        self,
        step: str,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        wanted: tuple[int, ...] = (200,),
    ) -> Answer:
        """The answer, of a ``wanted`` status. Errors: ``CeremonyFailed``."""
        given = headers or {}
        begun = time.perf_counter()
        answer = self._http.send(step, method, url, given, body)
        taken = time.perf_counter() - begun
        if answer.status not in wanted:
            told = answer.body[:200].decode("utf-8", "replace") if answer.status else "no answer"
            raise CeremonyFailed(f"{step}: {answer.status} {told}")
        if self._recorder.counts_now():
            sent = len(body) + len(method) + len(url) + _length(given)
            self._recorder.step(step, taken, sent, len(answer.body) + _length(answer.headers))
        return answer


def _length(headers: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers.items())
