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
# The second is written where the first is new only: whom that one does not let in leaves no row.
# The answer names what was new.
_BOTH = text(
    """
    INSERT INTO replay (digest, expires_at) VALUES
        (:first, :first_until),
        (
            CASE WHEN EXISTS (SELECT 1 FROM replay WHERE digest = :first)
                THEN :first ELSE :second END,
            :second_until
        )
    ON CONFLICT DO NOTHING RETURNING digest
    """
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
class Mark:
    """What is good once: its name in the table until ``expires_at_ms``, when its time is over."""

    digest: bytes
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Bound:
    """A token that a proof says it belongs to: ``scope``, its ticket, the key of the proof."""

    scope: str
    row_id: str
    secret_hash: bytes
    jkt: str


def once(database: Database, mark: Mark) -> None:
    """Pass the first time, ``ReplayDetected`` every other time. One statement."""
    values = {"digest": mark.digest, "expires_at": mark.expires_at_ms}
    if database.run(_ONCE, values) != 1:
        raise ReplayDetected("seen before")


def once_with(database: Database, first: Mark, second: Mark) -> bool:
    """As :func:`once` for ``first``; whether ``second`` was new, too. One statement for both.

    Errors: ``ReplayDetected``: the first was seen before, and the second is not used up by that.
    """
    values = {
        "first": first.digest,
        "first_until": first.expires_at_ms,
        "second": second.digest,
        "second_until": second.expires_at_ms,
    }
    new = {row.digest for row in database.all(_BOTH, values)}
    if first.digest not in new:
        raise ReplayDetected("seen before")
    return second.digest in new


def once_for_token(database: Database, token: Bound, mark: Mark) -> None:
    """As :func:`once`, but only for a token that is there: a stranger's proof leaves no row.

    One statement, a second one for the reason of a refusal. Errors: ``ReplayDetected``;
    ``AccessRefused``: no such token, or another key.
    """
    named = asdict(token)
    scope = named.pop("scope")
    values = named | {"digest": mark.digest, "expires_at": mark.expires_at_ms}
    if database.run(_ONCE_FOR_TOKEN[scope], values) == 1:
        return
    if database.one(_IS_KNOWN[scope], named) is None:
        raise AccessRefused("unknown token, or another key")
    raise ReplayDetected("seen before")
