"""What a browser is asked to have signed to sign in, or to make a passkey for that. Each is once.

A challenge is a ticket written as text, of which the database keeps the hash: whoever copies the
table cannot answer in advance, and an answer that was given once opens nothing a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, update

from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp.models import sign_in_challenge

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services

LIFETIME_MS = 5 * 60 * 1000
_ROW = sign_in_challenge.c


def issue(services: Services, subscriber_id: str | None = None) -> bytes:
    """A fresh challenge, for that signer's new passkey or for whoever signs in. One statement."""
    now = services.now_ms()
    ticket = Ticket.issue(new_id(now))
    values = {
        "id": ticket.row_id,
        "secret_hash": ticket.secret_hash,
        "subscriber_id": subscriber_id,
        "expires_at": now + LIFETIME_MS,
    }
    services.database.run(insert(sign_in_challenge), values)
    return str(ticket).encode("ascii")


def consume(services: Services, challenge: bytes, subscriber_id: str | None = None) -> bool:
    """Use a challenge up; False when it is none of these, used, or too old. One statement."""
    ticket = Ticket.parse(challenge.decode("ascii", "replace"))
    if ticket is None:
        return False
    now = services.now_ms()
    statement = (
        update(sign_in_challenge)
        .where(
            _ROW.id == ticket.row_id,
            _ROW.secret_hash == ticket.secret_hash,
            _ROW.subscriber_id.is_(None)
            if subscriber_id is None
            else _ROW.subscriber_id == subscriber_id,
            _ROW.used_at.is_(None),
            _ROW.expires_at > now,
        )
        .values(used_at=now)
        .returning(_ROW.id)
    )
    return services.database.one(statement) is not None


def prune(services: Services) -> int:
    """Remove those whose time is over; how many. One statement."""
    with services.database.transaction() as connection:
        over = delete(sign_in_challenge).where(_ROW.expires_at <= services.now_ms())
        return connection.execute(over).rowcount
