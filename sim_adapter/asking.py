"""What is done for a transaction whose time has come: ask the operator, and draw the conclusion.

The row was taken up with a lease (:mod:`sim_adapter.leases`); each way out of here finishes it or
says when to look again. Nothing an operator answers can do more than end its own transaction.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from sim_adapter import signature_format, transactions
from sim_adapter.ap import requests
from sim_adapter.causes import Ending
from sim_adapter.errors import (
    InvalidInput,
    OperatorAnswerInvalid,
    OperatorAnswerMismatch,
    OperatorFault,
    OperatorSlow,
    OperatorUnreachable,
    Unavailable,
)
from sim_adapter.mss import codes
from sim_adapter.mss.model import Fault, Signature, SignatureResp, StatusResp

if TYPE_CHECKING:
    from sqlalchemy import Row

    from sim_adapter.ap.client import OperatorClient
    from sim_adapter.deps import Services

_log = logging.getLogger(__name__)

SEND_TRIES = 3
POLL_TRIES = 5
LEASE_MARGIN_MS = 15_000
_LAST_LOOK_MS = 1_500  # before the deadline, so that an approval in time is also heard in time
_ENDINGS: dict[type[OperatorFault], Ending] = {
    OperatorUnreachable: Ending.own("operator_unreachable"),
    OperatorSlow: Ending.own("operator_slow"),
    OperatorAnswerInvalid: Ending.own("operator_answer_invalid"),
    OperatorAnswerMismatch: Ending.own("operator_answer_mismatch"),
}
_INTERRUPTED = Ending.own("send_interrupted")
Told = SignatureResp | StatusResp


async def attend(services: Services, row: Row[Any]) -> None:
    """Do what ``row`` needs now."""
    client = services.clients.get(row.operator)
    if client is None:  # taken out of the configuration while the row was open
        await _settle(services, row, Ending.own("operator_unreachable"))
    elif row.state == "CREATED":
        await _send(services, client, row)
    elif row.mssp_trans_id is None:
        await _postpone(services, row, None)  # cancelled before it was sent: nothing to hear
    else:
        await _poll(services, client, row)


def ending_of(error: OperatorFault) -> Ending:
    """How a transaction ends whose operator gave no usable answer."""
    return _ENDINGS[type(error)]


async def _send(services: Services, client: OperatorClient, row: Row[Any]) -> None:
    now = services.now_ms()
    if row.sent_at is not None:
        # A process died between asking and noting the answer. Asking again would show the person
        # a second question, and TS 102 204 has no way to find the first one.
        await _settle(services, row, _INTERRUPTED)
        return
    if row.deadline <= now:
        await _settle(services, row, transactions.EXPIRED)
        return
    patience = _patience(client, row, now)
    lease = now + int((patience + client.config.connect_timeout) * 1000) + LEASE_MARGIN_MS
    if not await asyncio.to_thread(transactions.begin_sending, services.database, row, now, lease):
        return
    try:
        request = requests.signature(client, row, now)
        answer = await client.ask(request, SignatureResp, patience)
    except OperatorUnreachable as error:
        await _retry_send(services, row, error)
    except OperatorFault as error:
        _alarm(row, error)
        await _settle(services, row, ending_of(error))
    else:
        await conclude(services, client, row, answer)


def _patience(client: OperatorClient, row: Row[Any], now_ms: int) -> float:
    """Seconds to wait: for a person only where the operator holds the answer open (synch)."""
    if client.config.mode != "synch":
        return client.config.timeout
    return float((row.deadline - now_ms) / 1000 + client.config.timeout)


async def _retry_send(services: Services, row: Row[Any], error: OperatorUnreachable) -> None:
    next_at = services.now_ms() + 1000 * 2**row.tries
    if row.tries + 1 >= SEND_TRIES or next_at >= row.deadline:
        _log.warning("operator unreachable", extra=_about(row, error))
        await _settle(services, row, ending_of(error))
        return
    await asyncio.to_thread(transactions.not_sent, services.database, row, next_at)


async def _poll(services: Services, client: OperatorClient, row: Row[Any]) -> None:
    try:
        request = requests.status(client, row, services.now_ms())
        answer = await client.ask(request, StatusResp, client.config.timeout, row.msisdn)
        await conclude(services, client, row, answer)
    except Unavailable:
        raise  # our own database: the row is due again when its lease is over
    except OperatorAnswerMismatch as error:
        _alarm(row, error)
        await _settle(services, row, ending_of(error))
    except OperatorFault as error:
        await _retry_poll(services, client, row, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, no row comes round for ever
        _log.exception("unforeseen", extra=_about(row, error))
        garbled = OperatorAnswerInvalid(f"{type(error).__name__} {error}")
        await _retry_poll(services, client, row, garbled)


async def _retry_poll(
    services: Services, client: OperatorClient, row: Row[Any], error: OperatorFault
) -> None:
    """Asking for the state again does no harm, so a lost or garbled answer is borne for a while."""
    _log.warning("no answer to a status query", extra=_about(row, error))
    if row.tries + 1 >= POLL_TRIES and row.state in transactions.OPEN:
        await _settle(services, row, ending_of(error))
        return
    await _look_again(services, client, row, failed=True)


async def conclude(
    services: Services, client: OperatorClient, row: Row[Any], answer: Told | Fault
) -> None:
    """Draw the conclusion from what the operator told of ``row``, asked or unasked."""
    if row.state == "CREATED" and not isinstance(answer, Fault):
        await _keep_trans_id(services, client, row, answer)
    code = answer.code if isinstance(answer, Fault) else answer.status.code
    ending = Ending.of_code(code)
    if ending.state == "PENDING" and not isinstance(answer, Fault):
        await _still_pending(services, client, row, answer)
    elif ending.state == "SIGNED" and not isinstance(answer, Fault):
        await _signed(services, row, ending, answer.signature)
    else:
        # A fault that carries a number of a good status, or DONE, is no way to sign.
        final = ending if ending.state in {"REFUSED", "EXPIRED", "FAILED"} else _unfit(ending)
        if code in {codes.REVOKED_CERTIFICATE, codes.INVALID_SIGNATURE}:
            _log.error("alarm: the operator calls the signature bad", extra=_about(row, None))
        await _settle(services, row, final)


async def _keep_trans_id(
    services: Services, client: OperatorClient, row: Row[Any], answer: Told
) -> None:
    """Before anything else: for the receipt, and for what comes after a cancelling."""
    if answer.trans_id is None:
        return
    next_at = _next_look(client, row, services.now_ms(), first=True)
    if await asyncio.to_thread(
        transactions.accepted, services.database, row, answer.trans_id, next_at
    ):
        services.bells.ring(row.id)


def _unfit(ending: Ending) -> Ending:
    return Ending("FAILED", ending.code, ending.name, "operator_answer_invalid")


async def _signed(
    services: Services, row: Row[Any], ending: Ending, signature: Signature | None
) -> None:
    try:
        signature_format.check(signature)
    except InvalidInput as error:
        _alarm(row, error)
        await _settle(services, row, _unfit(ending))
        return
    await _settle(services, row, ending, signature)


async def _still_pending(
    services: Services, client: OperatorClient, row: Row[Any], answer: Told
) -> None:
    if client.config.mode == "synch" and row.state in transactions.OPEN:
        await _settle(services, row, ending_of(OperatorAnswerInvalid("no end in synch mode")))
    elif row.state == "SENT" and answer.status.code == codes.USER_SIGN:
        next_at = _next_look(client, row, services.now_ms())
        if await asyncio.to_thread(transactions.delivered, services.database, row, next_at):
            services.bells.ring(row.id)
    elif row.state != "CREATED":
        await _look_again(services, client, row)


async def _look_again(
    services: Services, client: OperatorClient, row: Row[Any], *, failed: bool = False
) -> None:
    now = services.now_ms()
    if row.state in transactions.OPEN:
        if row.deadline <= now:
            await _settle(services, row, transactions.EXPIRED)
            return
        await _postpone(services, row, _next_look(client, row, now), failed=failed)
        return
    watched_until = row.finished_at + services.config.timing.grace * 1000
    next_at = now + int(client.config.poll * 1000)
    await _postpone(services, row, next_at if next_at < watched_until else None, failed=failed)


def _next_look(client: OperatorClient, row: Row[Any], now_ms: int, *, first: bool = False) -> int:
    """In a while; once more shortly before the deadline; and at the deadline."""
    config = client.config
    if config.mode == "asynchServerServer":
        wanted = int(row.deadline)  # the operator calls; this is in case it does not
    else:
        wanted = now_ms + int((config.first_poll if first else config.poll) * 1000)
    deadline: int = row.deadline
    last = deadline - _LAST_LOOK_MS
    if wanted < last:
        return wanted
    return last if now_ms < last - _LAST_LOOK_MS else deadline


async def _settle(
    services: Services, row: Row[Any], ending: Ending, signature: Signature | None = None
) -> None:
    settled = await asyncio.to_thread(
        transactions.settle, services.database, row.id, ending, signature, services.now_ms()
    )
    if not settled:
        await _postpone(services, row, None)  # it was over, and so is the watch
    services.bells.ring(row.id)


async def _postpone(
    services: Services, row: Row[Any], next_at: int | None, *, failed: bool = False
) -> None:
    await asyncio.to_thread(transactions.postpone, services.database, row, next_at, failed=failed)


def _alarm(row: Row[Any], error: Exception) -> None:
    _log.error("alarm: an answer that cannot be right", extra=_about(row, error))


def _about(row: Row[Any], error: Exception | None) -> dict[str, object]:
    about: dict[str, object] = {"transaction": row.id, "operator": row.operator}
    if error is not None:
        about |= {"fault": type(error).__name__, "cause": str(error)}
    return about
