"""The owner's freeze is a fact of its own, whatever else keeps a credential from use.

Until now it was on record only for what had been enabled; a suspended or disabled credential came
back without the registration authority having seen its owner.

A process of the release before freezes by the word ``frozen`` alone. That holds, and is unfrozen
here like any other.

Revises: 0018.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; it is set for what is frozen."""
    op.add_column(
        "credential",
        sa.Column("frozen", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.execute("UPDATE credential SET frozen = true WHERE state = 'frozen'")
    if op.get_bind().dialect.name == "postgresql":
        # Of a table that each consent writes (revision 0018).
        op.execute("SELECT take_small_samples('credential')")
