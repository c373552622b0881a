"""Signing in with a passkey, and accounts that are opened with a one-time code.

Revises: 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the three tables."""
    _sign_in_passkey()
    _sign_in_challenge()
    _account_code()


def _sign_in_passkey() -> None:
    op.create_table(
        "sign_in_passkey",
        sa.Column("id", _ID, nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("webauthn_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_sign_in_passkey_subscriber_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_passkey"),
        sa.UniqueConstraint("webauthn_id", name="uq_sign_in_passkey_webauthn_id"),
    )
    op.create_index("ix_sign_in_passkey_subscriber_id", "sign_in_passkey", ["subscriber_id"])


def _sign_in_challenge() -> None:
    op.create_table(
        "sign_in_challenge",
        sa.Column("id", _ID, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("subscriber_id", _ID),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_challenge"),
    )
    op.create_index("ix_sign_in_challenge_expires_at", "sign_in_challenge", ["expires_at"])


def _account_code() -> None:
    op.create_table(
        "account_code",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_account_code_subscriber_id"
        ),
        sa.PrimaryKeyConstraint("reference", name="pk_account_code"),
    )
    op.create_index("ix_account_code_subscriber_id", "account_code", ["subscriber_id"])
