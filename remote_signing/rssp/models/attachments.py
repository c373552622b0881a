"""Documents that portals attach to requests; their bytes are in files."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)

from remote_signing.rssp.models.foundation import Identifier, metadata

attachment = Table(
    "attachment",
    metadata,
    Column("id", Identifier, primary_key=True),  # the name of its file, too
    Column("client_id", Text, ForeignKey("oauth_client.id"), nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("pages", Integer),
    Column("remarks", Text, nullable=False),  # JSON list
    Column("sealing_key", LargeBinary, nullable=False),  # of this file alone
    # What prepareDoc made of it, and the digest algorithm of that; NULL for what came by itself.
    Column("dtbs_r", LargeBinary),
    Column("digest", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("claimed_at", BigInteger),  # when a request last named it
    Column("expires_at", BigInteger, nullable=False, index=True),
    Index("ix_attachment_client_id", "client_id"),
)

# Several signers may be asked about one document.
attachment_use = Table(
    "attachment_use",
    metadata,
    Column("activation_id", Identifier, primary_key=True),
    Column("position", SmallInteger, primary_key=True),  # of the hash
    Column("attachment_id", Identifier, nullable=False, index=True),
)
