"""The outcomes of an authorisation's former calls in a table of their own, a row for each.

``signature_activation.outcomes`` keeps what the last call gave, and so all that there is where one
call signs everything. Whatever an UPDATE leaves out of that column a trigger moves to the new
table, in the same statement. So an outcome is lost by no process of any release:

- A process of the release before reads the column, adds its own outcome and writes all of it back.
  It leaves nothing out, so nothing is moved: its outcomes stay in the column, where they are found.
- A process of this release writes its own outcome alone. What was there goes to the table, however
  much of it and whoever wrote it, before this revision, too.

While both work, one of the release before does not find what a call before the last one gave in a
process of this release. Who repeats such a request there is refused where the signer was shown the
hashes; where only a number was authorised, its next places are used. No more is signed than that.

Revises: 0015.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")

_CHANGED = "OLD.outcomes <> NEW.outcomes AND OLD.outcomes <> '{}'"
# What stands in the table already stays: two processes of two releases may have signed one request.
_MOVE = """
INSERT INTO signing_outcome (activation_id, request, signatures)
SELECT OLD.id, former.key, former.value FROM <each> AS former
WHERE former.key NOT IN (<names>)
ON CONFLICT DO NOTHING;
"""
_SQLITE = (
    """
    CREATE TRIGGER signature_activation_outcomes AFTER UPDATE OF outcomes ON signature_activation
    WHEN <changed>
    BEGIN <move> END
    """,
)
_POSTGRESQL = (
    """
    CREATE FUNCTION keep_signing_outcomes() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        <move>
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER signature_activation_outcomes AFTER UPDATE OF outcomes ON signature_activation
    FOR EACH ROW WHEN (<changed>) EXECUTE FUNCTION keep_signing_outcomes()
    """,
    # Rows come and go, as in the tables of revision 0011.
    """
    ALTER TABLE signing_outcome SET (autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.02)
    """,
)
_EACH = {
    "sqlite": ("json_each(OLD.outcomes)", "SELECT key FROM json_each(NEW.outcomes)"),
    "postgresql": (
        "json_each_text(OLD.outcomes::json)",
        "SELECT json_object_keys(NEW.outcomes::json)",
    ),
}


def upgrade() -> None:
    """Make the table, and the trigger of its neighbour."""
    op.create_table(
        "signing_outcome",
        sa.Column("activation_id", _ID, nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("signatures", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("activation_id", "request", name="pk_signing_outcome"),
    )
    dialect = op.get_bind().dialect.name
    each, names = _EACH[dialect]
    move = _MOVE.replace("<each>", each).replace("<names>", names)
    for statement in _POSTGRESQL if dialect == "postgresql" else _SQLITE:
        filled = statement.replace("<changed>", _CHANGED).replace("<move>", move)
        op.get_bind().exec_driver_sql(filled)
