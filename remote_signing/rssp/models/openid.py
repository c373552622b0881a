"""Signing in by an identity provider: who is whom there, and sign-ins that are under way."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Table, Text

from remote_signing.rssp.models.foundation import Identifier, metadata

# Bound by the registration, never by a sign-in. The provider's name for the person is not here.
openid_subject = Table(
    "openid_subject",
    metadata,
    Column("subject_mac", LargeBinary, primary_key=True),  # HMAC of issuer, claim and its value
    Column("subscriber_id", Identifier, ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("issuer", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# Removed by the one answer that it is for. Nonce and code verifier follow from the browser's
# secret, so that nothing here helps to answer in its place.
openid_sign_in = Table(
    "openid_sign_in",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),  # of the state
    Column("binding_hash", LargeBinary, nullable=False),  # of the browser's cookie
    Column("issuer", Text, nullable=False),
    Column("target", Text, nullable=False),  # the page's own address to go on to
    Column("expires_at", BigInteger, nullable=False, index=True),
)
