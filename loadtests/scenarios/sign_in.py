"""Signing in with a password, which costs 22 ms of Argon2id by design; then out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests.place import Needs, Place, Scenario

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """No signature."""
    session = browser.sign_in(place, official, steps)
    browser.sign_out(place, steps, session)
    return 0


SCENARIO = Scenario(
    "sign_in", "password, session, and out again", Needs(consent_page=True, codes=0), ceremony
)
