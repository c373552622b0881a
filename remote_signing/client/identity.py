"""Who asks: client authentication and proof of possession, without saying where keys live.

RFC 6749 cl. 2.3.1 (secret), RFC 7523 (``private_key_jwt``), RFC 8705 (mutual TLS), RFC 9449 (DPoP).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SECONDS = 60


class SigningKey(Protocol):
    """A private key, here (:mod:`.keys`), in an HSM or at a key service."""

    @property
    def algorithm(self) -> str:
        """The name that JWS has for it, such as ``ES256``."""
        ...

    @property
    def public_jwk(self) -> Mapping[str, str]:
        """The public half (RFC 7517), nothing else."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature as JWS has it: for ECDSA r and s one after the other."""
        ...


@dataclass(frozen=True, slots=True)
class Authentication:
    """What a request to the authorization server gets added."""

    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Identity(Protocol):
    """A way to authenticate; ``client_id`` as registered."""

    @property
    def client_id(self) -> str:
        """As registered."""
        ...

    def authenticate(self, issuer: str) -> Authentication:
        """For one request to the authorization server ``issuer``."""
        ...


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """HTTP Basic, or with ``in_form`` the parameter ``client_secret``: as it is registered."""

    client_id: str
    secret: str = field(repr=False)
    in_form: bool = False

    def authenticate(self, issuer: str) -> Authentication:  # noqa: ARG002 - a secret is the same everywhere
        """RFC 6749 cl. 2.3.1: both parts are form-encoded before they are joined."""
        if self.in_form:
            form = {"client_id": self.client_id, "client_secret": self.secret}
            return Authentication(form=form)
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}".encode("ascii")
        header = f"Basic {base64.b64encode(pair).decode('ascii')}"
        return Authentication(headers={"Authorization": header})


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """An assertion signed by a registered key, good once and for a minute."""

    client_id: str
    key: SigningKey
    key_id: str | None = None

    def authenticate(self, issuer: str) -> Authentication:
        """RFC 7523 cl. 2.2, for the audience that FAPI 2.0 wants: the issuer."""
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": issuer,
            "iat": now,
            "exp": now + _SECONDS,
            "jti": secrets.token_urlsafe(16),
        }
        header = {} if self.key_id is None else {"kid": self.key_id}
        form = {
            "client_id": self.client_id,
            "client_assertion_type": _ASSERTION,
            "client_assertion": compact(header, claims, self.key),
        }
        return Authentication(form=form)


@dataclass(frozen=True, slots=True)
class MutualTls:
    """The certificate of the connection says who asks: give the client a TLS context with it."""

    client_id: str

    def authenticate(self, issuer: str) -> Authentication:  # noqa: ARG002 - TLS has said it
        """RFC 8705 cl. 2: the request names the client alone."""
        return Authentication(form={"client_id": self.client_id})


def proof(key: SigningKey, url: str, token: str | None = None) -> str:
    """A DPoP proof for one POST to ``url`` (RFC 9449 cl. 4.2), with ``token`` for that token."""
    claims: dict[str, object] = {
        "htm": "POST",
        "htu": url,
        "iat": int(time.time()),
        "jti": secrets.token_urlsafe(16),
    }
    if token is not None:
        claims["ath"] = b64url(hashlib.sha256(token.encode("ascii")).digest())
    return compact({"typ": "dpop+jwt", "jwk": dict(key.public_jwk)}, claims, key)


def compact(header: Mapping[str, object], claims: Mapping[str, object], key: SigningKey) -> str:
    """A JWS in compact form (RFC 7515 cl. 7.1)."""
    parts = ({"alg": key.algorithm, **header}, claims)
    text = ".".join(b64url(json.dumps(part).encode("utf-8")) for part in parts)
    return f"{text}.{b64url(key.sign(text.encode('ascii')))}"


def b64url(data: bytes) -> str:
    """Base64url without padding, as JOSE and PKCE want it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
