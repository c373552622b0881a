"""Which browsers are told that something waits, and whether they are to be told now."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, text

from remote_signing.rssp.models.foundation import Identifier, metadata

# A trigger on signature_activation sets due_at in the statement that makes a request which comes
# by itself; one on login_session removes the row with the session that it was made in.
push_subscription = Table(
    "push_subscription",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("subscriber_id", Identifier, ForeignKey("subscriber.id"), nullable=False, index=True),
    # No foreign key: rows of sessions are removed long before a subscription ends.
    Column("session_id", Identifier, nullable=False, index=True),
    Column("endpoint", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    # Requests since it was made: whether one came while a message was on its way.
    Column("wanted", Integer, nullable=False, server_default="0"),
    # When a worker may take it up; NULL: nothing to tell.
    Column("due_at", BigInteger),
    Column("not_before", BigInteger, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),
)
_DUE = text("due_at IS NOT NULL")
Index(
    "ix_push_subscription_due",
    push_subscription.c.due_at,
    sqlite_where=_DUE,
    postgresql_where=_DUE,
)
