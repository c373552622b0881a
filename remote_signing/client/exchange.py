"""One call without I/O: what is sent, what came of it, and whether it is sent again.

A *flow* is a generator that yields what shall be done, a request or a pause, and is given what came
of it. The shells (:mod:`.shells`) do it, blocking or not; nothing else here touches a socket or a
clock, so every rule below is tested without one.

What is sent again, and when:

- The request never left (connection refused, no route, no TLS): always.
- 429, and 503 in CSC's form: always, not before ``Retry-After``. Nothing was used up.
- No answer, 502, 504, 503 in other words: only a call that is ``repeatable``, because the service
  gives the same answer again (``signHash``, ``signDoc`` with a claimed time), or because another
  answer harms nobody (reading, time stamps, a request that nobody opens). Any other call ends in
  ``OutcomeUnknown``, and the program decides.
- Any other answer: never. It is the answer.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, TypeVar

from remote_signing.client.errors import NotReached, OutcomeUnknown

T = TypeVar("T")

TOO_MANY, UNAVAILABLE = 429, 503
_BETWEEN_US = frozenset({502, 503, 504})  # a proxy's own words, when they are not in CSC's form
_SPREAD = 1000


class Sink(Protocol):
    """Takes a successful answer piece by piece; ``begin`` forgets what an earlier try left."""

    def begin(self) -> None:
        """A new answer begins."""
        ...

    def feed(self, piece: bytes) -> None:
        """The next piece."""
        ...


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent: ``length`` bytes, which can be iterated again for another try."""

    pieces: Iterable[bytes]
    length: int

    @classmethod
    def of(cls, text: str) -> Body:
        """A short one."""
        content = text.encode("utf-8")
        return cls((content,), len(content))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A POST, as every request here is; ``sink`` takes a 200's body."""

    url: str
    headers: Mapping[str, str]
    body: Body
    sink: Sink | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is done for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Incoming:
    """An answer; ``body`` is empty where a sink took it. Names of ``headers`` are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    after_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer. ``was_sent`` unless it is certain that nothing arrived."""

    was_sent: bool
    cause: Exception


Flow: TypeAlias = Generator[Outgoing | Pause, Incoming | Lost | None, T]


@dataclass(frozen=True, slots=True)
class Call:
    """``outgoing`` makes the request anew for each try: proofs and assertions are good once."""

    name: str
    outgoing: Callable[[], Outgoing]
    repeatable: bool


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a call is tried, and the pauses between (seconds): doubling, spread by half."""

    tries: int = 6
    first: float = 0.25
    longest: float = 5.0

    def pauses(self) -> Iterator[float]:
        """One for each try after the first."""
        for number in range(self.tries - 1):
            whole = min(self.longest, self.first * 2**number)
            yield whole * (1 + secrets.randbelow(_SPREAD) / _SPREAD) / 2


def exchange(call: Call, retry: Retry) -> Flow[Incoming]:
    """The answer to ``call``. Errors: ``NotReached``, ``OutcomeUnknown``."""
    was_unknown = False
    for pause in (*retry.pauses(), None):
        event = yield call.outgoing()
        if isinstance(event, Incoming) and not _is_worth_another(event):
            return replace(event, after_unknown=was_unknown)
        unknown = _is_unknown(event)
        was_unknown = was_unknown or unknown
        wait = _asked_to_wait(event)
        if pause is None or wait > retry.longest or (unknown and not call.repeatable):
            break
        yield Pause(max(pause, wait))
    if isinstance(event, Incoming) and not was_unknown:
        return event
    cause = event.cause if isinstance(event, Lost) else None
    told = f"{call.name}: {type(cause).__name__}" if cause else call.name
    raise (OutcomeUnknown if was_unknown else NotReached)(told) from cause


def retry_after(answer: Incoming) -> float | None:
    """``Retry-After`` in seconds; its other form, a date, counts as not named."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def _is_worth_another(answer: Incoming) -> bool:
    return answer.status == TOO_MANY or answer.status in _BETWEEN_US


def _is_unknown(event: Incoming | Lost | None) -> bool:
    """Whether the service may have done what was asked."""
    if isinstance(event, Incoming):
        return event.status in _BETWEEN_US and not _is_refused_by_service(event)
    return event is None or event.was_sent


def _is_refused_by_service(answer: Incoming) -> bool:
    """503 in CSC's form is the service's own word; a proxy's says nothing of what was done."""
    try:
        members = json.loads(answer.body)
    except ValueError:
        return False
    return answer.status == UNAVAILABLE and isinstance(members, dict) and "error" in members


def _asked_to_wait(event: Incoming | Lost | None) -> float:
    return (retry_after(event) or 0.0) if isinstance(event, Incoming) else 0.0
