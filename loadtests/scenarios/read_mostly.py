"""What is looked at between signatures: a portal's list and details, an official's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests.place import Needs, Place, Scenario

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """``info``, list, details; then the phone: what waits, what was."""
    portal, token = place.portal, place.portal.own_token(steps)
    portal.call(steps, "info", "info", {"lang": "vi"}, None)
    asked = {"userID": official.subscriber_id}
    found = portal.call(steps, "list", "credentials/list", asked, token)
    wanted = {"credentialID": found["credentialIDs"][0], "certificates": "chain"}
    portal.call(steps, "credential", "credentials/info", wanted, token)
    browser.look(place, official, steps, "waiting", "/")
    browser.look(place, official, steps, "history", "/history")
    return 0


SCENARIO = Scenario(
    "read_mostly",
    "info, list and details for the portal; waiting requests and history for the official",
    Needs(consent_page=True, codes=0),
    ceremony,
)
