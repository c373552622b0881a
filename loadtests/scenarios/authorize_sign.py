"""credentials/authorize with the codes sent along, then signHash: two calls, as others have.

SCAL1, for the comparison with such a server (:mod:`loadtests.compare`); a service token is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests.place import SHA256, SIGN_ALGO, Needs, Place, Scenario, digests

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """One signature over a hash that the authorisation names."""
    portal, token = place.portal, place.portal.own_token(steps)
    values = digests(1)
    asked = {
        "credentialID": official.credential_id,
        "numSignatures": 1,
        "hashes": values,
        "hashAlgorithmOID": SHA256,
        "PIN": official.pin,
        "OTP": official.code(browser.next_step(official)),
    }
    sad = portal.call(steps, "authorize", "credentials/authorize", asked, token)["SAD"]
    members = {
        "credentialID": official.credential_id,
        "SAD": sad,
        "hashes": values,
        "hashAlgorithmOID": SHA256,
        "signAlgo": SIGN_ALGO[place.algorithm],
    }
    answer = portal.call(steps, "sign_hash", "signatures/signHash", members, token)
    steps.signed_by(sad)
    return len(answer["signatures"])


SCENARIO = Scenario(
    "authorize_sign",
    "authorize with PIN and one-time code sent along, signHash",
    Needs(scal="1"),
    ceremony,
)
