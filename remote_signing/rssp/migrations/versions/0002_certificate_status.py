"""Certificates that the issuing authority made, and the CRL that is published.

Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")

# The last event of a credential's certificate tells who issued it: only the embedded authority's
# own carry their validity.
_FILL = """
INSERT INTO issued_certificate (serial, credential_id, certificate, not_after, state)
SELECT c.certificate_serial, c.id, c.certificate, c.not_after, 'good'
FROM credential c JOIN audit_event e ON e.number = (
    SELECT max(number) FROM audit_event
    WHERE subscriber_id = c.subscriber_id AND credential_id = c.id AND kind = 'credential.certified'
)
WHERE c.certificate IS NOT NULL AND e.detail LIKE '%"validity_days"%'
"""

_SQLITE = (
    """
    CREATE TRIGGER issued_certificate_stays_revoked BEFORE UPDATE ON issued_certificate
    WHEN OLD.state = 'revoked'
    BEGIN SELECT RAISE(ABORT, 'certificate is revoked'); END
    """,
    """
    CREATE TRIGGER issued_certificate_stays BEFORE DELETE ON issued_certificate
    BEGIN SELECT RAISE(ABORT, 'certificate was issued'); END
    """,
)
_POSTGRESQL = (
    """
    CREATE FUNCTION keep_issued_certificate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            RAISE EXCEPTION 'certificate was issued';
        END IF;
        IF OLD.state = 'revoked' THEN
            RAISE EXCEPTION 'certificate is revoked';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER issued_certificate_stays BEFORE UPDATE OR DELETE ON issued_certificate
    FOR EACH ROW EXECUTE FUNCTION keep_issued_certificate()
    """,
)


def upgrade() -> None:
    """Make the tables, and list what was issued before."""
    op.create_table(
        "issued_certificate",
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("credential_id", _ID),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger()),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("serial", name="pk_issued_certificate"),
    )
    op.create_index("ix_issued_certificate_credential_id", "issued_certificate", ["credential_id"])
    op.create_index(
        "ix_issued_certificate_listed",
        "issued_certificate",
        ["not_after"],
        sqlite_where=sa.text("state <> 'good'"),
        postgresql_where=sa.text("state <> 'good'"),
    )
    op.create_table(
        "certificate_list",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("crl", sa.LargeBinary()),
        sa.Column("crl_changes", sa.BigInteger()),
        sa.Column("number", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("refresh_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_certificate_list"),
    )
    op.execute("INSERT INTO certificate_list (id, changes) VALUES ('issuing', 1)")
    op.execute(_FILL)
    dialect = op.get_bind().dialect.name
    for statement in _POSTGRESQL if dialect == "postgresql" else _SQLITE:
        op.execute(statement)
