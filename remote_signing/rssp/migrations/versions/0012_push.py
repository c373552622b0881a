"""Browsers that are told when a request waits.

Triggers do both ends: a request that comes by itself makes its signer's browsers due in its own
statement, and a session that is ended takes its browser along, whichever way it was ended.

Revises: 0011.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")

_COMES = "NEW.channel = 'decoupled' AND NEW.state = 'PENDING'"
# Whoever was told a moment ago is told again a little later, once for all that came meanwhile.
_TELL = """
UPDATE push_subscription SET wanted = wanted + 1, due_at = COALESCE(
    due_at, CASE WHEN not_before > NEW.created_at THEN not_before ELSE NEW.created_at END)
WHERE {rows};
"""
_HIS = "subscriber_id = NEW.subscriber_id"
# In one order, so that two requests for one signer wait for one another and never cross.
_HELD = """id IN (
    SELECT id FROM push_subscription WHERE subscriber_id = NEW.subscriber_id ORDER BY id FOR UPDATE)
"""
_ENDS = "OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL"
_FORGET = "DELETE FROM push_subscription WHERE session_id = NEW.id;"
_SQLITE = (
    f"""
    CREATE TRIGGER signature_activation_pushed AFTER INSERT ON signature_activation
    WHEN {_COMES}
    BEGIN {_TELL.format(rows=_HIS)} END
    """,
    f"""
    CREATE TRIGGER login_session_unpushed AFTER UPDATE OF revoked_at ON login_session
    WHEN {_ENDS}
    BEGIN {_FORGET} END
    """,
)
_POSTGRESQL = (
    f"""
    CREATE FUNCTION push_signature_activation() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {_TELL.format(rows=_HELD)}
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE TRIGGER signature_activation_pushed AFTER INSERT ON signature_activation
    FOR EACH ROW WHEN ({_COMES}) EXECUTE FUNCTION push_signature_activation()
    """,
    f"""
    CREATE FUNCTION unpush_login_session() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {_FORGET}
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE TRIGGER login_session_unpushed AFTER UPDATE OF revoked_at ON login_session
    FOR EACH ROW WHEN ({_ENDS}) EXECUTE FUNCTION unpush_login_session()
    """,
)


def upgrade() -> None:
    """Make the table, and the triggers on its two neighbours."""
    op.create_table(
        "push_subscription",
        sa.Column("id", _ID, nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("session_id", _ID, nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("wanted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("not_before", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_push_subscription_subscriber_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_push_subscription"),
        sa.UniqueConstraint("endpoint", name="uq_push_subscription_endpoint"),
    )
    for column in ("subscriber_id", "session_id", "expires_at"):
        op.create_index(f"ix_push_subscription_{column}", "push_subscription", [column])
    op.create_index(
        "ix_push_subscription_due",
        "push_subscription",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in _POSTGRESQL if is_postgresql else _SQLITE:
        op.execute(statement)
