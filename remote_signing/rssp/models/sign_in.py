"""How signers come to a session besides their password: passkeys and one-time codes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, Table, Text

from remote_signing.rssp.models.foundation import Identifier, metadata

# Passkeys that sign in and can do nothing else: no sealed record knows their keys.
sign_in_passkey = Table(
    "sign_in_passkey",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("subscriber_id", Identifier, ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("webauthn_id", LargeBinary, nullable=False, unique=True),  # what browsers know it by
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("counter", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),  # active | dropped
    Column("registered_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
)

# What a browser is asked to have signed, once. NULL: whoever it is that signs in.
sign_in_challenge = Table(
    "sign_in_challenge",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("subscriber_id", Identifier),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
)

# With what a new official, or one who has nothing left, opens the account.
account_code = Table(
    "account_code",
    metadata,
    Column("reference", Text, primary_key=True),  # the code's first part: which one is tried
    Column("secret_hash", LargeBinary, nullable=False),
    Column("subscriber_id", Identifier, ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
)
