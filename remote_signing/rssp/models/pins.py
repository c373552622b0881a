"""Signing PINs that are to be chosen, or that were and whose predecessors are not revoked yet."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text

from remote_signing.rssp.models.foundation import Identifier, metadata

# The registration authority's order that lets an official choose a first PIN with a code.
pin_order = Table(
    "pin_order",
    metadata,
    Column("credential_id", Identifier, ForeignKey("credential.id"), primary_key=True),
    Column("subscriber_id", Identifier, nullable=False),
    Column("signed_order", Text, nullable=False),  # JSON; worth nothing without the code
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# Records whose PIN replaced another one that the SAM is still to be told is gone.
pin_retirement = Table(
    "pin_retirement",
    metadata,
    Column("credential_id", Identifier, ForeignKey("credential.id"), primary_key=True),
    Column("owed_since", BigInteger, nullable=False),  # or tried in vain: the oldest comes first
)
