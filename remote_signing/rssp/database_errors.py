"""What the database refuses, as facts of the domain.

During an upgrade the schema is newer than the processes that still run (docs/deployment.md): a rule
that this release does not know refuses what it asks. The statement has then changed nothing and
something else was first, so it is a conflict (409 and its like); a rule that this release does
know, and should have kept, is a fault of ours (500).
"""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Final

import psycopg
from sqlalchemy.exc import OperationalError

from remote_signing.errors import (
    ActivationConflict,
    CredentialLocked,
    EvidenceReplayed,
    InvalidInput,
    PasskeyRefused,
    RemoteSigningError,
    ReplayDetected,
    SimBusy,
    Unavailable,
)
from remote_signing.rssp.models import metadata

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

_log = logging.getLogger(__name__)

# What the triggers of migrations/ say, and the unique indexes, as facts of the domain. SQLite
# names the columns of a violated index, PostgreSQL the index.
_ABORTS: Final[dict[str, type[RemoteSigningError]]] = {
    "credential locked": CredentialLocked,
    "activation step not allowed": ActivationConflict,
}
_UNIQUE: Final[dict[str, type[RemoteSigningError]]] = {
    "uq_signature_activation_totp": EvidenceReplayed,
    "signature_activation.totp_factor_id": EvidenceReplayed,
    "pk_totp_step": EvidenceReplayed,
    "totp_step.step": EvidenceReplayed,
    "pk_replay": ReplayDetected,
    "replay.digest": ReplayDetected,
    "uq_subscriber_username": InvalidInput,
    "subscriber.username": InvalidInput,
    "pk_oauth_client": InvalidInput,
    "oauth_client.id": InvalidInput,
    "uq_agency_code": InvalidInput,
    "agency.code": InvalidInput,
    "uq_passkey_webauthn_id": PasskeyRefused,
    "uq_sign_in_passkey_webauthn_id": PasskeyRefused,
    "passkey.webauthn_id": PasskeyRefused,  # of both kinds
    "uq_sim_transaction_": SimBusy,
    "sim_transaction.msisdn": SimBusy,
    "sim_transaction.activation_id": SimBusy,
}
# What only a mistake of ours can run into: not a refusal of something that somebody asked for.
_MISTAKES: Final = (
    "is insert-only",
    "without an event",
    "certificate was issued",
    "certificate is revoked",
    "weeks ahead",
)
# Names that PostgreSQL makes up for the weeks of this table are nobody's news.
_IN_WEEKS: Final = "audit_event"
_KNOWN: Final = frozenset(
    str(each.name)
    for table in metadata.tables.values()
    for each in table.constraints | table.indexes
)


def domain_error(error: DBAPIError) -> RemoteSigningError | None:
    """The fact that ``error`` tells of; None: a fault that nobody foresaw."""
    message = str(error.orig)
    lost = isinstance(error, OperationalError) and not _is_wrong_statement(error)
    if lost or error.connection_invalidated:
        return Unavailable(f"database: {message}")
    for text, kind in (_ABORTS | _UNIQUE).items():
        if text in message:
            return kind(f"database: {message}")
    if _is_of_a_later_release(error.orig):
        _log.warning("refused by a rule of a later release", extra={"cause": message})
        return ActivationConflict(f"database: {message}")
    return None


def _is_of_a_later_release(error: BaseException | None) -> bool:
    """Whether a trigger or a unique index refuses that this release does not know.

    Only where processes of two releases may meet: PostgreSQL. A check or a reference that what we
    write does not meet is no refusal but a schema that does not fit us.
    """
    if isinstance(error, psycopg.errors.RaiseException):
        return not any(text in str(error) for text in _MISTAKES)
    if isinstance(error, psycopg.errors.UniqueViolation):
        table, name = error.diag.table_name or "", error.diag.constraint_name
        return name not in _KNOWN and not table.startswith(_IN_WEEKS)
    return False


def _is_wrong_statement(error: OperationalError) -> bool:
    """SQLite uses one class for that and for a locked file."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_ERROR
