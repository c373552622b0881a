"""What may be seen once only: client assertions, DPoP proofs.

One INSERT decides, so of many racers in many processes exactly one wins. Housekeeping removes a row
when its time is over: what it names is refused as too old from then on.

On PostgreSQL the row does not wait for the disk: whatever the request does after it is committed
after it, and waits for both (docs/decisions/0025-a-proof-need-not-wait-for-the-disk.md).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from remote_signing.errors import AccessRefused, ReplayDetected
from remote_signing.rssp.commits import SETTING

if TYPE_CHECKING:
    from remote_signing.rssp.db import Database

_ONCE = "INSERT INTO replay (digest, expires_at) VALUES (:digest, :expires_at)"
# The second is written where the first is new only: whom that one does not let in leaves no row.
_BOTH = """
    INSERT INTO replay (digest, expires_at) VALUES
        (:first, :first_until),
        (
            CASE WHEN EXISTS (SELECT 1 FROM replay WHERE digest = :first)
                THEN :first ELSE :second END,
            :second_until
        )
"""

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
    scope: f"""
        INSERT INTO replay (digest, expires_at)
        SELECT :digest, :expires_at WHERE EXISTS ({token})
    """
    for scope, token in _TOKEN.items()
}
# The answer names what was new. The setting is of this statement alone, which is a transaction of
# its own, and is made where there is a row to commit. SQLAlchemy spells ON CONFLICT per dialect;
# both databases read this.
_NEW = {
    "sqlite": "ON CONFLICT DO NOTHING RETURNING digest",
    "postgresql": f"ON CONFLICT DO NOTHING RETURNING digest, {SETTING}",
}
_INSERTS = {"once": _ONCE, "both": _BOTH, **_ONCE_FOR_TOKEN}
_STATEMENTS = {
    (dialect, name): text(f"{insert} {new}")
    for dialect, new in _NEW.items()
    for name, insert in _INSERTS.items()
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
    if not _new(database, "once", {"digest": mark.digest, "expires_at": mark.expires_at_ms}):
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
    new = _new(database, "both", values)
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
    if _new(database, scope, values):
        return
    if database.one(_IS_KNOWN[scope], named) is None:
        raise AccessRefused("unknown token, or another key")
    raise ReplayDetected("seen before")


def _new(database: Database, name: str, values: dict[str, object]) -> set[bytes]:
    """Which digests were not there yet. One statement."""
    rows = database.all(_STATEMENTS[database.dialect, name], values)
    return {bytes(row.digest) for row in rows}
