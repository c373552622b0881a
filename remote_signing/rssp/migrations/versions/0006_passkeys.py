"""Passkeys by the names their owners gave them, and what officials must hear of.

Revises: 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    _passkey()
    _signer_notice()


def _passkey() -> None:
    op.create_table(
        "passkey",
        sa.Column("factor_id", _ID, nullable=False),
        sa.Column("credential_id", _ID, nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("webauthn_id", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("aaguid", sa.Text(), nullable=False),
        sa.Column("is_synced", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("usable_from", sa.BigInteger(), nullable=False),
        sa.Column("dropped_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credential.id"], name="fk_passkey_credential_id"
        ),
        sa.PrimaryKeyConstraint("factor_id", name="pk_passkey"),
        sa.UniqueConstraint("webauthn_id", name="uq_passkey_webauthn_id"),
    )
    op.create_index("ix_passkey_credential_id", "passkey", ["credential_id"])


def _signer_notice() -> None:
    op.create_table(
        "signer_notice",
        sa.Column("id", _ID, nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("credential_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger()),
        sa.Column("told_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_signer_notice"),
    )
    for name, column, rows in (
        ("ix_signer_notice_unseen", "subscriber_id", "seen_at IS NULL"),
        ("ix_signer_notice_untold", "id", "told_at IS NULL"),
    ):
        op.create_index(
            name,
            "signer_notice",
            [column],
            sqlite_where=sa.text(rows),
            postgresql_where=sa.text(rows),
        )
