"""A whole signature with a passkey: as ``ceremony_otp``, without PIN and code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests import passkey_browser
from loadtests.oauth_flow import sign, token_for
from loadtests.place import Needs, Place, Scenario, digests

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """One document."""
    values = digests(1)
    token = token_for(place, official, steps, values, passkey_browser.approve)
    return sign(place, official, steps, values, token)


SCENARIO = Scenario(
    "ceremony_passkey",
    "PAR, consent with a passkey, token, signHash: one signature",
    Needs(consent_page=True, passkey=True, codes=0),
    ceremony,
)
