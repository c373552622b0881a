"""The certificates that the issuing authority made: which are good, suspended, revoked.

Every change of a state counts ``certificate_list.changes`` up in the same transaction, so a CRL
that was made before the change cannot be stored after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cryptography import x509
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from remote_signing.errors import ActivationConflict
from remote_signing.rssp.models import certificate_list, issued_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from remote_signing.rssp.db import Database

State = Literal["good", "suspended", "revoked"]
HOLD = "certificateHold"
REASONS = (
    "unspecified",
    "keyCompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
)
"""CRLReasons (RFC 5280 cl. 5.3.1) that fit the certificate of a signer, and are for ever."""

_BEFORE: dict[State, tuple[State, ...]] = {
    "good": ("suspended",),
    "suspended": ("good",),
    "revoked": ("good", "suspended"),
}
_ISSUING = "issuing"
_STILL_NAMED_MS = 30 * 86_400_000
_TABLE = issued_certificate.c
_LIST = certificate_list.c


def serial_text(number: int) -> str:
    """A serial number as the table keeps it."""
    return f"{number:X}"


def record(connection: Connection, certificate: bytes, credential_id: str | None) -> None:
    """List a certificate (DER) as good; once is enough. One statement."""
    parsed = x509.load_der_x509_certificate(certificate)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(issued_certificate).on_conflict_do_nothing()
    connection.execute(
        statement,
        {
            "serial": serial_text(parsed.serial_number),
            "credential_id": credential_id,
            "certificate": certificate,
            "not_after": int(parsed.not_valid_after_utc.timestamp()) * 1000,
            "state": "good",
        },
    )


def of_credential(database: Database, credential_id: str) -> Sequence[Row[Any]]:
    """Serial, end and state of every certificate that its key has got here. One statement."""
    return database.all(_OF_CREDENTIAL, {"the_credential": credential_id})


def changeable(certificates: Sequence[Row[Any]], wanted: State) -> list[Row[Any]]:
    """Those of :func:`of_credential` that can get the state."""
    return [each for each in certificates if each.state in _BEFORE[wanted]]


def is_on_hold(connection: Connection, credential_id: str) -> bool:
    """Whether a certificate of the credential is suspended. One statement."""
    found = connection.execute(_OF_CREDENTIAL, {"the_credential": credential_id})
    return any(each.state == "suspended" for each in found)


@dataclass(frozen=True, slots=True)
class Change:
    """Certificates of a credential get another state, at a time (ms), for a CRLReason."""

    credential_id: str
    serials: tuple[str, ...]
    state: State
    at_ms: int
    reason: str | None = None


def change(connection: Connection, wanted: Change) -> None:
    """Make a change. Two statements.

    ``ActivationConflict`` when one of them cannot get the state (any more), or there are none.
    """
    statement = update(issued_certificate).where(
        _TABLE.serial.in_(wanted.serials),
        _TABLE.credential_id == wanted.credential_id,
        _TABLE.state.in_(_BEFORE[wanted.state]),
    )
    values = {"state": wanted.state, "reason": wanted.reason, "changed_at": wanted.at_ms}
    changed = connection.execute(statement.values(values)).rowcount
    if not 0 < changed == len(wanted.serials):
        raise ActivationConflict(f"{changed} certificates can become {wanted.state}")
    connection.execute(_COUNT_UP)


def find(database: Database, serial: int) -> Row[Any] | None:
    """Serial, certificate, state, changed_at and reason. One statement."""
    return database.one(_ONE, {"the_serial": serial_text(serial)})


def current(database: Database) -> Row[Any] | None:
    """The published CRL with its number, both counts of changes, and when to make the next."""
    return database.one(_CURRENT)


def listed(database: Database, now_ms: int) -> Sequence[Row[Any]]:
    """Serial, changed_at, reason of what a CRL names: revoked or suspended.

    What has ended is named for a while longer (RFC 5280 cl. 3.3 asks for one more CRL).
    """
    return database.all(_LISTED, {"since": now_ms - _STILL_NAMED_MS})


def publish(database: Database, crl: bytes, number: int, changes: int, refresh_at: int) -> bool:
    """Store a CRL; False when a change or a higher number came first. One guarded statement."""
    values = {
        "the_crl": crl,
        "the_number": number,
        "the_changes": changes,
        "the_time": refresh_at,
    }
    return database.run(_PUBLISH, values) == 1


_COUNT_UP = update(certificate_list).where(_LIST.id == _ISSUING).values(changes=_LIST.changes + 1)
_ONE = select(
    *(_TABLE.serial, _TABLE.certificate, _TABLE.state, _TABLE.changed_at, _TABLE.reason)
).where(_TABLE.serial == bindparam("the_serial"))
_OF_CREDENTIAL = (
    select(_TABLE.serial, _TABLE.not_after, _TABLE.state)
    .where(_TABLE.credential_id == bindparam("the_credential", type_=_TABLE.credential_id.type))
    .order_by(_TABLE.serial)
)
_CURRENT = select(certificate_list).where(_LIST.id == _ISSUING)
_LISTED = (
    select(_TABLE.serial, _TABLE.changed_at, _TABLE.reason)
    .where(_TABLE.state != "good", _TABLE.not_after > bindparam("since"))
    .order_by(_TABLE.serial)
)
_PUBLISH = (
    update(certificate_list)
    .where(
        _LIST.id == _ISSUING,
        _LIST.changes == bindparam("the_changes"),
        _LIST.number < bindparam("the_number"),
    )
    .values(
        crl=bindparam("the_crl"),
        number=bindparam("the_number"),
        crl_changes=bindparam("the_changes"),
        refresh_at=bindparam("the_time"),
    )
)
