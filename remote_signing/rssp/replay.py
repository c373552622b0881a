"""What may be seen once only: client assertions, DPoP proofs.

One INSERT decides, so of many racers in many processes exactly one wins. Housekeeping removes a row
when its time is over: what it names is refused as too old from then on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from remote_signing.errors import AccessRefused, ReplayDetected

if TYPE_CHECKING:
    from remote_signing.rssp.db import Database

# SQLAlchemy spells ON CONFLICT per dialect; both databases read this.
_ONCE = text(
    "INSERT INTO replay (digest, expires_at) VALUES (:digest, :expires_at) ON CONFLICT DO NOTHING"
)

_TOKEN = {
    "service": """
        SELECT 1 FROM access_token
        WHERE id = :row_id AND secret_hash = :secret_hash AND jkt = :jkt
    """,
    "credential": """
        SELECT 1 FROM signature_activation
        WHERE id = :row_id AND token_secret = :secret_hash AND token_jkt = :jkt
            AND channel = 'oauth'
    """,
}
_IS_KNOWN = {scope: text(token) for scope, token in _TOKEN.items()}
_ONCE_FOR_TOKEN = {
    scope: text(
        """
        INSERT INTO replay (digest, expires_at)
        SELECT :digest, :expires_at WHERE EXISTS (<token>) ON CONFLICT DO NOTHING
        """.replace("<token>", token)
    )
    for scope, token in _TOKEN.items()
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A token that a proof says it belongs to: ``scope``, its ticket, the key of the proof."""

    scope: str
    row_id: str
    secret_hash: bytes
    jkt: str


def once(database: Database, digest: bytes, expires_at_ms: int) -> None:
    """Pass the first time, ``ReplayDetected`` every other time. One statement."""
    if database.run(_ONCE, {"digest": digest, "expires_at": expires_at_ms}) != 1:
        raise ReplayDetected("seen before")


def once_for_token(database: Database, token: Bound, digest: bytes, expires_at_ms: int) -> None:
    """As :func:`once`, but only for a token that is there: a stranger's proof leaves no row.

    One statement, a second one for the reason of a refusal. Errors: ``ReplayDetected``;
    ``AccessRefused``: no such token, or another key.
    """
    named = asdict(token)
    scope = named.pop("scope")
    values = named | {"digest": digest, "expires_at": expires_at_ms}
    if database.run(_ONCE_FOR_TOKEN[scope], values) == 1:
        return
    if database.one(_IS_KNOWN[scope], named) is None:
        raise AccessRefused("unknown token, or another key")
    raise ReplayDetected("seen before")
