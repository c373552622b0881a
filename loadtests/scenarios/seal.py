"""An organisation's seal: one authorisation by code, then many calls with one hash each.

The credential is SCAL1, as a seal that a machine applies must be: the documents are not known when
it is authorised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests.place import SIGN_ALGO, Needs, Place, Scenario, digests

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """``place.hashes`` signatures."""
    portal, token = place.portal, place.portal.own_token(steps)
    asked = {
        "credentialID": official.credential_id,
        "numSignatures": place.hashes,
        "PIN": official.pin,
        "OTP": official.code(browser.next_step(official)),
    }
    sad = portal.call(steps, "authorize", "credentials/authorize", asked, token)["SAD"]
    made = 0
    for value in digests(place.hashes):
        members = {
            "credentialID": official.credential_id,
            "SAD": sad,
            "hashes": [value],
            "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1",
            "signAlgo": SIGN_ALGO[place.algorithm],
        }
        answer = portal.call(steps, "sign_hash", "signatures/signHash", members, token)
        made += len(answer["signatures"])
    steps.signed_by(sad)
    return made


SCENARIO = Scenario(
    "seal",
    "an organisation's key: one authorisation, many signHash",
    Needs(people="organisation", scal="1"),
    ceremony,
)
