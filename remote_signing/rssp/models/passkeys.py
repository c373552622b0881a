"""Passkeys as their owners see them, and what officials are told of besides."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text, text
from sqlalchemy.types import Boolean

from remote_signing.rssp.models.foundation import Identifier, metadata

# What a passkey is called and when it came. The SAM knows nothing of this: what a passkey may do
# stands in the sealed record, and so does when its cool-off ends.
passkey = Table(
    "passkey",
    metadata,
    Column("factor_id", Identifier, primary_key=True),
    Column("credential_id", Identifier, ForeignKey("credential.id"), nullable=False, index=True),
    Column("subscriber_id", Identifier, nullable=False),
    Column("webauthn_id", LargeBinary, nullable=False, unique=True),  # what browsers know it by
    Column("name", Text, nullable=False),
    Column("aaguid", Text, nullable=False),  # its model; mostly noughts
    Column("is_synced", Boolean, nullable=False),  # a provider may copy it
    Column("state", Text, nullable=False),  # active | dropped
    Column("registered_at", BigInteger, nullable=False),
    Column("usable_from", BigInteger, nullable=False),
    Column("dropped_at", BigInteger),
)

# What an official must hear of, whoever did it: shown on the consent page until he has seen it,
# and for whatever else sends messages (``told_at``).
signer_notice = Table(
    "signer_notice",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("subscriber_id", Identifier, nullable=False),
    Column("credential_id", Identifier, nullable=False),
    Column("kind", Text, nullable=False),  # passkey_added | … _dropped | … _copied | pin_changed
    Column("detail", Text, nullable=False),  # JSON: name, usable_from
    Column("created_at", BigInteger, nullable=False),
    # Until then nobody can wave it away: whoever added a passkey might.
    Column("held_until", BigInteger, nullable=False),
    Column("seen_at", BigInteger),
    Column("told_at", BigInteger),
)
_UNSEEN, _UNTOLD = text("seen_at IS NULL"), text("told_at IS NULL")
Index(
    "ix_signer_notice_unseen",
    signer_notice.c.subscriber_id,
    sqlite_where=_UNSEEN,
    postgresql_where=_UNSEEN,
)
Index(
    "ix_signer_notice_untold",
    signer_notice.c.id,
    sqlite_where=_UNTOLD,
    postgresql_where=_UNTOLD,
)
