"""What a load generator writes down: steps, ceremonies, errors, bytes, each second by itself.

A ceremony's time runs from the moment it was *due*, not from when a user was free to begin it: who
measures from the beginning leaves out just those that had to wait (coordinated omission). For the
same reason the times are those of all ceremonies that were due while it was measured, also of those
that ended later; rates are of what ended meanwhile.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from loadtests.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.hosts import Balancer

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
    """Of one generator, measured from ``start`` to ``end`` (epoch seconds).

    ``ceremonies`` are the times of those that were due then and ended well, ``late`` of them after
    the end; ``kinds`` and ``signatures`` what ended well then, whenever it was due; ``errors`` any
    that were due or ended then. ``unfinished`` were due and have not ended.
    """

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end
        self.steps: dict[str, StepRecord] = {}
        self.ceremonies = Histogram()
        self.kinds: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.signatures = 0
        self.late = self.unfinished = 0
        self.activations: list[str] = []  # whose signatures a portal was given, whenever that was
        self.seconds: dict[int, Second] = {}
        self.short = 0  # turns for which no official was ready: the generator's own shortage

    def counts_now(self) -> bool:
        """Whether this moment is measured."""
        return self._is_within(time.time())

    @property
    def done(self) -> int:
        """How many ended well while it was measured."""
        return self.kinds.total()

    def step(self, name: str, seconds: float, sent: int, received: int) -> None:
        """An answer came."""
        record = self.steps.setdefault(name, StepRecord())
        record.latencies.add(seconds)
        record.sent += sent
        record.received += received

    def begin(self, due: float) -> None:
        """A ceremony that is ``due`` then has somebody who will do it, or never will."""
        self.unfinished += self._is_within(due)

    def fall_short(self, due: float) -> None:
        """Nobody is ready for a ceremony that is ``due`` then."""
        self.short += self._is_within(due)

    def ceremony(self, kind: str, due: float, signatures: int, cause: str | None) -> None:
        """A ceremony that was ``due`` then, and begun, has ended; ``cause`` None: well."""
        now = time.time()
        was_due, is_now = self._is_within(due), self._is_within(now)
        self.unfinished -= was_due
        if cause is not None and (was_due or is_now):
            self.errors[cause] += 1
        elif cause is None and was_due:
            self.ceremonies.add(now - due)
            self.late += not is_now
        if is_now:
            self._end_now(kind, now - due, signatures, is_well=cause is None)

    def _end_now(self, kind: str, seconds: float, signatures: int, *, is_well: bool) -> None:
        second = self.seconds.setdefault(int(time.time() - self.start), Second())
        if not is_well:
            second.errors += 1
            return
        self.kinds[kind] += 1
        self.signatures += signatures
        second.latencies.add(seconds)

    def _is_within(self, moment: float) -> bool:
        return self.start <= moment < self.end

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
            "activations": self.activations,
            "late": self.late,
            "unfinished": self.unfinished,
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
        self.activations += members["activations"]
        self.late += members["late"]
        self.unfinished += members["unfinished"]
        self.short += members["short"]
        for number, other in members["seconds"].items():
            second = self.seconds.setdefault(int(number), Second())
            second.latencies.merge(Histogram.of(other["latencies"]))
            second.errors += other["errors"]


class Steps:
    """Sends a ceremony's requests one after the other and writes each down."""

    def __init__(self, http: Http, recorder: Recorder, balancer: Balancer | None = None) -> None:
        self._http = http
        self._recorder = recorder
        self._balancer = balancer

    def signed_by(self, ticket: str) -> None:
        """The portal has the signatures of the activation that token or SAD ``ticket`` is of."""
        self._recorder.activations.append(ticket.partition(".")[0])

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
        with nullcontext(url) if self._balancer is None else self._balancer.at(url) as there:
            answer = self._http.send(step, method, there, given, body)
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
