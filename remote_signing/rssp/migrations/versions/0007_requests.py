"""Requests that wait for hours: how they are found, answered and told of.

A trigger writes a row of ``webhook_delivery`` in the statement that answers a request, so no answer
is without its message, and none is told that was not given.

Revises: 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")

# The end of the question, or the withdrawal of an answer before it was used.
_TOLD = """
NEW.channel = 'decoupled' AND (
    (OLD.state = 'PENDING' AND NEW.state IN ('AUTHORIZED', 'DENIED', 'EXPIRED', 'REVOKED'))
    OR (OLD.state = 'AUTHORIZED' AND NEW.state = 'REVOKED'))
"""
_TELL = """
INSERT INTO webhook_delivery
    (id, client_id, activation_id, outcome, denial, happened_at, state, due_at, tries)
SELECT NEW.id || '_' || NEW.event_seq, NEW.client_id, NEW.id, NEW.state, NEW.denial,
    NEW.event_at, 'WAITING', NEW.event_at, 0
FROM webhook_endpoint WHERE client_id = NEW.client_id;
"""
_SQLITE = (
    f"""
    CREATE TRIGGER signature_activation_told AFTER UPDATE OF state ON signature_activation
    WHEN {_TOLD}
    BEGIN {_TELL} END
    """,
)
_POSTGRESQL = (
    f"""
    CREATE FUNCTION tell_of_signature_activation() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {_TELL}
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE TRIGGER signature_activation_told AFTER UPDATE OF state ON signature_activation
    FOR EACH ROW WHEN ({_TOLD}) EXECUTE FUNCTION tell_of_signature_activation()
    """,
)


def upgrade() -> None:
    """Widen the activation, make the tables of webhooks, and the trigger between them."""
    _signature_activation()
    _webhook_endpoint()
    _webhook_delivery()
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in _POSTGRESQL if is_postgresql else _SQLITE:
        op.execute(statement)


def _signature_activation() -> None:
    for column in (
        sa.Column("urgency", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("search_text", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("matched_at", sa.BigInteger()),
        sa.Column("denial", sa.Text()),
    ):
        op.add_column("signature_activation", column)
    op.create_index(
        "ix_signature_activation_pending",
        "signature_activation",
        ["subscriber_id", "expires_at", "id"],
        sqlite_where=sa.text("state = 'PENDING'"),
        postgresql_where=sa.text("state = 'PENDING'"),
    )


def _webhook_endpoint() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.id"], name="fk_webhook_endpoint_client_id"
        ),
        sa.PrimaryKeyConstraint("client_id", name="pk_webhook_endpoint"),
    )
    op.create_table(
        "webhook_secret",
        sa.Column("id", _ID, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["webhook_endpoint.client_id"], name="fk_webhook_secret_client_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_secret"),
    )
    op.create_index("ix_webhook_secret_client_id", "webhook_secret", ["client_id"])


def _webhook_delivery() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("activation_id", _ID, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("denial", sa.Text()),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cause", sa.Text()),
        sa.Column("settled_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_delivery"),
    )
    for name, columns, rows in (
        ("ix_webhook_delivery_due", ["due_at"], "due_at IS NOT NULL"),
        ("ix_webhook_delivery_dead", ["client_id", "id"], "state = 'DEAD'"),
        ("ix_webhook_delivery_delivered", ["settled_at"], "state = 'DELIVERED'"),
    ):
        op.create_index(
            name,
            "webhook_delivery",
            columns,
            sqlite_where=sa.text(rows),
            postgresql_where=sa.text(rows),
        )
