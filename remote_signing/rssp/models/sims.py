"""SIM factors: which number answers, and what was asked of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text, text

from remote_signing.rssp.models.foundation import Identifier, metadata

# Which number a SIM factor answers at, and whether it is asked at present. The SAM knows nothing of
# this: what a SIM may do stands in the sealed record.
sim_card = Table(
    "sim_card",
    metadata,
    Column("factor_id", Identifier, primary_key=True),
    Column("credential_id", Identifier, ForeignKey("credential.id"), nullable=False, index=True),
    Column("subscriber_id", Identifier, nullable=False),
    Column("msisdn", Text, nullable=False),  # digits, country code first
    Column("operator", Text, nullable=False),  # its name in the adapter's configuration
    Column("mode", Text, nullable=False),  # structure | digest | text
    Column("certificate", LargeBinary, nullable=False),
    Column("chain", Text, nullable=False),  # base64 DER, issuer first
    Column("iccid", Text),
    Column("network", Text),  # MCC/MNC when it was enrolled
    Column("state", Text, nullable=False),  # active | suspended | dropped
    Column("reason", Text),  # of the suspension, for programs
    Column("checked_at", BigInteger, nullable=False),  # when the operator was last asked
    Column("created_at", BigInteger, nullable=False),
)

# One row is one question to one SIM. Written by activation_sim.py, each time together with an
# event of the activation.
sim_transaction = Table(
    "sim_transaction",
    metadata,
    Column("id", Identifier, primary_key=True),  # the adapter's id of it too
    Column("activation_id", Identifier, nullable=False),
    Column("credential_id", Identifier, nullable=False),
    Column("factor_id", Identifier, nullable=False),
    Column("msisdn", Text, nullable=False),
    Column("state", Text, nullable=False),  # WAITING | APPROVED | REFUSED | EXPIRED | …
    Column("mode", Text, nullable=False),
    Column("display_text", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("structure", LargeBinary, nullable=False),
    Column("verification_code", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("outcome", Text),  # for programs
    Column("cause", Text),  # for the person, in ``lang``
    Column("evidence", Text),  # as exported (docs/sim-consent.md)
    Column("receipt", Text),  # sent | failed
    Index("ix_sim_transaction_activation_id_id", "activation_id", "id"),
)
_WAITING = text("state = 'WAITING'")
_RECEIPT_DUE = text("state = 'APPROVED' AND receipt IS NULL")
for _name, _column in (
    ("uq_sim_transaction_msisdn", sim_transaction.c.msisdn),
    ("uq_sim_transaction_activation_id", sim_transaction.c.activation_id),
):
    Index(_name, _column, unique=True, sqlite_where=_WAITING, postgresql_where=_WAITING)
Index(
    "ix_sim_transaction_waiting",
    sim_transaction.c.deadline,
    sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)
Index(
    "ix_sim_transaction_receipt_due",
    sim_transaction.c.finished_at,
    sqlite_where=_RECEIPT_DUE,
    postgresql_where=_RECEIPT_DUE,
)
# Consents stay for ever; housekeeping must not walk over them to what it may remove.
OVER = text("state NOT IN ('WAITING', 'APPROVED')")
Index(
    "ix_sim_transaction_over",
    sim_transaction.c.id,
    sqlite_where=OVER,
    postgresql_where=OVER,
)
