"""Who and what there is: agencies, signers, their credentials and certificates, clients."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    false,
    text,
    true,
)
from sqlalchemy.types import Boolean

from remote_signing.rssp.models.foundation import Identifier, metadata

agency = Table(
    "agency",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_en", Text),
    # Identifier code of the agency (Decision 20/2020/QD-TTg), such as G09.12.
    Column("code", Text, unique=True),
    Column("tax_code", Text),
    Column("budget_code", Text),
    Column("province", Text),
    Column("parent_id", Identifier, ForeignKey("agency.id")),
)

subscriber = Table(
    "subscriber",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("kind", Text, nullable=False),  # person | organisation
    Column("agency_id", Identifier, ForeignKey("agency.id"), nullable=False, index=True),
    Column("full_name", Text, nullable=False),
    Column("position", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("username", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="active"),  # active | suspended
    Column("failed_sign_ins", Integer, nullable=False, server_default="0"),
    Column("sign_in_locked_until", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
)

credential = Table(
    "credential",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("subscriber_id", Identifier, ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("algorithm", Text, nullable=False),
    # disabled | enabled | suspended | frozen | revoked | withdrawn | destroyed, see
    # `credential_states`.
    Column("state", Text, nullable=False),
    # By its owner, and not ended by the registration authority.
    Column("frozen", Boolean, nullable=False, server_default=false()),
    Column("scal", Text, nullable=False),  # "1" | "2"
    Column("multisign", Integer, nullable=False),
    Column("description", Text),
    Column("auth_mode", Text, nullable=False),  # oauth2code | explicit
    # [{"id", "kind"}] of the sealed factors, of a passkey also when it counts ("usable_from"):
    # which evidence to ask for. The SAM trusts its own.
    Column("factors", Text, nullable=False),
    Column("certificate", LargeBinary),
    Column("certificate_serial", Text),
    Column("not_before", BigInteger),
    Column("not_after", BigInteger),
    Column("chain", Text, nullable=False, server_default="[]"),  # base64 DER, issuer first
    Column("public_key", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("sealed_version", Integer, nullable=False),
    Column("failed_attempts", Integer, nullable=False, server_default="0"),
    Column("attempt_limit", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# Every certificate of the issuing authority, for CRL and OCSP. A trigger keeps what is revoked so.
issued_certificate = Table(
    "issued_certificate",
    metadata,
    Column("serial", Text, primary_key=True),  # hexadecimal, capitals, no leading nought
    Column("credential_id", Identifier, index=True),  # NULL: of the service itself
    Column("certificate", LargeBinary, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # good | suspended | revoked
    Column("changed_at", BigInteger),
    Column("reason", Text),  # CRLReason by name
)
Index(
    "ix_issued_certificate_listed",
    issued_certificate.c.not_after,
    sqlite_where=text("state <> 'good'"),
    postgresql_where=text("state <> 'good'"),
)

# The one CRL that is published. `changes` counts what happened to certificates; a CRL is stored
# only if it was made from the newest count and has a higher number than the one before.
certificate_list = Table(
    "certificate_list",
    metadata,
    Column("id", Text, primary_key=True),  # "issuing"
    Column("changes", BigInteger, nullable=False),
    Column("crl", LargeBinary),
    Column("crl_changes", BigInteger),
    Column("number", BigInteger, nullable=False, server_default="0"),
    Column("refresh_at", BigInteger, nullable=False, server_default="0"),
)

oauth_client = Table(
    "oauth_client",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("logo_uri", Text),
    Column("logo", Text),  # digest of the picture that signers see beside its name
    # private_key_jwt | tls_client_auth | client_secret_basic | client_secret_post
    Column("auth_method", Text, nullable=False),
    Column("secret_hash", LargeBinary),
    Column("jwks", Text),
    Column("tls_subject", Text),
    Column("tls_thumbprint", Text),
    Column("redirect_uris", Text, nullable=False),
    Column("grant_types", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("dpop_required", Boolean, nullable=False, server_default=false()),
    Column("par_required", Boolean, nullable=False, server_default=true()),
    # Its assertions may name the endpoint as audience instead of the issuer (FAPI 2.0 forbids it).
    Column("endpoint_audience", Boolean, nullable=False, server_default=false()),
    # Whom it may act for with client_credentials: agency ids, or ["*"].
    Column("agencies", Text, nullable=False, server_default="[]"),
    Column("state", Text, nullable=False, server_default="active"),
    Column("created_at", BigInteger, nullable=False),
)

# PNG, drawn anew here from what was handed in. `digest` is its SHA-256, hexadecimal.
client_logo = Table(
    "client_logo",
    metadata,
    Column("client_id", Text, ForeignKey("oauth_client.id"), primary_key=True),
    Column("digest", Text, nullable=False, index=True),
    Column("picture", LargeBinary, nullable=False),
)

# What clients ask the registration authority for: only its orders make or destroy a credential.
credential_request = Table(
    "credential_request",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("kind", Text, nullable=False),  # create | delete
    Column("state", Text, nullable=False),  # FILED | SETTLED
    Column("client_id", Text, ForeignKey("oauth_client.id"), nullable=False),
    Column("subscriber_id", Identifier, ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("credential_id", Identifier),
    Column("detail", Text, nullable=False),  # JSON: policy and subject data, or reason
    Column("created_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
)
