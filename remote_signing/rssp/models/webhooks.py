"""Where clients are told of answers, with which secrets, and what is still to be told."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from remote_signing.rssp.models.foundation import Identifier, metadata

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("client_id", Text, ForeignKey("oauth_client.id"), primary_key=True),
    Column("url", Text, nullable=False),
    # While a receiver fails, all its messages wait: one that hangs must not hold the workers up.
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("paused_until", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
)

# One or two of each client. Sealed under a key that the database does not hold.
webhook_secret = Table(
    "webhook_secret",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("client_id", Text, ForeignKey("webhook_endpoint.client_id"), nullable=False, index=True),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# Written by a trigger on signature_activation, in the statement that answers a request.
webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("id", Text, primary_key=True),  # webhook-id: <activation>_<number of its event>
    Column("client_id", Text, nullable=False),
    Column("activation_id", Identifier, nullable=False),
    Column("outcome", Text, nullable=False),  # the activation's state
    Column("denial", Text),  # as signature_activation.denial
    Column("happened_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # WAITING | DELIVERED | DEAD
    # When a worker may take it up; NULL: nothing to do.
    Column("due_at", BigInteger),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("cause", Text),  # why the last try failed
    Column("settled_at", BigInteger),
)
_DUE = text("due_at IS NOT NULL")
DEAD = text("state = 'DEAD'")
DELIVERED = text("state = 'DELIVERED'")
for _name, _columns, _rows in (
    ("ix_webhook_delivery_due", ("due_at",), _DUE),
    ("ix_webhook_delivery_dead", ("client_id", "id"), DEAD),
    ("ix_webhook_delivery_delivered", ("settled_at",), DELIVERED),
):
    Index(
        _name,
        *(webhook_delivery.c[_column] for _column in _columns),
        sqlite_where=_rows,
        postgresql_where=_rows,
    )
