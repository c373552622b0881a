"""Somebody enrols, a portal asks, the official consents, the portal signs: through the balancer.

Run inside the service's image (try.sh). Each line tells of one signature and how long it took, or
why there is none: the command can be left running while programs are killed. With a number it
makes so many, one every half minute.
"""

from __future__ import annotations

import asyncio
import importlib.resources
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from remote_signing.client import ClientError
from remote_signing.demo import document, verdict
from remote_signing.demo.official import Official
from remote_signing.demo.portal import Portal
from remote_signing.demo.stage import Addresses, Stage, root_certificate
from remote_signing.demo.state import State
from remote_signing.demo.telling import DemoFailed

if TYPE_CHECKING:
    from remote_signing.demo.stage import Signer

RSSP, CONSENT = "https://rssp.example.vn", "https://ky.example.vn"
STEP, PATIENCE = 30, 120  # seconds: of a one-time code, of ours
PLACE = Path("/tmp/people")  # noqa: S108 - a tmpfs of this container


class InService(Stage):
    """The demo's people, before programs that run elsewhere."""

    def __init__(self) -> None:
        super().__init__(State(PLACE), None)
        self.addresses = Addresses(RSSP, CONSENT, self.addresses.portal_port)
        for folder in (PLACE, self.state.config, self.state.secrets, self.state.signed):
            folder.mkdir(mode=0o700)
        for name in ("rssp.toml", "ra.key", "tls", "secrets"):
            (self.state.config / name).symlink_to(Path("/etc/remote-signing") / name)


def wait_until_ready() -> None:
    """``DemoFailed`` when the balancer has nobody to send us to for two minutes."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if not any(httpx.get(url).is_error for url in (f"{RSSP}/pki/root.crt", CONSENT)):
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)
    raise DemoFailed(f"{RSSP} and {CONSENT} did not get ready")


def sign(portal: Portal, signer: Signer, content: bytes) -> str:
    """One PDF from question to verdict; what pyHanko says of it."""
    credential = portal.credential(signer.subscriber_id)
    prepared = asyncio.run(document.prepare(content, credential, "Ký ban hành"))
    asked = portal.ask(signer.credential_id, prepared.dtbs_r, "thu.pdf", "Ký thử")
    official = Official(signer, CONSENT)
    official.approve(official.open(asked.browser_url))
    official.close()
    signature = portal.sign_hash(portal.credential_token(asked), prepared.order)
    signed = asyncio.run(prepared.embed(signature))
    return asyncio.run(verdict.by_pyhanko(signed, root_certificate(Path("/trial")))).words


def attempt(portal: Portal, signer: Signer, content: bytes) -> bool:
    """Whether it came to a signature; a line that says so, or why not."""
    begin = time.monotonic()
    try:
        told, is_signed = sign(portal, signer, content), True
    except (DemoFailed, ClientError, httpx.HTTPError) as error:
        told, is_signed = f"{type(error).__name__}: {error}", False
    sys.stdout.write(f"{time.monotonic() - begin:6.1f} s  {told}\n")
    sys.stdout.flush()
    return is_signed


def main(count: int) -> int:
    """Exit status 1 when one of the signatures failed."""
    people = InService()
    wait_until_ready()
    content = importlib.resources.files("remote_signing.demo").joinpath("decision.pdf").read_bytes()
    outcomes = []
    with Portal(people.addresses) as portal:
        agency, signer = people.enrol()
        people.register_portal(portal.client_id, portal.jwks, agency)
        for number in range(count):
            if number:
                time.sleep(STEP - time.time() % STEP)  # a one-time code is taken once
            outcomes.append(attempt(portal, signer, content))
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
