"""A whole signature with the key in a SIM, through adapter, operator, gateway and virtual card.

The phone approves at once, so the time is the chain's own; people take longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests.oauth_flow import sign, token_for
from loadtests.place import Needs, Place, Scenario, digests

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """One document."""
    values = digests(1)
    token = token_for(place, official, steps, values, browser.approve_with_sim)
    return sign(place, official, steps, values, token)


SCENARIO = Scenario(
    "ceremony_sim",
    "PAR, consent with the SIM, token, signHash: one signature",
    Needs(consent_page=True, sim=True, codes=0),
    ceremony,
)
