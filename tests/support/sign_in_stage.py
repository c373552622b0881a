"""A signer at the consent API of a small world, with a device that signs in."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from remote_signing.rssp import consent, consent_account, sign_in_routes
from remote_signing.rssp.edge import middleware
from tests.support.asgi import call
from tests.support.passkeys import Authenticator, b64url
from tests.support.world import PASSWORD, World

if TYPE_CHECKING:
    import httpx

    from remote_signing.identifiers import Ticket

RP_ID, ORIGIN = "consent.example", "https://consent.example"
Body = dict[str, Any]


@dataclass
class SignInStage:
    """``device`` has one passkey, which is not registered yet."""

    world: World
    device: Authenticator = field(default_factory=lambda: Authenticator(rp_id=RP_ID))
    handle: bytes = b""

    def ask(
        self, method: str, path: str, body: Body | None = None, session: Ticket | str | None = None
    ) -> httpx.Response:
        app = FastAPI()
        app.state.services = self.world.services
        for router in (sign_in_routes.router, consent_account.router, consent.router):
            app.include_router(router)
        middleware.install(app)
        headers = {"Authorization": f"Bearer {session or self.world.session}"}
        return call(app, method, f"/consent/v1{path}", headers=headers, json=body)

    def made(self, **changes: Any) -> Body:
        """What the browser makes, for a challenge of its own."""
        begun = self.ask("POST", "/sign-in/passkeys/options", {}).json()
        self.handle = raw(begun["user_handle"])
        made = self.device.make(raw(begun["challenge"]), **({"origin": ORIGIN} | changes))
        return {
            "token": begun["token"],
            "client_data": url(made["client_data"]),
            "attestation_object": url(made["attestation_object"]),
            "transports": made["transports"],
        }

    def add(self, made: Body | None = None, password: str = PASSWORD) -> httpx.Response:
        body = {"passkey": made or self.made(), "name": "Điện thoại", "password": password}
        return self.ask("POST", "/sign-in/passkeys", body)

    def challenge(self) -> bytes:
        return raw(self.ask("POST", "/sign-in/options", {}).json()["challenge"])

    def answered(self, challenge: bytes | None = None, **changes: Any) -> Body:
        """What the passkey answers to a challenge."""
        given = {"origin": ORIGIN, "user_handle": self.handle} | changes
        asked = self.challenge() if challenge is None else challenge
        signature, answer = self.device.answer(asked, **given)
        handle = answer["user_handle"]
        return {
            "credential_id": url(answer["credential_id"]),
            "authenticator_data": url(answer["authenticator_data"]),
            "client_data": url(answer["client_data"]),
            "signature": b64url(signature),
            "user_handle": None if handle is None else url(handle),
        }

    def sign_in(self, answer: Body | None = None) -> httpx.Response:
        return self.ask("POST", "/sign-in", answer or self.answered())


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def url(text: str) -> str:
    return b64url(base64.b64decode(text))
