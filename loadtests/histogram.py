"""Latencies in buckets that are 2 % wide: cheap to fill, exact enough, and they add up."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDTH = math.log(1.02)
_UNIT = 1e-5  # seconds; whatever is faster counts as that


class Histogram:
    """Of seconds. ``total`` is their exact sum."""

    def __init__(self, buckets: Mapping[int, int] | None = None, total: float = 0.0) -> None:
        self._buckets = Counter[int](buckets or {})
        self.total = total

    def add(self, seconds: float) -> None:
        """Count one."""
        self.total += seconds
        self._buckets[math.ceil(math.log(max(seconds, _UNIT) / _UNIT) / _WIDTH)] += 1

    def merge(self, other: Histogram) -> None:
        """Count all of ``other`` too."""
        self._buckets.update(other._buckets)
        self.total += other.total

    @property
    def count(self) -> int:
        """How many there are."""
        return self._buckets.total()

    @property
    def mean(self) -> float:
        """Seconds of one; 0 of none."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Seconds within which ``share`` of them lie, rounded up by at most 2 %; 0 of none."""
        wanted = share * self.count
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return _UNIT * math.exp(bucket * _WIDTH)
        return 0.0

    def members(self) -> dict[str, Any]:
        """For JSON."""
        buckets = {str(bucket): count for bucket, count in sorted(self._buckets.items())}
        return {"buckets": buckets, "total": self.total}

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Self:
        """From JSON."""
        buckets = {int(bucket): count for bucket, count in members["buckets"].items()}
        return cls(buckets, members["total"])
