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
    path = f"/requests/{name}"
    page = look(place, official, steps, "consent_page", path)
    form = {"pin": official.pin, "otp": code}
    return location(send(place, official, steps, "consent_approve", page, f"{path}/approve", form))


def approve_with_sim(place: Place, official: Official, steps: Steps, name: str) -> str:
    """Have the SIM asked and wait for it, as the page's module does."""
    path = f"/requests/{name}"
    page = look(place, official, steps, "consent_page", path)
    form = {"factor": str(official.extra["sim"])}
    send(place, official, steps, "sim_ask", page, f"{path}/sim/ask", form)
    version, state = 0, "WAITING"
    while state == "WAITING":
        wait = f"{path}/sim/state?version={version}"
        told = json.loads(look(place, official, steps, "sim_wait", wait).body)
        version, state = told["version"], told["state"]
    if state != "APPROVED":
        raise CeremonyFailed(f"sim: {state}")
    here = f"{place.consent}{path}/sim"
    return location(
        steps.send("sim_done", "GET", here, _HTML | cookie_of(official.session), wanted=_REDIRECTS)
    )


def match(place: Place, official: Official, steps: Steps, name: str, code: str) -> None:
    """Pick the code that the portal shows."""
    if not place.has_consent_page:
        url = f"{place.issuer}/consent/v1/requests/{name}/match"
        steps.send("match", "POST", url, _bearer(official), json.dumps({"code": code}).encode())
        return
    path = f"/requests/{name}"
    page = look(place, official, steps, "match_page", path)
    send(place, official, steps, "match", page, f"{path}/match", {"code": code})


def look(place: Place, official: Official, steps: Steps, step: str, path: str) -> Answer:
    """A page of the signed-in official; without a consent page what it would ask the rssp."""
    if place.has_consent_page:
        url = f"{place.consent}{path}"
        return steps.send(step, "GET", url, _HTML | cookie_of(official.session))
    url = f"{place.issuer}/consent/v1{'/requests' if path == '/' else path}"
    return steps.send(step, "GET", url, _bearer(official))


def send(  # noqa: PLR0913, PLR0917 - whose form, on which page, where it goes, what is in it
    place: Place,
    official: Official,
    steps: Steps,
    step: str,
    page: Answer,
    path: str,
    form: dict[str, str],
) -> Answer:
    """Send the form of ``page`` that goes to ``path``."""
    token = {"form_token": token_of(page, path)}
    headers = _HTML | cookie_of(official.session) | sent_from(place)
    body = urlencode(token | form).encode()
    return steps.send(step, "POST", f"{place.consent}{path}", headers, body, wanted=(303,))


def sign_in(place: Place, official: Official, steps: Steps) -> str:
    """With the password; the session."""
    page = steps.send("sign_in_page", "GET", f"{place.consent}/sign-in", _HTML)
    form = {
        "form_token": token_of(page, "/sign-in"),
        "next": "/",
        "username": official.username,
        "password": official.password,
    }
    headers = _HTML | sent_from(place) | {"Cookie": _set_cookie(page, "consent-visitor")}
    answer = steps.send(
        "sign_in",
        "POST",
        f"{place.consent}/sign-in",
        headers,
        urlencode(form).encode(),
        wanted=(303,),
    )
    return _set_cookie(answer, "consent-session").partition("=")[2]


def sign_out(place: Place, steps: Steps, session: str) -> None:
    """From the page that signing in led to."""
    page = steps.send("waiting", "GET", f"{place.consent}/", _HTML | cookie_of(session))
    form = {"form_token": token_of(page, "/sign-out")}
    headers = _HTML | cookie_of(session) | sent_from(place)
    body = urlencode(form).encode()
    steps.send("sign_out", "POST", f"{place.consent}/sign-out", headers, body, wanted=(303,))


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


def sent_from(place: Place) -> dict[str, str]:
    """What a browser adds to a form."""
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": place.consent,
        "Sec-Fetch-Site": "same-origin",
    }


def _approve_directly(place: Place, official: Official, steps: Steps, name: str, code: str) -> str:
    here = f"{place.issuer}/consent/v1/requests/{name}"
    headers = _bearer(official)
    steps.send("consent_page", "GET", here, headers)
    body = json.dumps({"pin": official.pin, "otp": code}).encode()
    answer = steps.send("consent_approve", "POST", f"{here}/approve", headers, body)
    return str(json.loads(answer.body)["redirect_to"])


def cookie_of(session: str) -> dict[str, str]:
    """The header that holds the session."""
    return {"Cookie": f"consent-session={session}"}


def _bearer(official: Official) -> dict[str, str]:
    return {"Authorization": f"Bearer {official.session}", "Content-Type": "application/json"}


def _set_cookie(answer: Answer, name: str) -> str:
    """``name=value`` of a cookie that the answer sets. Errors: ``CeremonyFailed``."""
    found = re.search(rf"{name}=[^;,\s]+", answer.headers.get("set-cookie", ""))
    if found is None:
        raise CeremonyFailed(f"no cookie {name}")
    return found[0]
