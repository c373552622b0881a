"""The state machine of a transaction. Nothing else writes ``sim_transaction``.

``CREATED → SENT → DELIVERED → SIGNED | REFUSED | EXPIRED | FAILED``, and ``CANCELLED`` from any
open state. Every step is one guarded UPDATE: of two that race, one finds the state it asks for.
What an operator delivers after the end is kept beside the row and told to the log, and is no
outcome.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from sim_adapter.causes import Ending
from sim_adapter.errors import SimBusy, TransactionConflict, TransactionOver, TransactionUnknown
from sim_adapter.identifiers import new_message_id, new_trans_id
from sim_adapter.models import callback as callback_table
from sim_adapter.models import sim_transaction as table
from sim_adapter.msisdn import mask

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from sim_adapter.db import Database
    from sim_adapter.mss.model import Signature

_log = logging.getLogger(__name__)

OPEN = ("CREATED", "SENT", "DELIVERED")
CANCELLED = Ending.own("cancelled", "CANCELLED")
EXPIRED = Ending.own("no_answer_in_time", "EXPIRED")


@dataclass(frozen=True, slots=True)
class Order:
    """What the rssp asks for. ``digest`` tells two bodies of the same id apart."""

    id: str
    digest: str
    operator: str
    msisdn: str
    mode: str
    display_text: str
    verification_code: str
    consent: bytes
    language: str
    callback: bool
    deadline: int


def create(database: Database, order: Order, now_ms: int) -> tuple[Row[Any], bool]:
    """The transaction of ``order``, and whether it is new.

    Errors: ``TransactionConflict`` (the id has another body), ``SimBusy``.
    """
    try:
        row = database.one(insert(table).values(_new(order, now_ms)).returning(table))
    except IntegrityError as error:
        return _repeated(database, order, error), False
    if row is None:
        raise TransactionUnknown("an INSERT that returned nothing")
    _log.info("created", extra=_about(row))
    return row, True


def _new(order: Order, now_ms: int) -> dict[str, object]:
    return {
        "id": order.id,
        "request_digest": order.digest,
        "operator": order.operator,
        "msisdn": order.msisdn,
        "open_msisdn": order.msisdn,
        "mode": order.mode,
        "display_text": order.display_text,
        "verification_code": order.verification_code,
        "consent": order.consent,
        "language": order.language,
        "callback": order.callback,
        "created_at": now_ms,
        "deadline": order.deadline,
        "state": "CREATED",
        "version": 1,
        "ap_trans_id": new_trans_id(),
        "next_at": now_ms,
    }


def _repeated(database: Database, order: Order, error: IntegrityError) -> Row[Any]:
    earlier = known(database, order.id)
    if earlier is None:
        raise SimBusy(f"{mask(order.msisdn)} has an open transaction") from error
    if earlier.request_digest != order.digest:
        raise TransactionConflict("the id belongs to another body") from error
    return earlier


def get(database: Database, identifier: str, now_ms: int) -> Row[Any]:
    """The transaction; one whose deadline has passed is expired first. ``TransactionUnknown``."""
    row = known(database, identifier)
    if row is None:
        raise TransactionUnknown(identifier)
    if row.state in OPEN and row.deadline <= now_ms:
        settle(database, identifier, EXPIRED, None, now_ms)
        row = known(database, identifier) or row
    return row


def known(database: Database, identifier: str) -> Row[Any] | None:
    """The transaction as it stands; None where there is none."""
    return database.one(select(table).where(table.c.id == identifier))


def find(database: Database, operator: str, ap_trans_id: str) -> Row[Any] | None:
    """The transaction that we asked ``operator`` for as ``ap_trans_id``."""
    same = (table.c.operator == operator, table.c.ap_trans_id == ap_trans_id)
    return database.one(select(table).where(*same))


def cancel(database: Database, identifier: str, now_ms: int) -> Row[Any]:
    """Withdraw an open transaction; repeating it is harmless. ``TransactionOver`` otherwise.

    It may overtake its own PUT: that one then finds the id taken, and nobody is asked.
    """
    if known(database, identifier) is None:
        _forestall(database, identifier, now_ms)
    if settle(database, identifier, CANCELLED, None, now_ms):
        return get(database, identifier, now_ms)
    row = get(database, identifier, now_ms)
    if row.state != "CANCELLED":
        raise TransactionOver(f"{identifier} is {row.state}")
    return row


def _forestall(database: Database, identifier: str, now_ms: int) -> None:
    """A transaction that is over before it was asked for; nothing where the PUT came first."""
    nothing = Order(identifier, "", "", "", "", "", "", b"", "vi", callback=False, deadline=now_ms)
    over = {
        "state": CANCELLED.state,
        "open_msisdn": None,
        "next_at": None,
        "finished_at": now_ms,
        "outcome_name": CANCELLED.name,
        "outcome_cause": CANCELLED.cause,
    }
    _log.info("withdrawn before it was asked for", extra={"transaction": identifier})
    with suppress(IntegrityError):
        database.all(insert(table).values(_new(nothing, now_ms) | over))


def begin_sending(database: Database, row: Row[Any], now_ms: int, lease_until: int) -> bool:
    """Note that the operator is about to be asked. False: cancelled meanwhile."""
    guard = (table.c.id == row.id, table.c.state == "CREATED", table.c.sent_at.is_(None))
    values = {"sent_at": now_ms, "next_at": lease_until}
    return (
        database.one(update(table).where(*guard).values(values).returning(table.c.id)) is not None
    )


def not_sent(database: Database, row: Row[Any], next_at: int) -> None:
    """The operator did not take it: try again at ``next_at``."""
    guard = (table.c.id == row.id, table.c.state == "CREATED")
    values = {"sent_at": None, "tries": table.c.tries + 1, "next_at": next_at}
    database.all(update(table).where(*guard).values(values))


def accepted(database: Database, row: Row[Any], mssp_trans_id: str, next_at: int) -> bool:
    """The operator has it as ``mssp_trans_id``. False: it was cancelled meanwhile.

    Even then the operator's id is kept, so that what the phone does is heard of.
    """
    kept = {"mssp_trans_id": mssp_trans_id, "next_at": next_at, "tries": 0}
    guard = (table.c.id == row.id, table.c.state == "CREATED")
    step = {**kept, "state": "SENT", "version": table.c.version + 1}
    if database.one(update(table).where(*guard).values(step).returning(table.c.id)) is not None:
        return True
    late = (table.c.id == row.id, table.c.mssp_trans_id.is_(None))
    database.all(update(table).where(*late).values(kept))
    return False


def delivered(database: Database, row: Row[Any], next_at: int) -> bool:
    """The operator says that the phone has it (code 400)."""
    guard = (table.c.id == row.id, table.c.state == "SENT")
    step = {"state": "DELIVERED", "version": table.c.version + 1, "next_at": next_at, "tries": 0}
    return database.one(update(table).where(*guard).values(step).returning(table.c.id)) is not None


def postpone(
    database: Database, row: Row[Any], next_at: int | None, *, failed: bool = False
) -> None:
    """Look at it again at ``next_at`` (None: never). ``failed`` counts a call without an answer."""
    values = {"next_at": next_at, "tries": table.c.tries + 1 if failed else 0}
    database.all(update(table).where(table.c.id == row.id).values(values))


def settle(
    database: Database, identifier: str, ending: Ending, signature: Signature | None, now_ms: int
) -> bool:
    """Write the end, if there is none yet, and the message that tells the rssp of it.

    A signature counts before the deadline only. False: it was over; a signature is then kept as
    late and told to the log.
    """
    with database.transaction() as connection:
        row = _finish(connection, identifier, ending, signature, now_ms)
    if row is not None:
        _log.info("finished", extra=_about(row))
        return True
    if signature is not None:
        _keep_late(database, identifier, signature, now_ms)
    return False


def _finish(
    connection: Connection,
    identifier: str,
    ending: Ending,
    signature: Signature | None,
    now_ms: int,
) -> Row[Any] | None:
    guard = [table.c.id == identifier, table.c.state.in_(OPEN)]
    if ending.state == "SIGNED":
        guard.append(table.c.deadline > now_ms)
    watched = ending.state in {"CANCELLED", "EXPIRED"} and ending.code is None
    values: dict[str, object] = {
        "state": ending.state,
        "version": table.c.version + 1,
        "open_msisdn": None,
        "finished_at": now_ms,
        "outcome_code": ending.code,
        "outcome_name": ending.name,
        "outcome_cause": ending.cause,
        # The phone may still show the question: listen a while for what becomes of it.
        "next_at": now_ms if watched else None,
        "tries": 0,
    }
    if signature is not None:
        values |= {"signature": signature.value, "certificate": signature.certificate}
    row = connection.execute(update(table).where(*guard).values(values).returning(table)).first()
    if row is not None and row.callback:
        connection.execute(insert(callback_table).values(_callback(row, now_ms)))
    return row


def _callback(row: Row[Any], now_ms: int) -> dict[str, object]:
    data = {"id": row.id, "state": row.state, "version": row.version}
    body = {"type": "transaction.finished", "timestamp": now_ms, "data": data}
    return {
        "id": new_message_id(),
        "transaction_id": row.id,
        "body": json.dumps(body, separators=(",", ":")),
        "created_at": now_ms,
        "next_at": now_ms,
    }


def _keep_late(database: Database, identifier: str, signature: Signature, now_ms: int) -> None:
    """A signature that came when it was over. Exactly one alarm for each such transaction."""
    settle(database, identifier, EXPIRED, None, now_ms)  # open still, but after its deadline
    guard = (
        table.c.id == identifier,
        table.c.state.not_in([*OPEN, "SIGNED"]),
        table.c.late_signature.is_(None),
    )
    values = {"late_signature": signature.value, "late_at": now_ms, "next_at": None}
    row = database.one(update(table).where(*guard).values(values).returning(table))
    if row is not None:
        _log.error("alarm: a signature came after the end", extra=_about(row))
        return
    other = (table.c.id == identifier, table.c.state == "SIGNED")
    signed = database.one(select(table).where(*other, table.c.signature != signature.value))
    if signed is not None:
        _log.error("alarm: a second, different signature", extra=_about(signed))


def prune(database: Database, before_ms: int) -> None:
    """Remove what ended before ``before_ms``."""
    database.prune(table, table.c.finished_at < before_ms)
    database.prune(callback_table, callback_table.c.created_at < before_ms)


def _about(row: Row[Any]) -> dict[str, object]:
    return {
        "transaction": row.id,
        "operator": row.operator,
        "number": mask(row.msisdn),
        "state": row.state,
        "outcome": row.outcome_name,
        "outcome_code": row.outcome_code,
    }
