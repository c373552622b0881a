"""What is good at the moment: tokens, ids, codes. With them an input gets past the first check."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remote_signing.rssp import activation, clients
from tests.support.csc import DOCUMENT
from tests.support.documents import pdf
from tests.support.oauth import BACK, OAuthPortal
from tests.support.world import ECDSA_SHA256, PASSWORD, SHA256, VERIFIER

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.support.csc import CscPortal
    from tests.support.world import World

CLIENT = "input-portal"


@dataclass
class Live:
    """``members``: name on the wire → values that are good for it now."""

    portal: CscPortal
    oauth: OAuthPortal
    app: FastAPI
    members: dict[str, list[Any]] = field(default_factory=dict)
    authorizations: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def at(cls, portal: CscPortal, app: FastAPI) -> Live:
        world = portal.world
        oauth = OAuthPortal.at(
            world,
            CLIENT,
            auth_method="client_secret_post",
            jwks=None,
            scopes=("service", "credential", *clients.RIGHTS),
            par_required=False,
        )
        oauth.app = app
        return cls(portal, oauth, app)

    @property
    def world(self) -> World:
        return self.portal.world

    def renew(self) -> None:
        """Everything anew: what was used up, locked or revoked meanwhile does not count."""
        world = self.world
        world.join(world.services.sam)
        self.oauth.world = world
        world.new_credential(scal="1")
        codes = world.pin, world.otp()
        world.new_credential()
        user = {"client_id": CLIENT}
        token = self.portal.user_token(**user)
        handle = self.portal.post("credentials/authorize", self.portal.authorize_body(), token)
        waiting = world.opened(DOCUMENT, channel=activation.Channel.DECOUPLED)
        pushed = self.oauth.push(self.oauth.credential_request()).json()
        sad = str(world.token(DOCUMENT))
        body = self.portal.sign_body(SAD=sad)
        self.authorizations = self._authorizations(token, sad)
        self.members = {
            "credentialID": [world.credential_id],
            "SAD": [sad],
            "handle": [handle.json()["handle"]],
            "userID": [world.subscriber_id],
            "sub": [world.subscriber_id],
            "hashes": [body["hashes"]],
            "hash": [body["hashes"], body["hashes"][0]],
            "hashAlgorithmOID": [SHA256],
            "hashAlgo": [SHA256],
            "signAlgo": [ECDSA_SHA256],
            "numSignatures": [1, "1"],
            "certificatePolicy": [*world.services.config.policy.certificate_policies],
            "document": [base64.b64encode(b"van ban").decode(), _pdf()],
            "name": [waiting],
            "pin": [world.pin],
            "otp": [world.otp()],
            "username": ["an.nguyen"],
            "password": [PASSWORD],
            "client_id": [CLIENT],
            "client_secret": [self.oauth.secret],
            "redirect_uri": [BACK],
            "request_uri": [pushed["request_uri"]],
            "code_verifier": [VERIFIER],
            "code_challenge": [activation.s256(VERIFIER)],
            "authorization_details": [self.oauth.details()],
            "lang": ["vi", "en"],
            "PIN": [codes[0]],
            "OTP": [codes[1]],
        }

    def _authorizations(self, token: str, sad: str) -> dict[str, list[str]]:
        signer = base64.b64encode(f"an.nguyen:{PASSWORD}".encode()).decode()
        basic = base64.b64encode(f"{CLIENT}:{self.oauth.secret}".encode()).decode()
        tokens = [token, self.portal.client_token(CLIENT), sad]
        return {
            "bearer": [f"Bearer {each}" for each in tokens],
            "session": [f"Bearer {self.world.new_session()}"],
            "password": [f"Basic {signer}"],
            "client": [f"Basic {basic}"],
        }

    def filled(self, value: Any, choose: Any) -> Any:
        """``value`` with good values for members that have some, as far as ``choose`` says."""
        if isinstance(value, list):
            return [self.filled(each, choose) for each in value]
        if not isinstance(value, dict):
            return value
        made = {}
        for name, given in value.items():
            good = self.members.get(name)
            made[name] = choose(given, good) if good else self.filled(given, choose)
        return made


def _pdf() -> str:
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>"
    parts = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[3 0 R]>>", page]
    return base64.b64encode(pdf(parts)).decode()
