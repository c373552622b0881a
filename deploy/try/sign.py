"""Somebody enrols, a portal asks, the official consents, the portal signs: through the balancer.

Run inside the service's image (try.sh). Each line tells one signature and how long it took; what
fails is told and tried no further, so that the command can be left running while programs are
killed. With no argument it makes one signature; with a number so many, one a second at most.
"""

from __future__ import annotations

import asyncio
import importlib.resources
import sys
import time
from pathlib import Path

import httpx

from remote_signing.client import ClientError
from remote_signing.demo import document, verdict
from remote_signing.demo.official import Official
from remote_signing.demo.portal import Portal
from remote_signing.demo.stage import Addresses, Stage, root_certificate
from remote_signing.demo.state import State
from remote_signing.demo.telling import DemoFailed

RSSP, CONSENT = "https://rssp.example.vn", "https://ky.example.vn"
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


def main(count: int) -> int:
    """Exit status 1 when one of the signatures failed."""
    people = InService()
    content = importlib.resources.files("remote_signing.demo").joinpath("decision.pdf").read_bytes()
    failed = 0
    with Portal(people.addresses) as portal:
        agency, signer = people.enrol()
        people.register_portal(portal.client_id, portal.jwks, agency)
        print("enrolled", signer.credential_id, flush=True)
        for number in range(1, count + 1):
            begin = time.monotonic()
            step = "prepare"
            try:
                credential = portal.credential(signer.subscriber_id)
                prepared = asyncio.run(document.prepare(content, credential, "Ký ban hành"))
                step = "ask"
                asked = portal.ask(signer.credential_id, prepared.dtbs_r, "thu.pdf", "Ký thử")
                step = "consent"
                official = Official(signer, CONSENT)
                official.approve(official.open(asked.browser_url))
                official.close()
                step = "sign"
                signature = portal.sign_hash(portal.credential_token(asked), prepared.order)
                signed = asyncio.run(prepared.embed(signature))
                asyncio.run(verdict.by_pyhanko(signed, root_certificate(Path("/trial"))))
                print(f"{number} signed, pyHanko accepts it, {time.monotonic() - begin:.1f} s", flush=True)
            except (DemoFailed, ClientError, httpx.HTTPError) as error:
                failed += 1
                print(f"{number} {step}: {type(error).__name__} {error}, {time.monotonic() - begin:.1f} s", flush=True)
            time.sleep(1)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
