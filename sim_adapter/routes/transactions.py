"""``/v1/transactions``: what the rssp wants a person to sign, and what became of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from sim_adapter import causes, display_text, signature_format, transactions
from sim_adapter.ap import requests
from sim_adapter.causes import Ending
from sim_adapter.errors import DeadlinePassed, TransactionConflict, TransactionOver
from sim_adapter.mss.model import Fault, ReceiptResp
from sim_adapter.routes.requests import (
    Authorized,
    Base64,
    Body,
    Identifier,
    Msisdn,
    ServicesDep,
    digest_of,
    from_base64,
    read_model,
    to_base64,
)

if TYPE_CHECKING:
    from sqlalchemy import Row

    from sim_adapter.deps import Services

router = APIRouter(prefix="/v1/transactions", dependencies=[Authorized])
_LONGEST_WAIT = 30.0
_CREATED = 201


class TransactionOrder(Body):
    """``consent`` is the consent structure's bytes; its SHA-256 is what mode digest signs."""

    msisdn: Msisdn
    operator: str | None = Field(default=None, max_length=64)
    mode: Literal["structure", "digest", "text"]
    display_text: str = Field(max_length=1000)
    verification_code: str = Field(pattern=r"^[0-9]{4,8}$")
    consent: Base64 = Field(min_length=4, max_length=12_000)
    deadline: int  # milliseconds since the Unix epoch
    language: Literal["vi", "en"] = "vi"
    callback: bool = False


class ReceiptOrder(Body):
    """What the phone is to show now that the signature was used."""

    message: str = Field(max_length=1000)


@router.put("/{identifier}")
async def put(
    identifier: Identifier, request: Request, response: Response, services: ServicesDep
) -> dict[str, Any]:
    """Make the transaction, or find the one that the same body made before."""
    order = await read_model(request, TransactionOrder)
    row, is_new = await asyncio.to_thread(_make, services, identifier, order)
    if is_new:
        response.status_code = _CREATED
        request.app.state.dispatcher.kick()
    return shown(row)


def _make(services: Services, identifier: str, order: TransactionOrder) -> tuple[Row[Any], bool]:
    digest, now = digest_of(order), services.now_ms()
    known = transactions.known(services.database, identifier)
    if known is not None:
        if known.request_digest != digest:
            raise TransactionConflict("the id belongs to another body")
        return transactions.get(services.database, identifier, now), False
    operator = services.operators.of(order.msisdn, order.operator)
    display_text.check(order.display_text, operator.text_limits)
    check_deadline(services, order.deadline, now)
    made = transactions.Order(
        id=identifier,
        digest=digest,
        operator=operator.name,
        msisdn=order.msisdn,
        mode=order.mode,
        display_text=order.display_text,
        verification_code=order.verification_code,
        consent=from_base64(order.consent),
        language=order.language,
        callback=order.callback,
        deadline=order.deadline,
    )
    return transactions.create(services.database, made, now)


def check_deadline(services: Services, deadline: int, now_ms: int) -> None:
    """``DeadlinePassed`` unless it lies ahead, and not too far."""
    longest = services.config.timing.longest
    if not now_ms < deadline <= now_ms + longest * 1000:
        raise DeadlinePassed(f"not within the next {longest} s")


@router.get("/{identifier}")
async def read(
    identifier: Identifier,
    services: ServicesDep,
    wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT)] = 0,
    version: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """The transaction; with ``wait`` once its version is above ``version``, or time is up."""
    row = await _read(services, identifier)

    async def is_new() -> bool:
        nonlocal row
        row = await _read(services, identifier)
        return row.version > version or row.state not in transactions.OPEN

    if wait > 0:
        await services.bells.until(identifier, is_new, wait)
    return shown(row)


async def _read(services: Services, identifier: str) -> Row[Any]:
    now = services.now_ms()
    return await asyncio.to_thread(transactions.get, services.database, identifier, now)


@router.post("/{identifier}/cancel")
async def cancel(identifier: Identifier, request: Request, services: ServicesDep) -> dict[str, Any]:
    """Withdraw it. 409 ``over`` when it has another end already."""
    now = services.now_ms()
    row = await asyncio.to_thread(transactions.cancel, services.database, identifier, now)
    services.bells.ring(identifier)
    request.app.state.dispatcher.kick()
    return shown(row)


@router.post("/{identifier}/receipt")
async def receipt(
    identifier: Identifier, request: Request, services: ServicesDep
) -> dict[str, Any]:
    """Have the phone show a message about a signed transaction."""
    order = await read_model(request, ReceiptOrder)
    row = await _read(services, identifier)
    client = services.clients.get(row.operator)
    if row.state != "SIGNED" or row.mssp_trans_id is None or client is None:
        raise TransactionOver(f"{identifier} is {row.state}")
    display_text.check(order.message, client.config.receipt_limits)
    asked = requests.receipt(client, row, order.message, row.outcome_code, services.now_ms())
    answer = await client.ask(asked, ReceiptResp, client.config.timeout)
    code = answer.code if isinstance(answer, Fault) else answer.status.code
    return {"id": row.id, "outcome": outcome(Ending.of_code(code), row.language)}


def outcome(ending: Ending, language: str) -> dict[str, Any]:
    """``code`` of the operator (or null), ``name`` for programs, ``cause`` in words for people."""
    return {
        "code": ending.code,
        "name": ending.name,
        "cause": causes.say(ending.cause, language),
    }


def shown(row: Row[Any]) -> dict[str, Any]:
    """A row of ``sim_transaction`` as the rssp sees it. A signature in state SIGNED only."""
    ended = row.outcome_name is not None
    ending = Ending(row.state, row.outcome_code, row.outcome_name, row.outcome_cause)
    return {
        "id": row.id,
        "state": row.state,
        "version": row.version,
        "operator": row.operator,
        "outcome": outcome(ending, row.language) if ended else None,
        "signature": _signature(row) if row.state == "SIGNED" else None,
    }


def _signature(row: Row[Any]) -> dict[str, Any]:
    return {
        "format": signature_format.format_of(row.signature, row.certificate),
        "value": to_base64(row.signature),
        "certificate": to_base64(row.certificate),
    }
