"""Many hashes of one consent in one call (``--hashes``, 100 by default)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests.oauth_flow import sign, token_for
from loadtests.place import Needs, Place, Scenario, digests

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """One call for all."""
    values = digests(place.hashes)
    token = token_for(place, official, steps, values, browser.approve)
    return sign(place, official, steps, values, token)


SCENARIO = Scenario("batch", "one consent, one signHash for many hashes", Needs(), ceremony)
