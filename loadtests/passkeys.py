"""Passkeys for officials, enrolled over the consent API with PIN and code, as people do."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from loadtests import official_browser as browser
from loadtests import passkey_browser
from loadtests.plain_engine import PlainHttp
from loadtests.recorder import Recorder, Steps

if TYPE_CHECKING:
    from loadtests.people import Official

_AT_ONCE = 4


def enrol(issuer: str, origin: str, officials: list[Official]) -> None:
    """A passkey for each who has none."""

    def one(official: Official) -> None:
        http = PlainHttp()
        _enrol(Steps(http, Recorder(0, 0)), issuer, origin, official)
        http.close()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, [each for each in officials if "passkey" not in each.extra]))


def _enrol(steps: Steps, issuer: str, origin: str, official: Official) -> None:
    here = f"{issuer}/consent/v1/passkeys"
    headers = {
        "Authorization": f"Bearer {official.session}",
        "Content-Type": "application/json",
    }
    wanted = json.dumps({"credential_id": official.credential_id}).encode()
    beginning = steps.send("passkey_begin", "POST", f"{here}/options", headers, wanted)
    passkey = passkey_browser.new_passkey()
    proof = {"pin": official.pin, "otp": official.code(browser.next_step(official))}
    members = {
        "credential_id": official.credential_id,
        "passkey": passkey_browser.made(json.loads(beginning.body), passkey, origin),
        "name": "Điện thoại",
        "proof": proof,
    }
    body = json.dumps(members).encode()
    steps.send("passkey_bind", "POST", here, headers, body, wanted=(201,))
    official.extra["passkey"] = passkey
