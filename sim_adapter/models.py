"""The tables. Times are milliseconds since the Unix epoch, UTC."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One row is one question to one person, from the rssp's PUT to the last answer of the operator.
# ``open_msisdn`` is the number while the row is open and null afterwards: its unique constraint is
# what keeps a second request from a SIM. ``next_at`` is when somebody has to do something for the
# row; null when nobody has. Whoever takes it up moves it on first, so that a second process or the
# next start does not do the same, and so that what a crashed process left is taken up again.
sim_transaction = Table(
    "sim_transaction",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_digest", Text, nullable=False),  # SHA-256 of the PUT's body, canonical
    Column("operator", Text, nullable=False),
    Column("msisdn", Text, nullable=False),
    Column("open_msisdn", Text),
    Column("mode", Text, nullable=False),  # structure | digest | text
    Column("display_text", Text, nullable=False),
    Column("verification_code", Text, nullable=False),
    Column("consent", LargeBinary, nullable=False),
    Column("language", Text, nullable=False),
    Column("callback", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("ap_trans_id", Text, nullable=False),
    Column("mssp_trans_id", Text),
    Column("sent_at", BigInteger),  # when it was about to be sent
    Column("tries", Integer, nullable=False, server_default="0"),  # failed calls in a row
    Column("next_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("outcome_code", Integer),
    Column("outcome_name", Text),
    Column("outcome_cause", Text),
    Column("signature", LargeBinary),
    Column("certificate", LargeBinary),
    # What came after the end, kept as evidence and never handed out.
    Column("late_signature", LargeBinary),
    Column("late_at", BigInteger),
    UniqueConstraint("open_msisdn"),
    UniqueConstraint("ap_trans_id"),
    Index(None, "next_at"),
    Index(None, "finished_at"),
)

# Key generation on a SIM: the same life, shorter.
sim_registration = Table(
    "sim_registration",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_digest", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("msisdn", Text, nullable=False),
    Column("open_msisdn", Text),
    Column("credential_id", Text, nullable=False),
    Column("challenge", LargeBinary, nullable=False),
    Column("relying_party", Text, nullable=False),
    Column("verification_code", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("replace", Boolean, nullable=False),
    Column("mode", Text, nullable=False, server_default="structure"),  # what the key may sign
    Column("language", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # CREATED | SENT | DONE | REFUSED | EXPIRED | FAILED
    Column("version", Integer, nullable=False),
    Column("sent_at", BigInteger),
    Column("next_at", BigInteger),
    Column("outcome_code", Integer),
    Column("outcome_name", Text),
    Column("outcome_cause", Text),
    Column("public_key", LargeBinary),
    Column("proof", LargeBinary),
    Column("iccid", Text),
    Column("certificate_digest", Text),  # SHA-256 of the certificate that the operator took
    UniqueConstraint("open_msisdn"),
    Index(None, "next_at"),
)

# What the rssp is to be told: written in the same transaction as what it tells of.
callback = Table(
    "callback",
    metadata,
    Column("id", Text, primary_key=True),  # webhook-id
    Column("transaction_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_at", BigInteger),  # null: delivered or given up
    Column("delivered_at", BigInteger),
    Index(None, "next_at"),
)
