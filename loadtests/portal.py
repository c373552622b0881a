"""The portal: an OAuth client that says who it is by key (RFC 7523) and binds tokens (RFC 9449).

Signing an assertion costs the generator some 40 µs, honestly: each is good once, so none can be
prepared without saying when it will be used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.recorder import Answer, Steps
    from loadtests.site import Site

CLIENT = "portal"
REDIRECT = "http://127.0.0.1:1/callback"  # nobody listens: the browser's last step is not taken
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_SIZE = 32
_SECONDS_KEPT = 1800.0
_ES256 = ec.ECDSA(hashes.SHA256())
_OK, _CREATED, _SEE_OTHER = 200, 201, (302, 303)


class Key:
    """An ES256 key with the start of its tokens written once."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        numbers = private.public_key().public_numbers()
        x, y = (b64url(value.to_bytes(_SIZE)) for value in (numbers.x, numbers.y))
        self.jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        self._assertion = _part({"alg": "ES256"})
        self._proof = _part({"alg": "ES256", "typ": "dpop+jwt", "jwk": self.jwk})

    @classmethod
    def read(cls, file: Path) -> Key:
        """The key in the PEM ``file``."""
        private = serialization.load_pem_private_key(file.read_bytes(), None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{file} holds no elliptic-curve key")
        return cls(private)

    def assertion(self, issuer: str) -> str:
        """Who asks, once, within a minute."""
        now = int(time.time())
        claims = {
            "iss": CLIENT,
            "sub": CLIENT,
            "aud": issuer,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
        }
        return self._signed(self._assertion, claims)

    def proof(self, url: str, token: str | None = None) -> str:
        """That we hold the key, for one POST to ``url``."""
        claims: dict[str, Any] = {
            "htm": "POST",
            "htu": url,
            "iat": int(time.time()),
            "jti": secrets.token_urlsafe(16),
        }
        if token is not None:
            claims["ath"] = b64url(hashlib.sha256(token.encode("ascii")).digest())
        return self._signed(self._proof, claims)

    def _signed(self, header: str, claims: dict[str, Any]) -> str:
        text = f"{header}.{_part(claims)}"
        r, s = decode_dss_signature(self._private.sign(text.encode("ascii"), _ES256))
        return f"{text}.{b64url(r.to_bytes(_SIZE) + s.to_bytes(_SIZE))}"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and whether it is bound to the portal's key."""

    value: str
    is_bound: bool


class Portal:
    """Its calls, each one step of a ceremony."""

    def __init__(self, issuer: str, identity: Key, binding: Key | None) -> None:
        self._issuer = issuer
        self._identity = identity
        self._binding = binding
        self._own: tuple[Token, float] | None = None

    def push(self, steps: Steps, details: dict[str, Any], verifier: str) -> str:
        """PAR (RFC 9126): the ``request_uri``."""
        form = {
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "state": secrets.token_urlsafe(8),
            "code_challenge": b64url(hashlib.sha256(verifier.encode("ascii")).digest()),
            "code_challenge_method": "S256",
            "lang": "vi",
            "description": "Quyết định bổ nhiệm",
            "authorization_details": json.dumps([details]),
        }
        answer = self._form(steps, "par", "pushed_authorize", form, (_OK, _CREATED))
        return str(json.loads(answer.body)["request_uri"])

    def browser_url(self, request_uri: str) -> str:
        """Where the portal sends the official's browser."""
        query = urlencode({"client_id": CLIENT, "request_uri": request_uri})
        return f"{self._issuer}/oauth2/authorize?{query}"

    def redeem(self, steps: Steps, code: str, verifier: str) -> Token:
        """The token of scope ``credential`` for the code that the browser brought."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": verifier,
        }
        return self._token(self._form(steps, "token", "token", form))

    def own_token(self, steps: Steps) -> Token:
        """A token for the portal itself (``client_credentials``), kept as long as portals do."""
        if self._own is None or self._own[1] < time.monotonic():
            form = {"grant_type": "client_credentials", "scope": "service"}
            token = self._token(self._form(steps, "service_token", "token", form))
            self._own = token, time.monotonic() + _SECONDS_KEPT
        return self._own[0]

    def call(
        self, steps: Steps, step: str, method: str, members: dict[str, Any], token: Token | None
    ) -> dict[str, Any]:
        """A method of CSC API v2."""
        url = f"{self._issuer}/csc/v2/{method}"
        body = json.dumps(members).encode()
        headers = _JSON | (self._authorization(url, token) if token else {})
        answer = steps.send(step, "POST", url, headers, body, wanted=(200, 202))
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def _authorization(self, url: str, token: Token) -> dict[str, str]:
        if not token.is_bound or self._binding is None:
            return {"Authorization": f"Bearer {token.value}"}
        shown = self._binding.proof(url, token.value)
        return {"Authorization": f"DPoP {token.value}", "DPoP": shown}

    def _form(
        self,
        steps: Steps,
        step: str,
        endpoint: str,
        form: dict[str, str],
        wanted: tuple[int, ...] = (200,),
    ) -> Answer:
        url = f"{self._issuer}/oauth2/{endpoint}"
        given = {
            **form,
            "client_id": CLIENT,
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._identity.assertion(self._issuer),
        }
        headers = _FORM if self._binding is None else _FORM | {"DPoP": self._binding.proof(url)}
        return steps.send(step, "POST", url, headers, urlencode(given).encode(), wanted=wanted)

    def _token(self, answer: Answer) -> Token:
        members = json.loads(answer.body)
        return Token(members["access_token"], members["token_type"].lower() == "dpop")


def register(site: Site, *, dpop: bool) -> None:
    """Make the portal's keys (files in the site's ``secrets``) and register it."""
    identity = _key_file(site.folder / "secrets" / "portal.pem")
    _key_file(site.folder / "secrets" / "proof.pem")
    jwks = site.config / "portal-jwks.json"
    member = {**Key.read(identity).jwk, "use": "sig", "alg": "ES256"}
    jwks.write_text(json.dumps({"keys": [member]}), encoding="utf-8")
    known = () if site.is_new else site.command.json("client", "list")
    verb = "update" if CLIENT in {each["client_id"] for each in known} else "add"
    grants = [
        part
        for name in ("authorization_code", "client_credentials", "refresh_token")
        for part in ("--grant", name)
    ]
    site.command.run(
        *("client", verb, CLIENT, "--name", "Cổng dịch vụ công", "--jwks", str(jwks)),
        *("--redirect-uri", REDIRECT, "--agency", "*", *grants),
        "--dpop" if dpop else "--no-dpop",
    )


def b64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _part(members: dict[str, Any]) -> str:
    return b64url(json.dumps(members, separators=(",", ":")).encode())


def _key_file(file: Path) -> Path:
    if not file.exists():
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(pem)
    return file
