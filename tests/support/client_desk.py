"""A portal's programmer with the client in Python, and the service behind a relay."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from remote_signing import client as csc
from remote_signing.client.keys import EcKey
from remote_signing.rssp import audit, clients, service_authorization
from remote_signing.rssp.config import ProxyConfig
from tests.support.documents import DocumentPortal
from tests.support.relay import Relay, relay
from tests.support.served import served
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder
    from tests.support.world import World

BACK = "https://portal.example/back"
DIGEST = hashlib.sha256(b"x").digest()
TLS = ssl.create_default_context()  # one for all: reading the roots takes time
QUICK = csc.Retry(first=0.02, longest=0.1)
"""No test waits for a person; ``early`` needs longer than this, and says so."""


@dataclass
class Desk:
    """``options`` are what every client is made with: a client with two keys, unless changed."""

    world: World
    relay: Relay
    key: EcKey = field(default_factory=EcKey.generate)
    proof_key: EcKey = field(default_factory=EcKey.generate)

    @property
    def service(self) -> csc.Service:
        return csc.Service(self.relay.url)

    @property
    def options(self) -> dict[str, Any]:
        identity = csc.PrivateKeyJwt("python", self.key)
        return {
            "identity": identity,
            "proof_key": self.proof_key,
            "retry": QUICK,
            "verify": TLS,
        }

    def client(self, **changes: Any) -> csc.SigningClient:
        self.clock_is_right()
        return csc.SigningClient(self.service, **(self.options | changes))

    def asynchronous(self, **changes: Any) -> csc.AsyncSigningClient:
        return csc.AsyncSigningClient(self.service, **(self.options | changes))

    def register(self, client_id: str, **members: Any) -> str:
        """Another client; its secret, if it has one."""
        new = clients.NewClient(
            client_id=client_id,
            name="Cổng Python",
            redirect_uris=(BACK,),
            grant_types=clients.GRANT_TYPES,
            agencies=(self.world.agency_id,),
            **members,
        )
        return clients.register(self.world.database, self.world.clock, new) or ""

    def clock_is_right(self) -> None:
        """The service's clock stands still in tests; what clients prove has the machine's time."""
        self.world.clock.advance(time.time() - self.world.clock.now_ms() / 1000)

    def consent(self, pushed: csc.Pushed) -> str:
        """The signer agrees; where his browser comes back to."""
        return self.came_back(pushed.browser_url)

    def came_back(self, browser_url: str) -> str:
        """The signer's browser: opens the page, agrees, comes back to this address."""
        self.clock_is_right()
        page = httpx.get(browser_url, trust_env=False)
        kind, _, name = page.headers["location"].rpartition("/")
        if kind.endswith("services"):
            return service_authorization.approve(self.world.services, self.world.session, name)
        return self.world.approve(name).redirect_to or ""

    def wanted(self, *digests: bytes) -> csc.ConsentRequest:
        """The consent that a portal asks for."""
        documents = tuple(csc.ToSign(each, "quyết định.pdf") for each in digests or (DIGEST,))
        return csc.ConsentRequest(self.world.credential_id, documents, BACK, "Ký ban hành")

    def order(self, *digests: bytes, **changes: Any) -> csc.HashOrder:
        """``signHash`` for the same."""
        order = csc.HashOrder(self.world.credential_id, digests or (DIGEST,), csc.ECDSA_SHA256)
        return replace(order, **changes)

    def token(self, client: csc.SigningClient, *digests: bytes) -> csc.Token:
        """A token of scope ``credential``, after the signer's consent."""
        pushed = client.ask_consent(self.wanted(*digests))
        return client.redeem(pushed, self.consent(pushed))

    @property
    def certificate(self) -> bytes:
        """The credential's, in DER."""
        with self.client() as client:
            shown = client.credential_info(client.service_token(), self.world.credential_id)
        return shown.certificates[0]

    def recorded(self) -> Counter[str]:
        """How often the credential's records tell of each kind of event."""
        rows = audit.events(self.world.database, credential_id=self.world.credential_id)
        return Counter(row.kind for row in rows)


@contextmanager
def desk(
    sam_factory: Callable[..., RunningSam], sqlite_folder: SqliteFolder
) -> Iterator[tuple[Desk, DocumentPortal]]:
    """One for a module: a real SAM, the whole service on a socket, the relay before it."""
    with relay() as between, new_world(sqlite_folder) as world:
        pinned = {world.authority.key_id: world.authority.public_key}
        world.join(sam_factory(workers=1, pinned=pinned).client())
        config = world.services.config
        urls = replace(config.urls, issuer=between.url)
        proxy = ProxyConfig(trusted=("127.0.0.1",))
        world.services = replace(world.services, config=replace(config, urls=urls, proxy=proxy))
        portal = DocumentPortal.at(world)
        made = Desk(world, between)
        jwks = {"keys": [dict(made.key.public_jwk)]}
        made.register("python", auth_method="private_key_jwt", jwks=jwks, dpop_required=True)
        with served(lambda _address: portal.app) as address:
            between.upstream = address
            yield made, portal
        portal.close()
