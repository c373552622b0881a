"""Signing in by an identity provider.

Revises: 0013.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "openid_subject",
        sa.Column("subject_mac", sa.LargeBinary(), nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_openid_subject_subscriber_id"
        ),
        sa.PrimaryKeyConstraint("subject_mac", name="pk_openid_subject"),
    )
    op.create_index("ix_openid_subject_subscriber_id", "openid_subject", ["subscriber_id"])
    op.create_table(
        "openid_sign_in",
        sa.Column("id", _ID, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("binding_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_openid_sign_in"),
    )
    op.create_index("ix_openid_sign_in_expires_at", "openid_sign_in", ["expires_at"])
