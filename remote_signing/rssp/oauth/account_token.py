"""``account_token``: which signer a client means (CSC API v2.2 cl. 8.2.2, v1 cl. 8.3.2).

A JWT that the client signs with HS256, the key being the SHA-256 of its client secret. It
authenticates nobody: it narrows who may answer the request down to one signer, who signs in and
consents as ever. So that the register keeps nothing but the digest of a secret, a reader of the
register could make such tokens, and would gain a question addressed to somebody.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from remote_signing import strict_json
from remote_signing.errors import InvalidInput, ReplayDetected
from remote_signing.rssp import jose, replay, subscribers
from remote_signing.rssp.oauth.errors import OAuthRefused, invalid
from remote_signing.rssp.replay import Mark

if TYPE_CHECKING:
    from remote_signing.rssp.clients import Client
    from remote_signing.rssp.deps import Services
    from remote_signing.strict_json import JsonValue

LONGEST_LIFE_MS: Final = 300_000
FUTURE_MS: Final = 30_000
_LONGEST_ID = 255


def subject(services: Services, client: Client, text: str | None) -> str | None:
    """The signer's id, None without a token. Two statements.

    It is good once and for five minutes after ``iat``. Errors: :class:`OAuthRefused`.
    """
    if text is None:
        return None
    try:
        return _subject(services, client, text)
    except (InvalidInput, ReplayDetected) as error:
        raise _refused() from error


def _subject(services: Services, client: Client, text: str) -> str:
    if client.secret_hash is None:
        raise InvalidInput("a client without a secret has no key for it")
    claims = jose.symmetric_claims(text, client.secret_hash)
    now = services.now_ms()
    issued = jose.time_claim(claims, "iat")
    if issued is None or not now - LONGEST_LIFE_MS <= issued <= now + FUTURE_MS:
        raise InvalidInput("iat is missing, too old or in the future")
    if claims.get("azp") != client.client_id:
        raise InvalidInput("made by another client")
    once = _once(client, claims.get("jti"))
    replay.once(services.database, Mark(once, issued + LONGEST_LIFE_MS + FUTURE_MS))
    name = claims.get("sub")
    found = subscribers.get(services.database, name) if isinstance(name, str) else None
    if found is None or found.state != "active":
        raise InvalidInput("sub is no signer here")
    return found.id


def _once(client: Client, jti: JsonValue) -> bytes:
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_ID:
        raise InvalidInput("jti is missing or too long")
    name = strict_json.canonical(["account_token", client.client_id, jti])
    return hashlib.sha256(name).digest()


def _refused() -> OAuthRefused:
    return invalid("account_token")
