"""Client authentication: RFC 6749 cl. 2.3, RFC 7523 (private_key_jwt), RFC 8705 (mutual TLS).

A client authenticates by the one method it is registered with; anything else it sends is no
substitute. Errors use the CSC API's texts (v2 cl. 8.4.4) where it has one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from remote_signing import strict_json
from remote_signing.errors import InvalidInput, ReplayDetected
from remote_signing.rssp import jose
from remote_signing.rssp.oauth import proof
from remote_signing.rssp.oauth.errors import OAuthRefused, invalid, malformed, missing
from remote_signing.rssp.replay import Mark

if TYPE_CHECKING:
    from remote_signing.rssp.clients import Client
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.jose import Jws
    from remote_signing.rssp.oauth.request import HttpRequest
    from remote_signing.strict_json import JsonValue

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE_MS: Final = 300_000
FUTURE_MS: Final = 30_000  # FAPI 2.0 cl. 5.3.2.1: 10 s must be accepted, 60 s must not
_LONGEST_ID = 255
_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_TYPES = {"jwt", "client-authentication+jwt"}
_CHALLENGE = (("WWW-Authenticate", 'Basic realm="oauth2", charset="UTF-8"'),)


def authenticate(services: Services, request: HttpRequest) -> Client:
    """The client that sends ``request``. Errors: :class:`OAuthRefused`.

    No statement, as the directory is cached, but the row of an assertion in ``replay``; with it
    goes the row of the request's DPoP proof, when that is a good one.
    """
    basic = _basic(request)
    methods = _methods_used(request)
    if len(methods) > 1:
        raise malformed()
    client = _named_client(services, request, basic)
    used = methods[0] if methods else "tls_client_auth"
    if used != client.auth_method:
        raise _unauthenticated(request)
    if used == "private_key_jwt":
        _check_assertion(services, request, client)
    elif used == "tls_client_auth":
        _check_certificate(request, client)
    else:
        _check_secret(request, client, basic)
    request.authenticated = client.client_id
    return client


def _methods_used(request: HttpRequest) -> list[str]:
    found = {
        "client_secret_basic": bool(request.seen.authorization),
        "client_secret_post": request.get("client_secret") is not None,
        "private_key_jwt": bool(request.get("client_assertion"))
        or bool(request.get("client_assertion_type")),
    }
    return [name for name, is_used in found.items() if is_used]


def _basic(request: HttpRequest) -> tuple[str, str] | None:
    """Id and secret of HTTP Basic, each form-encoded before (RFC 6749 cl. 2.3.1)."""
    values = request.seen.authorization
    if not values:
        return None
    match = _BASIC.fullmatch(values[0]) if len(values) == 1 else None
    try:
        text = base64.b64decode(match[1], validate=True).decode("utf-8") if match else ""
        name, _, secret = (unquote_plus(part, errors="strict") for part in text.partition(":"))
    except ValueError:
        name = secret = ""
    if not name or not secret or "\0" in name + secret:
        raise OAuthRefused("invalid_client", "Invalid authorization header", 401, _CHALLENGE)
    return name, secret


def _named_client(
    services: Services, request: HttpRequest, basic: tuple[str, str] | None
) -> Client:
    """The client that the request names, by whatever means; all of them must agree."""
    names = {request.get("client_id"), None if basic is None else basic[0]} - {None}
    if not names and (assertion := request.get("client_assertion")):
        names = {_subject(assertion)} - {None}
    if not names:
        raise missing("client_id")
    name = names.pop()
    client = None if names or name is None else services.clients.get(name)
    if client is None:
        raise _with_challenge(request, invalid("client_id"))
    return client


def _subject(assertion: str) -> str | None:
    """Whom the assertion names; only for looking up whose keys to check it with."""
    try:
        subject = jose.parse(assertion).claims.get("sub")
    except InvalidInput:
        raise _bad_assertion() from None
    return subject if isinstance(subject, str) else None


def _check_secret(request: HttpRequest, client: Client, basic: tuple[str, str] | None) -> None:
    secret = basic[1] if basic is not None else request.get("client_secret")
    if not client.secret_matches(secret or ""):
        raise _with_challenge(request, invalid("client_secret"))


def _check_certificate(request: HttpRequest, client: Client) -> None:
    if request.certificate is None:
        raise _unauthenticated(request)
    if not request.certificate.is_of(client.tls_thumbprint, client.tls_subject):
        raise OAuthRefused("invalid_client", "Invalid client certificate")


def _check_assertion(services: Services, request: HttpRequest, client: Client) -> None:
    """RFC 7523 cl. 3, with FAPI 2.0's audience; the assertion is good once."""
    if request.get("client_assertion_type") != ASSERTION_TYPE:
        raise invalid("client_assertion_type")
    try:
        jws = jose.parse(request.get("client_assertion") or "")
        _check_signature(client, jws)
        expires_at_ms = _check_claims(services, request, client, jws)
        # Signed by the client, though perhaps sent by another: a replay is put on record.
        request.authenticated = client.client_id
        proof.use_up_with(services, request, Mark(_once(client, jws), expires_at_ms + FUTURE_MS))
    except (InvalidInput, ReplayDetected) as error:
        raise _bad_assertion() from error


def _check_signature(client: Client, jws: Jws) -> None:
    kind = jws.header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise InvalidInput("typ of another kind of JWT")
    if jose.find_signer(jws, client.jwks or {}) is None:
        raise InvalidInput("signed by none of the client's keys")


def _check_claims(services: Services, request: HttpRequest, client: Client, jws: Jws) -> int:
    claims, now = jws.claims, services.now_ms()
    if not claims.get("iss") == claims.get("sub") == client.client_id:
        raise InvalidInput("iss and sub must be the client")
    if not _is_audience(claims.get("aud"), services.config.urls.issuer, request.uri, client):
        raise InvalidInput("made for another audience")
    expires = jose.time_claim(claims, "exp")
    if expires is None or not now < expires <= now + LONGEST_LIFE_MS + FUTURE_MS:
        raise InvalidInput("exp is missing, over or too far away")
    issued = jose.time_claim(claims, "iat")
    if issued is not None and not now - LONGEST_LIFE_MS - FUTURE_MS <= issued <= now + FUTURE_MS:
        raise InvalidInput("iat is too old or in the future")
    starts = jose.time_claim(claims, "nbf")
    if starts is not None and starts > now + FUTURE_MS:
        raise InvalidInput("nbf is in the future")
    return expires


def _is_audience(audience: JsonValue, issuer: str, endpoint: str, client: Client) -> bool:
    """The issuer as a string (FAPI 2.0 cl. 5.3.2.1).

    A client registered with ``endpoint_audience`` may name the endpoint, also in a list of one.
    """
    if not client.endpoint_audience:
        return audience == issuer
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    paths = (endpoint.removeprefix(issuer), "/oauth2/token")
    # With a slash more, as some clients join the addresses (docs/csc-divergences.md).
    named = (f"{issuer}{slash}{path}" for path in paths for slash in ("", "/"))
    return audience in (issuer, *named)


def _once(client: Client, jws: Jws) -> bytes:
    jti = jws.claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_ID:
        raise InvalidInput("jti is missing or too long")
    name = strict_json.canonical(["client_assertion", client.client_id, jti])
    return hashlib.sha256(name).digest()


def _bad_assertion() -> OAuthRefused:
    return OAuthRefused("invalid_client", "Invalid parameter client_assertion")


def _unauthenticated(request: HttpRequest) -> OAuthRefused:
    return _with_challenge(
        request, OAuthRefused("invalid_request", "Client authorization required")
    )


def _with_challenge(request: HttpRequest, error: OAuthRefused) -> OAuthRefused:
    """Who tried HTTP Basic is answered 401 (RFC 6749 cl. 5.2); CSC says 400 otherwise."""
    if not request.seen.authorization:
        return error
    return OAuthRefused(str(error.error), str(error.description), 401, _CHALLENGE)
