"""The tables. SQLAlchemy Core, one shape for SQLite and PostgreSQL.

Times are integer milliseconds since the epoch, UTC. Lists and objects are JSON text. Secrets that
were handed out (:class:`remote_signing.identifiers.Ticket`) are kept as SHA-256 only. Triggers,
which SQLAlchemy does not know, are in ``migrations/`` alone; a test compares both.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import VARCHAR
from sqlalchemy.types import Boolean

_ID_LENGTH = 26

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Collation "C": identifiers are compared byte by byte, so that they sort by time in any locale.
Identifier = String(_ID_LENGTH).with_variant(VARCHAR(_ID_LENGTH, collation="C"), "postgresql")
# SQLite counts rows up by itself only in a column declared exactly INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")

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
    # disabled | enabled | suspended | revoked | destroyed
    Column("state", Text, nullable=False),
    Column("scal", Text, nullable=False),  # "1" | "2"
    Column("multisign", Integer, nullable=False),
    Column("description", Text),
    Column("auth_mode", Text, nullable=False),  # oauth2code | explicit
    # [{"id", "kind"}] of the sealed factors: which evidence to ask for. The SAM trusts its own.
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
    Column("outcomes", Text, nullable=False, server_default="{}"),  # request digest → signatures
    Column("event_seq", Integer, nullable=False),
    Column("event_kind", Text, nullable=False),
    Column("event_at", BigInteger, nullable=False),
    Column("event_actor", Text, nullable=False),
    Column("event_detail", Text, nullable=False),
    Index("ix_signature_activation_subscriber_id_id", "subscriber_id", "id"),
)
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

# What was seen once and must not be seen again: client assertions, DPoP proofs.
replay = Table(
    "replay",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# INSERT-only: triggers refuse UPDATE and DELETE. Ids are copies, not foreign keys: the record
# outlives what it tells of. `sequence` counts the events of one activation without a gap.
audit_event = Table(
    "audit_event",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("client_id", Text),
    Column("subscriber_id", Identifier),
    Column("credential_id", Identifier),
    Column("activation_id", Identifier),
    Column("sequence", Integer),
    Column("state", Text),  # of the activation after the event
    Column("detail", Text, nullable=False),
    Index("ix_audit_event_activation_id", "activation_id", "number"),
    Index("ix_audit_event_subscriber_id", "subscriber_id", "number"),
    Index("ix_audit_event_at", "at", "number"),
    sqlite_autoincrement=True,
)

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
