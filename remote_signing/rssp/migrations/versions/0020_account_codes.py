"""Account codes are found by their end, so that old ones can be removed.

Revises: 0019.
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index; there is one row for each official who was invited."""
    op.create_index("ix_account_code_expires_at", "account_code", ["expires_at"])
