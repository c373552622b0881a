"""The steps that every signature over OAuth shares: PAR, the browser, the token, signHash."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

from loadtests import official_browser as browser
from loadtests.place import SIGN_ALGO, Place, details

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.portal import Token
    from loadtests.recorder import Steps


class Consent(Protocol):
    """How the official says yes; the address that his browser is sent to."""

    def __call__(self, place: Place, official: Official, steps: Steps, name: str) -> str:
        """To the request called ``name``. Errors: ``CeremonyFailed``."""
        ...


def token_for(
    place: Place,
    official: Official,
    steps: Steps,
    values: list[str],
    consent: Consent,
) -> Token:
    """A credential token for ``values``."""
    verifier = secrets.token_urlsafe(48)
    request_uri = place.portal.push(steps, details(official, values), verifier)
    name = browser.open_request(steps, place.portal.browser_url(request_uri))
    back = consent(place, official, steps, name)
    return place.portal.redeem(steps, browser.parameter(back, "code"), verifier)


def sign(place: Place, official: Official, steps: Steps, values: list[str], token: Token) -> int:
    """signHash; how many signatures came."""
    members = {
        "credentialID": official.credential_id,
        "hashes": values,
        "signAlgo": SIGN_ALGO[place.algorithm],
    }
    answer = place.portal.call(steps, "sign_hash", "signatures/signHash", members, token)
    steps.signed_by(token.value)
    return len(answer["signatures"])
