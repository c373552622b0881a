"""The tables.

Revises: nothing, this is the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything."""
    _transaction()
    _registration()
    _callback()


def _transaction() -> None:
    op.create_table(
        "sim_transaction",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=False),
        sa.Column("open_msisdn", sa.Text()),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("display_text", sa.Text(), nullable=False),
        sa.Column("verification_code", sa.Text(), nullable=False),
        sa.Column("consent", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("callback", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("ap_trans_id", sa.Text(), nullable=False),
        sa.Column("mssp_trans_id", sa.Text()),
        sa.Column("sent_at", sa.BigInteger()),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("outcome_code", sa.Integer()),
        sa.Column("outcome_name", sa.Text()),
        sa.Column("outcome_cause", sa.Text()),
        sa.Column("signature", sa.LargeBinary()),
        sa.Column("certificate", sa.LargeBinary()),
        sa.Column("late_signature", sa.LargeBinary()),
        sa.Column("late_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_sim_transaction"),
        sa.UniqueConstraint("open_msisdn", name="uq_sim_transaction_open_msisdn"),
        sa.UniqueConstraint("ap_trans_id", name="uq_sim_transaction_ap_trans_id"),
    )
    op.create_index("ix_sim_transaction_next_at", "sim_transaction", ["next_at"])
    op.create_index("ix_sim_transaction_finished_at", "sim_transaction", ["finished_at"])


def _registration() -> None:
    op.create_table(
        "sim_registration",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=False),
        sa.Column("open_msisdn", sa.Text()),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("relying_party", sa.Text(), nullable=False),
        sa.Column("verification_code", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("replace", sa.Boolean(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.BigInteger()),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("outcome_code", sa.Integer()),
        sa.Column("outcome_name", sa.Text()),
        sa.Column("outcome_cause", sa.Text()),
        sa.Column("public_key", sa.LargeBinary()),
        sa.Column("proof", sa.LargeBinary()),
        sa.Column("iccid", sa.Text()),
        sa.Column("certificate_digest", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_sim_registration"),
        sa.UniqueConstraint("open_msisdn", name="uq_sim_registration_open_msisdn"),
    )
    op.create_index("ix_sim_registration_next_at", "sim_registration", ["next_at"])


def _callback() -> None:
    op.create_table(
        "callback",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("delivered_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_callback"),
    )
    op.create_index("ix_callback_next_at", "callback", ["next_at"])
