"""A whole signature with PIN and one-time code, each by another official with a live session.

PAR, the browser to the authorization endpoint, the consent page, the form, the token, signHash.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests.place import SIGN_ALGO, Needs, Place, Scenario, details, digests

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.portal import Token
    from loadtests.recorder import Steps


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """One document."""
    values = digests(1)
    token = token_for(place, official, steps, values)
    return sign(place, official, steps, values, token)


def token_for(place: Place, official: Official, steps: Steps, values: list[str]) -> Token:
    """A credential token for ``values``, with the official's consent."""
    verifier = secrets.token_urlsafe(48)
    request_uri = place.portal.push(steps, details(official, values), verifier)
    name = browser.open_request(steps, place.portal.browser_url(request_uri))
    back = browser.approve(place, official, steps, name)
    return place.portal.redeem(steps, browser.parameter(back, "code"), verifier)


def sign(place: Place, official: Official, steps: Steps, values: list[str], token: Token) -> int:
    """signHash; how many signatures came."""
    members = {
        "credentialID": official.credential_id,
        "hashes": values,
        "signAlgo": SIGN_ALGO[place.algorithm],
    }
    answer = place.portal.call(steps, "sign_hash", "signatures/signHash", members, token)
    return len(answer["signatures"])


SCENARIO = Scenario(
    "ceremony_otp",
    "PAR, consent with PIN and one-time code, token, signHash: one signature",
    Needs(),
    ceremony,
)
