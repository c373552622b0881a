"""Documents that portals attach to requests, so that the signer sees what he signs.

Revises: 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "attachment",
        sa.Column("id", _ID, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("pages", sa.Integer()),
        sa.Column("remarks", sa.Text(), nullable=False),
        sa.Column("sealing_key", sa.LargeBinary(), nullable=False),
        sa.Column("dtbs_r", sa.LargeBinary()),
        sa.Column("digest", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["oauth_client.id"], name="fk_attachment_client_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attachment"),
    )
    op.create_index("ix_attachment_client_id", "attachment", ["client_id"])
    op.create_index("ix_attachment_expires_at", "attachment", ["expires_at"])
    op.create_table(
        "attachment_use",
        sa.Column("activation_id", _ID, nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("attachment_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("activation_id", "position", name="pk_attachment_use"),
    )
    op.create_index("ix_attachment_use_attachment_id", "attachment_use", ["attachment_id"])
