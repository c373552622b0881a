"""Signing PINs of the official's choice.

Revises: 0012.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "pin_order",
        sa.Column("credential_id", _ID, nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("signed_order", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credential.id"], name="fk_pin_order_credential_id"
        ),
        sa.PrimaryKeyConstraint("credential_id", name="pk_pin_order"),
    )
    op.create_index("ix_pin_order_expires_at", "pin_order", ["expires_at"])
    op.create_table(
        "pin_retirement",
        sa.Column("credential_id", _ID, nullable=False),
        sa.Column("owed_since", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credential.id"], name="fk_pin_retirement_credential_id"
        ),
        sa.PrimaryKeyConstraint("credential_id", name="pk_pin_retirement"),
    )
