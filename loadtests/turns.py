"""Whose turn it is: when the next ceremony is due, and which official it is for."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.people import Official

_STEP = 30
_AHEAD = 1  # steps: the SAM takes the code of the coming one too (RFC 6238 cl. 5.2)

Profile = Callable[[float], float]
"""Share of the run that is over (0 to 1) → share of the rate (0 to 1)."""


class Arrivals:
    """Moments at which ceremonies are due, as independent people come (Poisson).

    With ``rate`` None the next one is due when somebody is free for it: a closed loop.
    """

    def __init__(
        self,
        rate: float | None,
        start: float,
        end: float,
        seed: int = 0,
        profile: Profile | None = None,
    ) -> None:
        self._rate = rate
        self._start, self._end = start, end
        self._next = start
        self._random = random.Random(seed)  # noqa: S311 - when people come is no secret
        self._profile = profile

    def next(self) -> float | None:
        """Epoch seconds; None when the run is over."""
        now = time.time()
        if self._rate is None:
            return max(now, self._start) if now < self._end else None
        due = self._next
        if due >= self._end:
            return None
        share = 1.0
        if self._profile is not None:
            share = self._profile((due - self._start) / (self._end - self._start))
        self._next = due + self._random.expovariate(self._rate * max(share, 0.01))
        return due


class Pool:
    """Officials in turn; each has one ceremony at a time and each code once."""

    def __init__(self, officials: Sequence[Official], codes: int = 1) -> None:
        self._waiting = deque(officials)
        self._codes = codes

    def take(self) -> Official | None:
        """The one who waits longest, when he has enough unused codes; None: nobody is ready."""
        if not self._waiting:
            return None
        newest = int(time.time()) // _STEP + _AHEAD
        if self._codes and self._waiting[0].last_step + self._codes > newest:
            return None
        return self._waiting.popleft()

    def give_back(self, official: Official) -> None:
        """He is free again."""
        self._waiting.append(official)
