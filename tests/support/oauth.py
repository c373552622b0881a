"""A portal at the authorization server: its keys, its assertions and proofs, its requests."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import FastAPI
from joserfc import jws
from joserfc.jwk import ECKey

from remote_signing.rssp import activation, clients, service_authorization
from remote_signing.rssp.edge.middleware import install
from remote_signing.rssp.oauth.client_auth import ASSERTION_TYPE
from remote_signing.rssp.oauth.routes import router
from tests.support.asgi import call
from tests.support.world import SHA256, VERIFIER, digest

if TYPE_CHECKING:
    import httpx

    from remote_signing.rssp.deps import Services
    from tests.support.world import World

Members: TypeAlias = dict[str, Any]

ISSUER = "https://rssp.example"
BACK = "https://portal.example/back"
CHALLENGE = activation.s256(VERIFIER)
DOCUMENT = "quyết định.pdf"


def application(services: Services) -> FastAPI:
    """The authorization server and the edge, nothing else."""
    app = FastAPI(openapi_url=None)
    app.state.services = services
    app.include_router(router)
    install(app)
    return app


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(header: Members, claims: Members | bytes, key: Any) -> str:
    """A JWS that joserfc signs, whatever the header says."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    registry = jws.JWSRegistry(strict_check_header=False, algorithms=[header["alg"]])
    return jws.serialize_compact(header, payload, key, registry=registry)


def new_key() -> ECKey:
    return ECKey.generate_key("P-256", parameters={"kid": secrets.token_hex(4), "use": "sig"})


@dataclass
class OAuthPortal:
    """``auth`` makes the parameters that authenticate a request; replaced by attack."""

    world: World
    app: FastAPI
    client_id: str = "oauth-portal"
    key: ECKey = field(default_factory=new_key)
    dpop_key: ECKey = field(default_factory=new_key)
    secret: str | None = None
    base: str = ""  # "/csc/v1" for the addresses of v1, which has no PAR

    @classmethod
    def at(cls, world: World, client_id: str = "oauth-portal", **changes: Any) -> OAuthPortal:
        """Registered with ``private_key_jwt`` and everything allowed, unless ``changes`` say."""
        portal = cls(world, application(world.services), client_id)
        given: Members = {
            "client_id": client_id,
            "name": "Cổng thử nghiệm",
            "auth_method": "private_key_jwt",
            "jwks": {"keys": [portal.key.as_dict(private=False)]},
            "redirect_uris": (BACK,),
            "grant_types": clients.GRANT_TYPES,
            "agencies": (world.agency_id,),
        }
        new = clients.NewClient(**(given | changes))
        portal.secret = clients.register(world.database, world.clock, new)
        return portal

    def now(self) -> int:
        return self.world.clock.now_ms() // 1000

    def assertion(self, header: Members | None = None, key: Any = None, /, **changes: Any) -> str:
        """A client assertion; a claim given as None is left out."""
        claims: Members = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": ISSUER,
            "iat": self.now(),
            "exp": self.now() + 60,
            "jti": secrets.token_hex(16),
        }
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        return compact(header or {"alg": "ES256", "kid": self.key.kid}, claims, key or self.key)

    def auth(self) -> Members:
        """Parameters that authenticate this client."""
        if self.secret is not None:
            return {"client_id": self.client_id, "client_secret": self.secret}
        return {
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
        }

    def proof(
        self,
        method: str = "POST",
        path: str = "/oauth2/token",
        header: Members | None = None,
        /,
        *,
        token: str | None = None,
        **changes: Any,
    ) -> dict[str, str]:
        """The header with a DPoP proof; a claim given as None is left out."""
        claims: Members = {
            "jti": secrets.token_hex(16),
            "htm": method,
            "htu": f"{ISSUER}{path}",
            "iat": self.now(),
        }
        if token is not None:
            claims["ath"] = b64url(hashlib.sha256(token.encode()).digest())
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        jwk = self.dpop_key.as_dict(private=False)
        default: Members = {"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk}
        return {"DPoP": compact(default | (header or {}), claims, self.dpop_key)}

    def post(self, endpoint: str, form: Members, **options: Any) -> httpx.Response:
        """POST ``form`` as it is."""
        base = "" if endpoint == "pushed_authorize" else self.base
        return call(self.app, "POST", f"{base}/oauth2/{endpoint}", data=form, **options)

    def raw(self, endpoint: str, body: str | bytes, **headers: str) -> httpx.Response:
        """POST the bytes of a form."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return call(self.app, "POST", f"/oauth2/{endpoint}", content=body, headers=form | headers)

    def request(self, **changes: Any) -> Members:
        """The parameters of an authorization request for scope service."""
        given: Members = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": BACK,
            "scope": "service",
            "state": "một trạng thái",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (given | changes).items() if value is not None}

    def details(self, *documents: str, **changes: Any) -> str:
        """authorization_details for the world's credential."""
        names = documents or (DOCUMENT,)
        digests = [
            {"hash": base64.b64encode(digest(name)).decode(), "label": name} for name in names
        ]
        given: Members = {
            "type": "credential",
            "credentialID": self.world.credential_id,
            "documentDigests": digests,
            "hashAlgorithmOID": SHA256,
        }
        members = {name: value for name, value in (given | changes).items() if value is not None}
        return json.dumps([members], ensure_ascii=False)

    def credential_request(self, *documents: str, **changes: Any) -> Members:
        """The parameters of an authorization request for scope credential."""
        details = self.details(*documents)
        return self.request(scope=None, authorization_details=details) | changes

    def push(self, form: Members | None = None, **options: Any) -> httpx.Response:
        """PAR with good authentication."""
        return self.post("pushed_authorize", (form or self.request()) | self.auth(), **options)

    def visit(self, accept: str = "*/*", **query: Any) -> httpx.Response:
        """A browser at the authorization endpoint."""
        return call(
            self.app,
            "GET",
            f"/oauth2/authorize?{urlencode(query)}",
            headers={"Accept": accept},
            follow_redirects=False,
        )

    def consent(self, form: Members | None = None, **options: Any) -> dict[str, str]:
        """Push, open in a browser, let the signer approve; what the client is sent."""
        pushed = self.push(form, **options).json()
        page = self.visit(client_id=self.client_id, request_uri=pushed["request_uri"])
        kind, _, name = page.headers["location"].rpartition("/")
        if kind.endswith("services"):
            to = service_authorization.approve(self.world.services, self.world.session, name)
        else:
            self.world.next_step()
            to = str(self.world.approve(name).redirect_to)
        return parameters_of(to)

    def redemption(self, code: str, **changes: Any) -> Members:
        """The parameters of a token request for ``code``."""
        given: Members = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
        }
        given |= changes
        return {name: value for name, value in given.items() if value is not None}

    def token(self, form: Members, **options: Any) -> httpx.Response:
        """A token request with good authentication."""
        return self.post("token", form | self.auth(), **options)

    def service_tokens(self) -> Members:
        """Access and refresh token of scope service after the signer's consent."""
        members: Members = self.token(self.redemption(self.consent()["code"])).json()
        return members

    def refresh(self, token: str, **options: Any) -> httpx.Response:
        return self.token({"grant_type": "refresh_token", "refresh_token": token}, **options)

    def revoke(self, token: str, **changes: Any) -> httpx.Response:
        return self.post("revoke", {"token": token} | changes | self.auth())


def parameters_of(location: str) -> dict[str, str]:
    """The parameters in a redirect, each once."""
    found = parse_qs(urlsplit(location).query, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}
