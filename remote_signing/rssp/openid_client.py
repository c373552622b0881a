"""The identity provider as its relying party sees it: discovery, keys, PAR and the token endpoint.

What comes from there is a stranger's word until a signature says otherwise: bounded in size and
time, read strictly, no redirect followed. The provider's address is configured; what discovery
names must be as safe (https), but may be on other hosts, as it is with large providers.
"""

from __future__ import annotations

import base64
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

import httpx
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey, RSAKey

from remote_signing import strict_json
from remote_signing.errors import InvalidInput, OpenidAway, OpenidMisbehaved
from remote_signing.rssp import jose
from remote_signing.rssp.config_tables import ConfigInvalid
from remote_signing.rssp.openid_config import is_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from remote_signing.rssp.openid_config import OpenidConfig
    from remote_signing.strict_json import JsonValue

LONGEST_ANSWER: Final = 64 * 1024
_METADATA_SECONDS = 3600.0
_KEYS_SECONDS = 600.0
_ANEW_SECONDS = 30.0  # keys are asked for again no sooner, whatever a token's header says
_ASSERTION_SECONDS = 60
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_OK, _CREATED, _SERVER_ERROR = 200, 201, 500
_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
_ALGORITHM_OF = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """What discovery says (OpenID Connect Discovery 1.0 cl. 3), as far as it is used."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    pushed_endpoint: str | None
    names_issuer: bool  # in each answer (RFC 9207)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gave for a code. Nothing of it is checked yet."""

    id_token: str
    access_token: str | None


class OpenidProvider:
    """One provider. Thread-safe.

    Errors: ``OpenidAway`` when it cannot be reached or is out of order, ``OpenidMisbehaved`` when
    it answers what it must not.
    """

    def __init__(self, config: OpenidConfig, transport: httpx.BaseTransport | None = None) -> None:
        self.config = config
        self._key = None if config.key_file is None else _private_key(config.key_file)
        self._secret = _secret(config.client_secret_file)
        self.subject_key = config.subject_key()
        self._http = httpx.Client(
            timeout=config.timeout,
            verify=ssl.create_default_context(cafile=config.ca),
            transport=transport,
            trust_env=False,
            follow_redirects=False,
        )
        self._lock = threading.Lock()
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, dict[str, JsonValue]] | None = None

    def metadata(self) -> Metadata:
        """What discovery said within the last hour."""
        known = self._metadata
        if known is None or known[0] < time.monotonic() - _METADATA_SECONDS:
            address = f"{self.config.issuer.rstrip('/')}/.well-known/openid-configuration"
            known = time.monotonic(), _metadata(self._get(address), self.config.issuer)
            self._metadata = known
        return known[1]

    def signer(self, token: jose.Jws) -> jose.PublicKey | None:
        """The provider's key that has signed ``token``; None when there is none.

        Keys that it has not published so far are looked for again, now and then.
        """
        found = jose.find_signer(token, self._published(_KEYS_SECONDS))
        return found or jose.find_signer(token, self._published(_ANEW_SECONDS))

    def push(self, request: Mapping[str, str]) -> str:
        """The ``request_uri`` for an authorization request (RFC 9126)."""
        address = cast("str", self.metadata().pushed_endpoint)
        status, answer = self._post(address, {"client_id": self.config.client_id, **request})
        uri = answer.get("request_uri")
        if status != _CREATED or not isinstance(uri, str) or not uri:
            raise OpenidMisbehaved(f"pushed request: {status} {_error(answer)}")
        return uri

    def redeem(self, code: str, verifier: str, redirect_uri: str) -> Tokens:
        """The tokens for a code (RFC 6749 cl. 4.1.3, RFC 7636)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        status, answer = self._post(self.metadata().token_endpoint, form)
        token, access = answer.get("id_token"), answer.get("access_token")
        if status != _OK or not isinstance(token, str):
            raise OpenidMisbehaved(f"token endpoint: {status} {_error(answer)}")
        return Tokens(token, access if isinstance(access, str) else None)

    def public_keys(self) -> dict[str, object]:
        """The key set that the provider is to know us by; empty where a secret does that."""
        if self._key is None:
            return {"keys": []}
        known = {"kid": self._key.thumbprint(), "use": "sig", "alg": _algorithm(self._key)}
        return {"keys": [{**self._key.as_dict(private=False), **known}]}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _published(self, seconds: float) -> dict[str, JsonValue]:
        """The provider's signing keys, asked for within the last ``seconds``."""
        with self._lock:
            known = self._keys
            if known is None or known[0] < time.monotonic() - seconds:
                known = time.monotonic(), _signing_keys(self._get(self.metadata().jwks_uri))
                self._keys = known
            return known[1]

    def _get(self, address: str) -> dict[str, JsonValue]:
        status, answer = self._exchange("GET", address, {"Accept": "application/json"})
        if status != _OK:
            raise OpenidAway(f"{address}: {status}")
        return answer

    def _post(self, address: str, form: Mapping[str, str]) -> tuple[int, dict[str, JsonValue]]:
        headers, more = self._authentication(address)
        return self._exchange("POST", address, headers, {**form, **more})

    def _authentication(self, address: str) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and form members that say who we are (RFC 7523 cl. 2.2, or RFC 6749 cl. 2.3)."""
        config = self.config
        headers = {"Accept": "application/json"}
        if self._key is None:
            pair = f"{quote(config.client_id, safe='')}:{quote(self._secret, safe='')}"
            encoded = base64.b64encode(pair.encode()).decode("ascii")
            return headers | {"Authorization": f"Basic {encoded}"}, {}
        now = int(time.time())
        assertion = private_key_jwt_sign(
            self._key,
            config.client_id,
            config.issuer if config.assertion_audience == "issuer" else address,
            alg=_algorithm(self._key),
            header={"kid": self._key.thumbprint()},
            issued_at=now,
            expires_at=now + _ASSERTION_SECONDS,
        )
        return headers, {
            "client_id": config.client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": assertion,
        }

    def _exchange(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, JsonValue]]:
        """Status and members of the answer, within ``timeout`` as a whole."""
        deadline = time.monotonic() + self.config.timeout
        data = None if form is None else dict(form)
        try:
            with self._http.stream(method, address, headers=dict(headers), data=data) as answer:
                body = _bounded(answer, lambda: time.monotonic() > deadline)
        except httpx.HTTPError as error:
            raise OpenidAway(f"{method} {address}: {error!r}") from error
        if answer.status_code >= _SERVER_ERROR:
            raise OpenidAway(f"{method} {address}: {answer.status_code}")
        try:
            return answer.status_code, strict_json.loads_object(body)
        except InvalidInput as error:
            raise OpenidMisbehaved(f"{method} {address}: {error.cause}") from error


def _bounded(answer: httpx.Response, is_late: Callable[[], bool]) -> bytes:
    body = bytearray()
    # As they come: pieces of a size would be waited for, and the deadline not looked at meanwhile.
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > LONGEST_ANSWER:
            raise OpenidMisbehaved("an answer that is too long")
        if is_late():
            raise OpenidAway("an answer that is too slow")
    return bytes(body)


def _metadata(members: Mapping[str, JsonValue], issuer: str) -> Metadata:
    if members.get("issuer") != issuer:  # Discovery cl. 4.3: exactly
        raise OpenidMisbehaved("discovery names another issuer")
    return Metadata(
        authorization_endpoint=_address(members, "authorization_endpoint"),
        token_endpoint=_address(members, "token_endpoint"),
        jwks_uri=_address(members, "jwks_uri"),
        pushed_endpoint=_address(members, "pushed_authorization_request_endpoint")
        if "pushed_authorization_request_endpoint" in members
        else None,
        names_issuer=members.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(members: Mapping[str, JsonValue], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not is_safe(value) or "#" in value:
        raise OpenidMisbehaved(f"discovery: {name}")
    return value


def _signing_keys(members: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Those of a key set that can check signatures; keys for other uses are no fault."""
    keys = members.get("keys")
    if not isinstance(keys, list):
        raise OpenidMisbehaved("no key set")
    return {"keys": [key for key in keys if _is_signing(key)]}


def _is_signing(key: JsonValue) -> bool:
    if not isinstance(key, dict) or key.get("use", "sig") != "sig":
        return False
    try:
        jose.public_key(key)
    except InvalidInput:
        return False
    return True


def _error(answer: Mapping[str, JsonValue]) -> str:
    return str(answer.get("error"))[:64]


def _private_key(path: Path) -> ECKey | RSAKey:
    """The key in a PEM file; ``ConfigInvalid`` when it is none for signing as we do."""
    pem = path.read_bytes()
    try:
        loaded = load_pem_private_key(pem, password=None)
    except ValueError as error:
        raise ConfigInvalid(f"openid.key_file: {error}") from error
    if isinstance(loaded, EllipticCurvePrivateKey) and loaded.curve.name in _CURVES:
        return ECKey.import_key(pem)
    if isinstance(loaded, RSAPrivateKey):
        return RSAKey.import_key(pem)
    raise ConfigInvalid("openid.key_file: neither EC (P-256, P-384, P-521) nor RSA")


def _algorithm(key: ECKey | RSAKey) -> str:
    return _ALGORITHM_OF[key.curve_name] if isinstance(key, ECKey) else "PS256"


def _secret(path: Path | None) -> str:
    return "" if path is None else path.read_text(encoding="utf-8").strip()
