"""Signatures that are made later, and what clients ask the registration authority for.

Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    _signing_job()
    _credential_request()


def _signing_job() -> None:
    op.create_table(
        "signing_job",
        sa.Column("id", _ID, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger()),
        sa.Column("answer", sa.Text()),
        sa.Column("response_uri", sa.Text()),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.id"], name="fk_signing_job_client_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_signing_job"),
    )
    op.create_index("ix_signing_job_expires_at", "signing_job", ["expires_at"])
    op.create_index(
        "ix_signing_job_due",
        "signing_job",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )


def _credential_request() -> None:
    op.create_table(
        "credential_request",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("credential_id", _ID),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.id"], name="fk_credential_request_client_id"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_credential_request_subscriber_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credential_request"),
    )
    op.create_index("ix_credential_request_subscriber_id", "credential_request", ["subscriber_id"])
