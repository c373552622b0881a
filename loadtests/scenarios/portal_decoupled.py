"""A request that reaches the phone by itself: authorize, list, code, consent, check, signHash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests.place import SHA256, SIGN_ALGO, Needs, Place, Scenario, digests
from loadtests.recorder import CeremonyFailed

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.recorder import Steps


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """One document of a portal that asks once more after the official has answered."""
    portal, token = place.portal, place.portal.own_token(steps)
    values = digests(1)
    asked = {
        "credentialID": official.credential_id,
        "numSignatures": 1,
        "hashes": values,
        "hashAlgorithmOID": SHA256,
        "requestDetails": {"number": "1234", "symbol": "QĐ-BNV", "urgency": "urgent"},
    }
    waiting = portal.call(steps, "authorize", "credentials/authorize", asked, token)
    name = waiting["handle"].partition(".")[0]
    browser.look(place, official, steps, "waiting", "/")
    browser.match(place, official, steps, name, waiting["verificationCode"])
    browser.approve(place, official, steps, name)
    checked = {"handle": waiting["handle"]}
    answer = portal.call(steps, "authorize_check", "credentials/authorizeCheck", checked, token)
    if "SAD" not in answer:
        raise CeremonyFailed("authorize_check: no SAD after the consent")
    members = {
        "credentialID": official.credential_id,
        "SAD": answer["SAD"],
        "hashes": values,
        "hashAlgorithmOID": SHA256,
        "signAlgo": SIGN_ALGO[place.algorithm],
    }
    made = portal.call(steps, "sign_hash", "signatures/signHash", members, token)["signatures"]
    steps.signed_by(answer["SAD"])
    return len(made)


SCENARIO = Scenario(
    "portal_decoupled",
    "authorize, the phone's list, the portal's code, consent, authorizeCheck, signHash",
    Needs(),
    ceremony,
)
