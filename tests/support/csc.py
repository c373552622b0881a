"""A portal at the CSC API: an application around a world, and the tokens to call it with."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from remote_signing.identifiers import new_id
from remote_signing.rssp import clients, service_tokens
from remote_signing.rssp.config import CscConfig
from remote_signing.rssp.csc.v1 import routes as v1
from remote_signing.rssp.csc.v2 import routes as v2
from remote_signing.rssp.edge.middleware import install
from remote_signing.rssp.oauth import routes as oauth
from remote_signing.rssp.service_tokens import Holder
from tests.support.asgi import call
from tests.support.world import ECDSA_SHA256, PORTAL, SHA256, digest

if TYPE_CHECKING:
    import httpx

    from remote_signing.rssp.deps import Services
    from tests.support.world import World

DOCUMENT = "quyết định.pdf"
LOGIN = "direct"
"""The client of those who sign in with a password."""


def application(services: Services) -> FastAPI:
    """The CSC API with the authorization server and the edge, nothing else."""
    app = FastAPI(openapi_url=None)
    app.state.services = services
    app.include_router(oauth.router)
    app.include_router(v1.router)
    app.include_router(v2.router)
    install(app)
    return app


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass
class CscPortal:
    """``post`` takes the token to present; the default is the signer's service token."""

    world: World
    app: FastAPI
    version: str = "v2"

    @classmethod
    def at(cls, world: World, version: str = "v2", **csc: Any) -> CscPortal:
        """With logins, and what else ``csc`` says (the configuration's table of that name)."""
        settings = CscConfig(**({"login_client": LOGIN} | csc))
        config = replace(world.services.config, csc=settings)
        world.services = replace(world.services, config=config)
        if world.services.clients.get(LOGIN) is None:
            new = clients.NewClient(
                client_id=LOGIN,
                name="Truy cập trực tiếp",
                auth_method="client_secret_basic",
                grant_types=("client_credentials",),
            )
            clients.register(world.database, world.clock, new)
            world.clock.advance(5)  # the directory keeps for so long that there was none
        return cls(world, application(world.services), version)

    def at_version(self, version: str) -> CscPortal:
        """The same portal, speaking another version."""
        return replace(self, version=version)

    def post(
        self, method: str, body: object = None, token: str = "", **options: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.user_token()}"}
        return self.raw("POST", method, json=body or {}, headers=headers, **options)

    def raw(self, http_method: str, method: str, **options: Any) -> httpx.Response:
        return call(self.app, http_method, f"/csc/{self.version}/{method}", **options)

    def user_token(self, **changes: Any) -> str:
        """A service token of the signer."""
        services = self.world.services
        given: dict[str, Any] = {"client_id": PORTAL, "subscriber_id": self.world.subscriber_id}
        family = new_id(self.world.clock.now_ms())
        with self.world.database.transaction() as connection:
            holder = Holder(**(given | changes))
            issued = service_tokens.issue_family(
                services, connection, holder, family, refresh=False
            )
        return issued.access

    def client_token(self, client_id: str = PORTAL) -> str:
        """A token of client_credentials."""
        return service_tokens.issue_to_client(self.world.services, Holder(client_id)).access

    def credential_token(self, *documents: str) -> str:
        """A token of scope credential, after the signer's consent."""
        self.signer_is_ready()
        return str(self.world.token(*(documents or (DOCUMENT,))))

    def sad(self, *documents: str) -> str:
        """A SAD, by credentials/authorize and the signer's consent."""
        self.signer_is_ready()
        asked = self.post("credentials/authorize", self.authorize_body(*documents))
        assert asked.status_code == 202, asked.text
        handle = asked.json()["handle"]
        self.world.approve(handle.partition(".")[0])
        given = self.post("credentials/authorizeCheck", {"handle": handle})
        assert given.status_code == 200, given.text
        return str(given.json()["SAD"])

    def signer_is_ready(self) -> None:
        """Signed in, with a code that was not used."""
        self.world.next_step()
        self.world.session = self.world.new_session()

    def authorize_body(self, *documents: str, **changes: Any) -> dict[str, Any]:
        names = documents or (DOCUMENT,)
        body: dict[str, Any] = {
            "credentialID": self.world.credential_id,
            "numSignatures": len(names),
            "hashes": [b64(digest(name)) for name in names],
            "hashAlgorithmOID": SHA256,
        }
        return body | changes

    def sign_body(self, *documents: str, **changes: Any) -> dict[str, Any]:
        names = documents or (DOCUMENT,)
        body: dict[str, Any] = {
            "credentialID": self.world.credential_id,
            "hashes": [b64(digest(name)) for name in names],
            "signAlgo": ECDSA_SHA256,
        }
        return body | changes
