"""Key generation on a SIM: ``CREATED → SENT → DONE | REFUSED | EXPIRED | FAILED``.

The operator holds the call open while the person sets a PIN, so a registration is one call. Nothing
else writes ``sim_registration``.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from sim_adapter.ap import requests
from sim_adapter.asking import LEASE_MARGIN_MS, ending_of
from sim_adapter.causes import Ending
from sim_adapter.errors import (
    OperatorAnswerInvalid,
    OperatorFault,
    SimBusy,
    TransactionConflict,
    TransactionOver,
    TransactionUnknown,
)
from sim_adapter.models import sim_registration as table
from sim_adapter.msisdn import mask
from sim_adapter.mss import codes
from sim_adapter.mss.model import Fault, RegistrationResp

if TYPE_CHECKING:
    from sqlalchemy import Row

    from sim_adapter.db import Database
    from sim_adapter.deps import Services

_log = logging.getLogger(__name__)
OPEN = ("CREATED", "SENT")
_DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Order:
    """What the rssp asks for. ``credential_id`` and ``challenge`` go into the SIM's proof."""

    id: str
    digest: str
    operator: str
    msisdn: str
    credential_id: str
    challenge: bytes
    relying_party: str
    verification_code: str
    algorithm: str
    replace: bool
    mode: str
    language: str
    deadline: int


def create(database: Database, order: Order, now_ms: int) -> tuple[Row[Any], bool]:
    """The registration, and whether it is new. Errors: ``TransactionConflict``, ``SimBusy``."""
    values = {
        "id": order.id,
        "request_digest": order.digest,
        "operator": order.operator,
        "msisdn": order.msisdn,
        "open_msisdn": order.msisdn,
        "credential_id": order.credential_id,
        "challenge": order.challenge,
        "relying_party": order.relying_party,
        "verification_code": order.verification_code,
        "algorithm": order.algorithm,
        "replace": order.replace,
        "mode": order.mode,
        "language": order.language,
        "created_at": now_ms,
        "deadline": order.deadline,
        "state": "CREATED",
        "version": 1,
        "next_at": now_ms,
    }
    try:
        row = database.one(insert(table).values(values).returning(table))
    except IntegrityError as error:
        earlier = known(database, order.id)
        if earlier is None:
            raise SimBusy(f"{mask(order.msisdn)} has an open registration") from error
        if earlier.request_digest != order.digest:
            raise TransactionConflict("the id belongs to another body") from error
        return earlier, False
    if row is None:
        raise TransactionUnknown("an INSERT that returned nothing")
    return row, True


def known(database: Database, identifier: str) -> Row[Any] | None:
    """The registration as it stands; None where there is none."""
    return database.one(select(table).where(table.c.id == identifier))


def get(database: Database, identifier: str) -> Row[Any]:
    """The registration; ``TransactionUnknown``."""
    row = known(database, identifier)
    if row is None:
        raise TransactionUnknown(identifier)
    return row


def begin(database: Database, row: Row[Any], now_ms: int, lease_until: int) -> bool:
    """Note that the operator is about to be asked."""
    guard = (table.c.id == row.id, table.c.state == "CREATED")
    step = {
        "state": "SENT",
        "version": table.c.version + 1,
        "sent_at": now_ms,
        "next_at": lease_until,
    }
    return database.one(update(table).where(*guard).values(step).returning(table.c.id)) is not None


def finish(
    database: Database, row: Row[Any], ending: Ending, answer: RegistrationResp | None = None
) -> None:
    """Write the end, if there is none yet."""
    guard = (table.c.id == row.id, table.c.state.in_(OPEN))
    values: dict[str, object] = {
        "state": ending.state,
        "version": table.c.version + 1,
        "open_msisdn": None,
        "next_at": None,
        "outcome_code": ending.code,
        "outcome_name": ending.name,
        "outcome_cause": ending.cause,
    }
    possession = answer.status.possession if answer is not None else None
    if answer is not None and possession is not None:
        values |= {
            "public_key": answer.public_key,
            "proof": possession.proof,
            "iccid": possession.iccid,
        }
    database.all(update(table).where(*guard).values(values))
    about = {"registration": row.id, "number": mask(row.msisdn), "outcome": ending.name}
    _log.info("registration finished", extra=about)


def prune(database: Database, before_ms: int) -> None:
    """Remove what had to be over before ``before_ms``."""
    database.prune(table, table.c.deadline < before_ms)


async def attend(services: Services, row: Row[Any]) -> None:
    """Have the key made."""
    client, now = services.clients.get(row.operator), services.now_ms()
    database = services.database
    if client is None or row.sent_at is not None or row.deadline <= now:
        is_late = row.sent_at is None and row.deadline <= now
        ending = (
            Ending.own("no_answer_in_time", "EXPIRED")
            if is_late
            else Ending.own("send_interrupted")
        )
        await asyncio.to_thread(finish, database, row, ending)
        services.bells.ring(row.id)
        return
    patience = (row.deadline - now) / 1000 + client.config.timeout
    lease = now + int((patience + client.config.connect_timeout) * 1000) + LEASE_MARGIN_MS
    if not await asyncio.to_thread(begin, database, row, now, lease):
        return
    services.bells.ring(row.id)
    try:
        request = requests.key_generation(client, row, now)
        answer = await client.ask(request, RegistrationResp, patience)
    except OperatorFault as error:
        _log.warning("registration", extra={"registration": row.id, "cause": str(error)})
        await asyncio.to_thread(finish, database, row, ending_of(error))
    else:
        await asyncio.to_thread(finish, database, row, *_conclusion(answer))
    services.bells.ring(row.id)


def _conclusion(answer: RegistrationResp | Fault) -> tuple[Ending, RegistrationResp | None]:
    ending = Ending.of_code(answer.code if isinstance(answer, Fault) else answer.status.code)
    if ending.state in {"REFUSED", "EXPIRED", "FAILED"}:
        return ending, None
    if ending.state == _DONE and not isinstance(answer, Fault) and _is_complete(answer):
        return ending, answer
    return Ending.own("operator_answer_invalid"), None


def _is_complete(answer: RegistrationResp) -> bool:
    return answer.public_key is not None and answer.status.possession is not None


async def hand_over(services: Services, identifier: str, certificate: bytes) -> Row[Any]:
    """Give the operator the certificate of the key that was made; repeating it is harmless.

    Errors: ``TransactionUnknown``, ``TransactionOver`` (no key was made), ``TransactionConflict``
    (another certificate went before), ``OperatorFault``.
    """
    row = await asyncio.to_thread(get, services.database, identifier)
    digest = hashlib.sha256(certificate).hexdigest()
    if row.state != _DONE or row.operator not in services.clients:
        raise TransactionOver(f"{identifier} is {row.state}")
    if row.certificate_digest not in {None, digest}:
        raise TransactionConflict(f"{identifier} has another certificate")
    if row.certificate_digest is None:
        client = services.clients[row.operator]
        request = requests.certificate(client, row, certificate, services.now_ms())
        answer = await client.ask(request, RegistrationResp, client.config.timeout)
        code = answer.code if isinstance(answer, Fault) else answer.status.code
        if isinstance(answer, Fault) or code not in {codes.REQUEST_OK, codes.REGISTRATION_OK}:
            raise OperatorAnswerInvalid(f"the operator does not take the certificate: {code}")
        step = {"certificate_digest": digest, "version": table.c.version + 1}
        guard = (table.c.id == identifier, table.c.certificate_digest.is_(None))
        await asyncio.to_thread(services.database.all, update(table).where(*guard).values(step))
        services.bells.ring(identifier)
    return await asyncio.to_thread(get, services.database, identifier)
