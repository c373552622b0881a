"""Who may call: authorisations of scope "service", tokens, sessions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Table, Text

from remote_signing.rssp.models.foundation import Identifier, metadata

# Authorisation of scope "service": who may list and see a signer's credentials.
service_authorization = Table(
    "service_authorization",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("client_id", Text, ForeignKey("oauth_client.id"), nullable=False),
    Column("subscriber_id", Identifier, ForeignKey("subscriber.id")),
    Column("params", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("code_challenge", Text, nullable=False),
    Column("dpop_jkt", Text),
    Column("state", Text, nullable=False),  # PENDING | GRANTED | REDEEMED | DENIED
    Column("request_secret", LargeBinary),
    Column("request_used_at", BigInteger),
    Column("code_secret", LargeBinary),
    Column("code_expires_at", BigInteger),
    Column("code_used_at", BigInteger),
    Column("family_id", Identifier),  # of the tokens that the code became
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

access_token = Table(
    "access_token",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("client_id", Text, ForeignKey("oauth_client.id"), nullable=False),
    Column("subscriber_id", Identifier),  # NULL: client_credentials
    Column("scope", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("jkt", Text),
    Column("x5t", Text),
    Column("family_id", Identifier, index=True),
    Column("revoked_at", BigInteger),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("family_id", Identifier, nullable=False, index=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("client_id", Text, ForeignKey("oauth_client.id"), nullable=False),
    Column("subscriber_id", Identifier, nullable=False),
    Column("scope", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("jkt", Text),
    Column("x5t", Text),
)

login_session = Table(
    "login_session",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("subscriber_id", Identifier, ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("revoked_at", BigInteger),
)
