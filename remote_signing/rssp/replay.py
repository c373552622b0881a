"""What may be seen once only: client assertions, DPoP proofs.

One INSERT decides, so of many racers in many processes exactly one wins. Housekeeping removes a row
when its time is over: what it names is refused as too old from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from remote_signing.errors import ReplayDetected

if TYPE_CHECKING:
    from remote_signing.rssp.db import Database

# SQLAlchemy spells ON CONFLICT per dialect; both databases read this.
_ONCE = text(
    "INSERT INTO replay (digest, expires_at) VALUES (:digest, :expires_at) ON CONFLICT DO NOTHING"
)


def once(database: Database, digest: bytes, expires_at_ms: int) -> None:
    """Pass the first time, ``ReplayDetected`` every other time. One statement."""
    if database.run(_ONCE, {"digest": digest, "expires_at": expires_at_ms}) != 1:
        raise ReplayDetected("seen before")
