"""ID tokens (OpenID Connect Core cl. 2, 3.1.3.7): who the provider says has signed in just now."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from authlib.oidc.core import CodeIDToken
from joserfc.errors import JoseError

from remote_signing.errors import InvalidInput, OpenidMisbehaved
from remote_signing.rssp import jose

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.rssp.openid_config import OpenidConfig
    from remote_signing.strict_json import JsonValue

_LEEWAY: Final = 60  # seconds between two clocks
_OLDEST: Final = 600  # a token of a sign-in that lasted longer than our own transaction
_LONGEST_SUBJECT: Final = 255


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must be about: our nonce, and the access token that came along."""

    nonce: str = field(repr=False)
    access_token: str | None = field(repr=False)
    now_ms: int


def subject_of(
    text: str,
    config: OpenidConfig,
    expected: Expected,
    signer: Callable[[jose.Jws], jose.PublicKey | None],
) -> str:
    """The configured claim of a valid ID token; ``OpenidMisbehaved`` for any other text.

    ``signer`` finds the provider's key that has signed it. An algorithm that is not configured is
    refused before any key is looked at, so a public key is never taken for a secret.
    """
    try:
        token = jose.parse(text, algorithms=config.algorithms)
        if signer(token) is None:
            raise OpenidMisbehaved("ID token: not signed by a key of the provider")
        _check(token, config, expected)
    except (InvalidInput, JoseError) as error:
        raise OpenidMisbehaved(f"ID token: {error}") from error
    value = token.claims.get(config.claim)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_SUBJECT:
        raise OpenidMisbehaved(f"ID token: {config.claim} names nobody")
    return value


def _check(token: jose.Jws, config: OpenidConfig, expected: Expected) -> None:
    claims, now = token.claims, expected.now_ms // 1000
    options = {
        "iss": {"essential": True, "value": config.issuer},
        "aud": {"essential": True, "value": config.client_id},
    }
    params = {
        "client_id": config.client_id,
        "nonce": expected.nonce,
        "access_token": expected.access_token,
    }
    _check_shapes(claims, config.client_id)
    CodeIDToken(claims, token.header, options, params).validate(now, _LEEWAY)
    # What the library leaves open.
    if not hmac.compare_digest(cast("str", claims["nonce"]).encode(), expected.nonce.encode()):
        raise OpenidMisbehaved("ID token: nonce")
    _check_times(claims, config, now)
    if config.acr_values and claims.get("acr") not in config.acr_values:
        raise OpenidMisbehaved("ID token: the level of assurance is not one that is taken")


def _check_shapes(claims: dict[str, JsonValue], client_id: str) -> None:
    texts = ("iss", "sub", "nonce")
    if not all(isinstance(claims.get(name), str) for name in texts):
        raise OpenidMisbehaved("ID token: iss, sub or nonce is no text")
    # Other audiences could use the token at our door; we trust none of them.
    if claims.get("aud") not in (client_id, [client_id]):
        raise OpenidMisbehaved("ID token: for another audience, or for others besides")


def _check_times(claims: dict[str, JsonValue], config: OpenidConfig, now: int) -> None:
    times = {name: jose.time_claim(claims, name) for name in ("iat", "exp", "nbf", "auth_time")}
    issued, ends = times["iat"], times["exp"]
    if issued is None or ends is None or ends <= issued:
        raise OpenidMisbehaved("ID token: iat or exp")
    if not now - _OLDEST <= issued // 1000 <= now + _LEEWAY:
        raise OpenidMisbehaved("ID token: of another time")
    if config.max_age is not None:
        asked = times["auth_time"]
        if asked is None or asked // 1000 < now - config.max_age - _LEEWAY:
            raise OpenidMisbehaved("ID token: the person was asked too long ago")
