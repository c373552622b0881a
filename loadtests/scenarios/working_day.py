"""A day from 7:30 to 17:30 in some minutes: people come as offices work and do what they do.

The rate follows :data:`loadtests.profiles.WORKING_DAY`; ``--rate`` is its peak.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from loadtests.place import Ceremony, Needs, Place, Scenario
from loadtests.scenarios import (
    batch,
    ceremony_otp,
    documents,
    portal_decoupled,
    read_mostly,
    sign_in,
)

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps

# What a hundred people do.
SHARES: tuple[tuple[Ceremony, int], ...] = (
    (ceremony_otp.ceremony, 50),
    (portal_decoupled.ceremony, 20),
    (read_mostly.ceremony, 20),
    (documents.ceremony, 4),
    (sign_in.ceremony, 4),
    (batch.ceremony, 2),
)
_CEREMONIES = [ceremony for ceremony, _ in SHARES]
_WEIGHTS = [weight for _, weight in SHARES]
_random = random.Random(8)  # noqa: S311 - who does what is no secret


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """One of them."""
    (chosen,) = _random.choices(_CEREMONIES, _WEIGHTS)
    return chosen(place, official, steps)


SCENARIO = Scenario(
    "working_day",
    "the day's profile over a mix of all that needs no special phone",
    Needs(consent_page=True),
    ceremony,
)
