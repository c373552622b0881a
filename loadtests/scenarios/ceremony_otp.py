"""A whole signature with PIN and one-time code, each by another official with a live session.

PAR, the browser to the authorization endpoint, the consent page, the form, the token, signHash.
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
    token = token_for(place, official, steps, values, browser.approve)
    return sign(place, official, steps, values, token)


SCENARIO = Scenario(
    "ceremony_otp",
    "PAR, consent with PIN and one-time code, token, signHash: one signature",
    Needs(),
    ceremony,
)
