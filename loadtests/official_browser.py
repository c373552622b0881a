"""The official's browser at the consent page, or his phone's app at the rssp's consent API.

The browser loads the page and sends the form; the page's style sheet, picture and script are not
fetched again, since every phone has them from the first time.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from loadtests.recorder import CeremonyFailed

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.place import Place
    from loadtests.recorder import Answer, Steps

_SECONDS_OF_A_STEP = 30
_HTML = {"Accept": "text/html,application/xhtml+xml", "Accept-Language": "vi"}
_REDIRECTS = (302, 303)


def open_request(steps: Steps, url: str) -> str:
    """Follow the portal's link; the request's id, from where the browser is sent next."""
    answer = steps.send("authorize", "GET", url, _HTML, wanted=_REDIRECTS)
    return urlsplit(location(answer)).path.rpartition("/")[2]


def approve(place: Place, official: Official, steps: Steps, name: str) -> str:
    """Look at the request, type PIN and code; the address that the browser is sent to."""
    code = official.code(next_step(official))
    if not place.has_consent_page:
        return _approve_directly(place, official, steps, name, code)
    here = f"{place.consent}/requests/{name}"
    cookie = {"Cookie": f"consent-session={official.session}"}
    page = steps.send("consent_page", "GET", here, _HTML | cookie)
    form = {
        "form_token": token_of(page, f"/requests/{name}/approve"),
        "pin": official.pin,
        "otp": code,
    }
    headers = _HTML | cookie | _sent_from(place)
    answer = steps.send(
        "consent_approve",
        "POST",
        f"{here}/approve",
        headers,
        urlencode(form).encode(),
        wanted=(303,),
    )
    return location(answer)


def next_step(official: Official) -> int:
    """The 30-second step of the next code that was not used: this one's, else the coming one's."""
    return max(int(time.time()) // _SECONDS_OF_A_STEP, official.last_step + 1)


def parameter(url: str, name: str) -> str:
    """A parameter of ``url``. Errors: ``CeremonyFailed``: the consent was not taken."""
    found = parse_qs(urlsplit(url).query).get(name)
    if found is None:
        raise CeremonyFailed("consent: the browser was sent back without a code")
    return found[0]


def location(answer: Answer) -> str:
    """Where a redirect leads."""
    return answer.headers["location"]


def token_of(page: Answer, path: str) -> str:
    """The token of the form that goes to ``path``."""
    text = page.body.decode("utf-8", "replace")
    place = text.find(f'action="{path}"')
    found = re.search(r'name="form_token" value="([^"]+)"', text[place : place + 2000])
    if place < 0 or found is None:
        raise CeremonyFailed(f"consent_page: no form for {path.rpartition('/')[2]}")
    return found[1]


def _sent_from(place: Place) -> dict[str, str]:
    """What a browser adds to a form."""
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": place.consent,
        "Sec-Fetch-Site": "same-origin",
    }


def _approve_directly(place: Place, official: Official, steps: Steps, name: str, code: str) -> str:
    here = f"{place.issuer}/consent/v1/requests/{name}"
    headers = {"Authorization": f"Bearer {official.session}", "Content-Type": "application/json"}
    steps.send("consent_request", "GET", here, headers)
    body = json.dumps({"pin": official.pin, "otp": code}).encode()
    answer = steps.send("consent_approve", "POST", f"{here}/approve", headers, body)
    return str(json.loads(answer.body)["redirect_to"])
