"""What has been: what was seen once, and the audit table."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from remote_signing.rssp.models.foundation import Identifier, Number, metadata

# What was seen once and must not be seen again: client assertions, DPoP proofs.
replay = Table(
    "replay",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# INSERT-only: triggers refuse UPDATE and DELETE. Ids are copies, not foreign keys: the record
# outlives what it tells of. `sequence` counts the events of one activation without a gap.
# On PostgreSQL each week is a partition, by `at`, and the key is (number, at): audit_partitions.py.
audit_event = Table(
    "audit_event",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("client_id", Text),
    Column("subscriber_id", Identifier),
    Column("credential_id", Identifier),
    Column("activation_id", Identifier),
    Column("sequence", Integer),
    Column("state", Text),  # of the activation after the event
    Column("detail", Text, nullable=False),
    Index("ix_audit_event_activation_id", "activation_id", "number"),
    Index("ix_audit_event_subscriber_id", "subscriber_id", "number"),
    Index("ix_audit_event_at", "at", "number"),
    sqlite_autoincrement=True,
)
