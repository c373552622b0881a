"""The owner's freeze is a fact of its own, whatever else keeps a credential from use.

Until now it was on record only for what had been enabled; a suspended or disabled credential came
back without the registration authority having seen its owner. And what had been frozen and put on
hold was enabled by its unfreezing: this revision suspends it again, on record.

A process of the release before freezes by the word ``frozen`` alone. That holds, and is unfrozen
like any other.

Revises: 0018.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_ON_HOLD = """
state = 'enabled' AND EXISTS (
    SELECT 1 FROM issued_certificate c
    WHERE c.credential_id = credential.id AND c.state = 'suspended')
"""
_RECORD = f"""
INSERT INTO audit_event (at, kind, actor, subscriber_id, credential_id, detail)
SELECT CAST(:now AS bigint), 'credential.suspended', 'system', subscriber_id, id,
    '{{"state":"suspended"}}'
FROM credential WHERE {_ON_HOLD}
"""  # noqa: S608 - constants
_SUSPEND = f"UPDATE credential SET state = 'suspended' WHERE {_ON_HOLD}"  # noqa: S608 - constants


def upgrade() -> None:
    """Add the column, set for what is frozen; suspend what is on hold."""
    op.add_column(
        "credential",
        sa.Column("frozen", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE credential SET frozen = true WHERE state = 'frozen'"))
    connection.execute(sa.text(_RECORD), {"now": time.time_ns() // 1_000_000})
    connection.execute(sa.text(_SUSPEND))
    if connection.dialect.name == "postgresql":
        # Of a table that each consent writes (revision 0018).
        connection.execute(sa.text("SELECT take_small_samples('credential')"))
