"""SIM factors: which number answers, and what was asked of it.

Revises: 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    _sim_card()
    _sim_transaction()


def _sim_card() -> None:
    op.create_table(
        "sim_card",
        sa.Column("factor_id", _ID, nullable=False),
        sa.Column("credential_id", _ID, nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("iccid", sa.Text()),
        sa.Column("network", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credential.id"], name="fk_sim_card_credential_id"
        ),
        sa.PrimaryKeyConstraint("factor_id", name="pk_sim_card"),
    )
    op.create_index("ix_sim_card_credential_id", "sim_card", ["credential_id"])


def _sim_transaction() -> None:
    op.create_table(
        "sim_transaction",
        sa.Column("id", _ID, nullable=False),
        sa.Column("activation_id", _ID, nullable=False),
        sa.Column("credential_id", _ID, nullable=False),
        sa.Column("factor_id", _ID, nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("display_text", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("structure", sa.LargeBinary(), nullable=False),
        sa.Column("verification_code", sa.Text(), nullable=False),
        sa.Column("lang", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("outcome", sa.Text()),
        sa.Column("cause", sa.Text()),
        sa.Column("evidence", sa.Text()),
        sa.Column("receipt", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_sim_transaction"),
    )
    op.create_index(
        "ix_sim_transaction_activation_id_id", "sim_transaction", ["activation_id", "id"]
    )
    waiting, due = "state = 'WAITING'", "state = 'APPROVED' AND receipt IS NULL"
    for name, column, is_unique, rows in (
        ("uq_sim_transaction_msisdn", "msisdn", True, waiting),
        ("uq_sim_transaction_activation_id", "activation_id", True, waiting),
        ("ix_sim_transaction_waiting", "deadline", False, waiting),
        ("ix_sim_transaction_receipt_due", "finished_at", False, due),
    ):
        op.create_index(
            name,
            "sim_transaction",
            [column],
            unique=is_unique,
            sqlite_where=sa.text(rows),
            postgresql_where=sa.text(rows),
        )
