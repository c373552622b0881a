"""What portals look like: a picture beside each client's name.

Revises: 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and the column that names its rows."""
    op.create_table(
        "client_logo",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.id"], name="fk_client_logo_client_id"
        ),
        sa.PrimaryKeyConstraint("client_id", name="pk_client_logo"),
    )
    op.create_index("ix_client_logo_digest", "client_logo", ["digest"])
    op.add_column("oauth_client", sa.Column("logo", sa.Text()))
