"""The tables, and the triggers that guard them.

Revises: nothing, this is the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from remote_signing.rssp.migrations import triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.String(26).with_variant(sa.VARCHAR(26, collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make everything."""
    for make in (
        _agency,
        _audit_event,
        _oauth_client,
        _replay,
        _access_token,
        _refresh_token,
        _subscriber,
        _credential,
        _login_session,
        _service_authorization,
        _signature_activation,
    ):
        make()
    for statement in triggers.statements(op.get_context().dialect.name):
        op.execute(sa.text(statement.replace(":", r"\:")))  # PL/pgSQL's := is no parameter


def _agency() -> None:
    op.create_table(
        "agency",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text()),
        sa.Column("code", sa.Text()),
        sa.Column("tax_code", sa.Text()),
        sa.Column("budget_code", sa.Text()),
        sa.Column("province", sa.Text()),
        sa.Column("parent_id", _ID),
        sa.ForeignKeyConstraint(["parent_id"], ["agency.id"], name="fk_agency_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_agency"),
        sa.UniqueConstraint("code", name="uq_agency_code"),
    )


def _audit_event() -> None:
    op.create_table(
        "audit_event",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text()),
        sa.Column("subscriber_id", _ID),
        sa.Column("credential_id", _ID),
        sa.Column("activation_id", _ID),
        sa.Column("sequence", sa.Integer()),
        sa.Column("state", sa.Text()),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_event_activation_id", "audit_event", ["activation_id", "number"])
    op.create_index("ix_audit_event_subscriber_id", "audit_event", ["subscriber_id", "number"])
    op.create_index("ix_audit_event_at", "audit_event", ["at", "number"])


def _oauth_client() -> None:
    op.create_table(
        "oauth_client",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("logo_uri", sa.Text()),
        sa.Column("auth_method", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary()),
        sa.Column("jwks", sa.Text()),
        sa.Column("tls_subject", sa.Text()),
        sa.Column("tls_thumbprint", sa.Text()),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("grant_types", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("dpop_required", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("par_required", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("endpoint_audience", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("agencies", sa.Text(), server_default="[]", nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_client"),
    )


def _replay() -> None:
    op.create_table(
        "replay",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_replay"),
    )
    op.create_index("ix_replay_expires_at", "replay", ["expires_at"])


def _access_token() -> None:
    op.create_table(
        "access_token",
        sa.Column("id", _ID, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("subscriber_id", _ID),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("jkt", sa.Text()),
        sa.Column("x5t", sa.Text()),
        sa.Column("family_id", _ID),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.id"], name="fk_access_token_client_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_access_token"),
    )
    op.create_index("ix_access_token_expires_at", "access_token", ["expires_at"])
    op.create_index("ix_access_token_family_id", "access_token", ["family_id"])


def _refresh_token() -> None:
    op.create_table(
        "refresh_token",
        sa.Column("id", _ID, nullable=False),
        sa.Column("family_id", _ID, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.Column("jkt", sa.Text()),
        sa.Column("x5t", sa.Text()),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.id"], name="fk_refresh_token_client_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_token"),
    )
    op.create_index("ix_refresh_token_expires_at", "refresh_token", ["expires_at"])
    op.create_index("ix_refresh_token_family_id", "refresh_token", ["family_id"])


def _subscriber() -> None:
    op.create_table(
        "subscriber",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("agency_id", _ID, nullable=False),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("position", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("phone", sa.Text()),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column("failed_sign_ins", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sign_in_locked_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agency_id"], ["agency.id"], name="fk_subscriber_agency_id"),
        sa.PrimaryKeyConstraint("id", name="pk_subscriber"),
        sa.UniqueConstraint("username", name="uq_subscriber_username"),
    )
    op.create_index("ix_subscriber_agency_id", "subscriber", ["agency_id"])


def _credential() -> None:
    op.create_table(
        "credential",
        sa.Column("id", _ID, nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("scal", sa.Text(), nullable=False),
        sa.Column("multisign", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("auth_mode", sa.Text(), nullable=False),
        sa.Column("factors", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary()),
        sa.Column("certificate_serial", sa.Text()),
        sa.Column("not_before", sa.BigInteger()),
        sa.Column("not_after", sa.BigInteger()),
        sa.Column("chain", sa.Text(), server_default="[]", nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_version", sa.Integer(), nullable=False),
        sa.Column("failed_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt_limit", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_credential_subscriber_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credential"),
    )
    op.create_index("ix_credential_subscriber_id", "credential", ["subscriber_id"])


def _login_session() -> None:
    op.create_table(
        "login_session",
        sa.Column("id", _ID, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_login_session_subscriber_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_login_session"),
    )
    op.create_index("ix_login_session_expires_at", "login_session", ["expires_at"])
    op.create_index("ix_login_session_subscriber_id", "login_session", ["subscriber_id"])


def _service_authorization() -> None:
    op.create_table(
        "service_authorization",
        sa.Column("id", _ID, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("subscriber_id", _ID),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.Text(), nullable=False),
        sa.Column("dpop_jkt", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("request_secret", sa.LargeBinary()),
        sa.Column("request_used_at", sa.BigInteger()),
        sa.Column("code_secret", sa.LargeBinary()),
        sa.Column("code_expires_at", sa.BigInteger()),
        sa.Column("code_used_at", sa.BigInteger()),
        sa.Column("family_id", _ID),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.id"], name="fk_service_authorization_client_id"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name="fk_service_authorization_subscriber_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_service_authorization"),
    )
    op.create_index(
        "ix_service_authorization_expires_at",
        "service_authorization",
        ["expires_at"],
    )


def _signature_activation() -> None:
    op.create_table(
        "signature_activation",
        sa.Column("id", _ID, nullable=False),
        sa.Column("credential_id", _ID, nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("hashes_key", sa.LargeBinary(), nullable=False),
        sa.Column("num_signatures", sa.Integer(), nullable=False),
        sa.Column("verification_code", sa.Text(), nullable=False),
        sa.Column("challenge", sa.LargeBinary()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("redirect_uri", sa.Text()),
        sa.Column("code_challenge", sa.Text()),
        sa.Column("dpop_jkt", sa.Text()),
        sa.Column("request_secret", sa.LargeBinary()),
        sa.Column("request_used_at", sa.BigInteger()),
        sa.Column("code_secret", sa.LargeBinary()),
        sa.Column("code_expires_at", sa.BigInteger()),
        sa.Column("code_used_at", sa.BigInteger()),
        sa.Column("handle_secret", sa.LargeBinary()),
        sa.Column("token_secret", sa.LargeBinary()),
        sa.Column("token_jkt", sa.Text()),
        sa.Column("token_x5t", sa.Text()),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("totp_factor_id", _ID),
        sa.Column("totp_step", sa.BigInteger()),
        sa.Column("evidence_digest", sa.LargeBinary()),
        sa.Column("authorized_at", sa.BigInteger()),
        sa.Column("sad", sa.LargeBinary()),
        sa.Column("used", sa.Text(), nullable=False),
        sa.Column("signing_since", sa.BigInteger()),
        sa.Column("signing_key", sa.LargeBinary()),
        sa.Column("outcomes", sa.Text(), server_default="{}", nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("event_kind", sa.Text(), nullable=False),
        sa.Column("event_at", sa.BigInteger(), nullable=False),
        sa.Column("event_actor", sa.Text(), nullable=False),
        sa.Column("event_detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.id"], name="fk_signature_activation_client_id"
        ),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credential.id"], name="fk_signature_activation_credential_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_signature_activation"),
    )
    op.create_index(
        "ix_signature_activation_open",
        "signature_activation",
        ["expires_at"],
        sqlite_where=sa.text("state IN ('PENDING', 'AUTHORIZED', 'SIGNING')"),
        postgresql_where=sa.text("state IN ('PENDING', 'AUTHORIZED', 'SIGNING')"),
    )
    op.create_index(
        "ix_signature_activation_subscriber_id_id",
        "signature_activation",
        ["subscriber_id", "id"],
    )
    op.create_index(
        "uq_signature_activation_totp",
        "signature_activation",
        ["totp_factor_id", "totp_step"],
        unique=True,
        sqlite_where=sa.text("totp_factor_id IS NOT NULL"),
        postgresql_where=sa.text("totp_factor_id IS NOT NULL"),
    )
