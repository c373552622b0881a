"""What a key that is made in a SIM may sign.

Revises: 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A key of which nothing is said signs structures, which its card reads and shows."""
    mode = sa.Column("mode", sa.Text(), server_default="structure", nullable=False)
    op.add_column("sim_registration", mode)
