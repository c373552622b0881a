"""Used one-time codes in a table that signatures and changes of factors share.

A trigger copies the code of a signature in the statement that authorises it, so processes of the
release before write it too; they know the codes of signatures by ``uq_signature_activation_totp``,
which a later release removes. Codes from before this revision are not copied: they are over in two
minutes, and two signatures by one of them still meet in that index.

Revises: 0014.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")

_USED = "NEW.totp_factor_id IS NOT NULL"
_USE = "INSERT INTO totp_step (step, factor_id) VALUES (NEW.totp_step, NEW.totp_factor_id);"
_SQLITE = (
    f"""
    CREATE TRIGGER signature_activation_used_code AFTER UPDATE OF totp_step ON signature_activation
    WHEN {_USED}
    BEGIN {_USE} END
    """,
)
# PostgreSQL runs triggers by name. This one is after signature_activation_followed, which locks the
# credential: a change of factors locks that first, too, so the two wait for one another in one
# order and never cross.
_POSTGRESQL = (
    f"""
    CREATE FUNCTION use_totp_step() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {_USE}
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE TRIGGER signature_activation_used_code AFTER UPDATE OF totp_step ON signature_activation
    FOR EACH ROW WHEN ({_USED}) EXECUTE FUNCTION use_totp_step()
    """,
    # Rows come and go, as in the tables of revision 0011.
    """
    ALTER TABLE totp_step SET (autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.02)
    """,
)


def upgrade() -> None:
    """Make the table, and the trigger of its neighbour."""
    op.create_table(
        "totp_step",
        sa.Column("step", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("factor_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("step", "factor_id", name="pk_totp_step"),
    )
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in _POSTGRESQL if is_postgresql else _SQLITE:
        op.execute(statement)
