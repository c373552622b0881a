"""How busy a time of the day is, as a share of the busiest."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.turns import Profile

# Hour of the day → share of the peak, with straight lines between: offices open at 8:00, leaders
# sign what was prepared at about 10:00 and 15:00, nobody at noon.
WORKING_DAY = (
    (7.5, 0.05),
    (8.0, 0.3),
    (9.0, 0.7),
    (10.0, 1.0),
    (11.0, 0.6),
    (12.0, 0.15),
    (13.0, 0.2),
    (14.0, 0.7),
    (15.0, 1.0),
    (16.0, 0.6),
    (17.0, 0.2),
    (17.5, 0.05),
)


def working_day(over: float) -> float:
    """The share of the peak when ``over`` (0 to 1) of the day is over."""
    begin, end = WORKING_DAY[0][0], WORKING_DAY[-1][0]
    hour = begin + min(max(over, 0.0), 1.0) * (end - begin)
    for (left, low), (right, high) in pairwise(WORKING_DAY):
        if hour <= right:
            return low + (high - low) * (hour - left) / (right - left)
    return WORKING_DAY[-1][1]


PROFILES: dict[str, Profile] = {"working_day": working_day}
