"""What a signer is asked and what comes of it, one row for each authorisation."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from remote_signing.rssp.models.foundation import Identifier, metadata

# One row is one signer's authorisation from request to last signature, so that every step is one
# guarded UPDATE by primary key. Only activation*.py writes it; a trigger copies event_* to
# audit_event, charges failed attempts, and refuses a step outside the state machine.
signature_activation = Table(
    "signature_activation",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("credential_id", Identifier, ForeignKey("credential.id"), nullable=False),
    Column("subscriber_id", Identifier, nullable=False),
    Column("client_id", Text, ForeignKey("oauth_client.id"), nullable=False),
    Column("channel", Text, nullable=False),  # oauth | decoupled | inline
    Column("state", Text, nullable=False),
    Column("request", Text, nullable=False),
    # SHA-256 over digest algorithm and sorted hashes; empty when none were named (SCAL1).
    Column("hashes_key", LargeBinary, nullable=False),
    Column("num_signatures", Integer, nullable=False),
    Column("verification_code", Text, nullable=False),
    Column("challenge", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    # The end of the phase it is in: of the question while PENDING, of the SAD after that.
    Column("expires_at", BigInteger, nullable=False),
    Column("redirect_uri", Text),
    Column("code_challenge", Text),
    Column("dpop_jkt", Text),
    Column("request_secret", LargeBinary),
    Column("request_used_at", BigInteger),
    Column("code_secret", LargeBinary),
    Column("code_expires_at", BigInteger),
    Column("code_used_at", BigInteger),
    Column("handle_secret", LargeBinary),
    # The credential token or, after credentials/authorize, the SAD that the portal holds.
    Column("token_secret", LargeBinary),
    Column("token_jkt", Text),
    Column("token_x5t", Text),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("totp_factor_id", Identifier),
    Column("totp_step", BigInteger),
    Column("evidence_digest", LargeBinary),
    Column("authorized_at", BigInteger),
    Column("sad", LargeBinary),
    Column("used", Text, nullable=False),  # one "0" or "1" for each authorised signature
    Column("signing_since", BigInteger),
    Column("signing_key", LargeBinary),
    # JSON: request digest → signatures of the last call; those of calls before: signing_outcome.
    Column("outcomes", Text, nullable=False, server_default="{}"),
    Column("event_seq", Integer, nullable=False),
    Column("event_kind", Text, nullable=False),
    Column("event_at", BigInteger, nullable=False),
    Column("event_actor", Text, nullable=False),
    Column("event_detail", Text, nullable=False),
    # Of a decoupled request: how urgent (0 to 3), what the signer's search looks at, when the
    # signer picked the code that the portal shows, and how he refused: {"kind", "reason", "text"}.
    Column("urgency", SmallInteger, nullable=False, server_default="0"),
    Column("search_text", Text, nullable=False, server_default=text("''")),
    Column("matched_at", BigInteger),
    Column("denial", Text),
    Index("ix_signature_activation_subscriber_id_id", "subscriber_id", "id"),
)
# A trigger copies the code to totp_step, where it also meets those of changes of factors (migration
# 0015). This index goes with a later release, when no process is left that knows it alone.
Index(
    "uq_signature_activation_totp",
    signature_activation.c.totp_factor_id,
    signature_activation.c.totp_step,
    unique=True,
    sqlite_where=signature_activation.c.totp_factor_id.is_not(None),
    postgresql_where=signature_activation.c.totp_factor_id.is_not(None),
)

# SQLite uses a partial index only for a query that repeats its condition word for word.
OPEN = text("state IN ('PENDING', 'AUTHORIZED', 'SIGNING')")
Index(
    "ix_signature_activation_open",
    signature_activation.c.expires_at,
    sqlite_where=OPEN,
    postgresql_where=OPEN,
)

# The signer's list: what has no answer yet, by its end.
_PENDING = text("state = 'PENDING'")
Index(
    "ix_signature_activation_pending",
    *(signature_activation.c[_name] for _name in ("subscriber_id", "expires_at", "id")),
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)

# Signatures that are made after the answer (operationMode "A"): what to do, then what came of it.
signing_job = Table(
    "signing_job",
    metadata,
    Column("id", Identifier, primary_key=True),  # the responseID
    Column("client_id", Text, ForeignKey("oauth_client.id"), nullable=False),
    Column("subscriber_id", Identifier, nullable=False),
    Column("method", Text, nullable=False),  # signatures/signHash, …
    Column("state", Text, nullable=False),  # ACCEPTED | DONE
    # JSON; secrets that were presented are in it as digests only.
    Column("request", Text, nullable=False),
    Column("status", SmallInteger),  # HTTP status and JSON members that signPolling answers
    Column("answer", Text),
    Column("response_uri", Text),
    # When a worker may take it up: to make the signature, then to call back. NULL: nothing to do.
    Column("due_at", BigInteger),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
_DUE = text("due_at IS NOT NULL")
Index(
    "ix_signing_job_due",
    signing_job.c.due_at,
    sqlite_where=_DUE,
    postgresql_where=_DUE,
)

# Documents of jobs, and what came of them, in pieces: a process of any host may go on with a job.
job_part = Table(
    "job_part",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("job_id", Identifier, nullable=False),
    Column("name", Text, nullable=False),  # document-0, … as asked for; result-0, … as made
    Column("number", Integer, nullable=False),  # of the piece, from 0
    Column("content", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
Index("uq_job_part_place", job_part.c.job_id, job_part.c.name, job_part.c.number, unique=True)
