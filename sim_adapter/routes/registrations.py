"""``/v1/registrations``: a key is made in a SIM, and its certificate handed to the operator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from sim_adapter import display_text, registrations
from sim_adapter.causes import Ending
from sim_adapter.errors import TransactionConflict
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
from sim_adapter.routes.transactions import check_deadline, outcome

if TYPE_CHECKING:
    from sqlalchemy import Row

    from sim_adapter.deps import Services

router = APIRouter(prefix="/v1/registrations", dependencies=[Authorized])
_LONGEST_WAIT = 30.0
_CREATED = 201


class RegistrationOrder(Body):
    """``credential_id`` and 32 bytes of ``challenge`` go into the proof (docs/sim-consent.md)."""

    msisdn: Msisdn
    operator: str | None = Field(default=None, max_length=64)
    credential_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    challenge: Base64 = Field(min_length=44, max_length=44)
    relying_party: str = Field(max_length=40)
    verification_code: str = Field(pattern=r"^[0-9]{4,8}$")
    algorithm: Literal["P256", "RSA2048"] = "P256"
    replace: bool = False
    mode: Literal["structure", "digest", "text"] = "structure"  # of the key, for good
    deadline: int  # milliseconds since the Unix epoch
    language: Literal["vi", "en"] = "vi"


class IssuedCertificate(Body):
    """The certificate that a CA issued for the SIM's key, DER."""

    certificate: Base64 = Field(min_length=4, max_length=12_000)


@router.put("/{identifier}")
async def put(
    identifier: Identifier, request: Request, response: Response, services: ServicesDep
) -> dict[str, Any]:
    """Begin, or find the one that the same body began before."""
    order = await read_model(request, RegistrationOrder)
    row, is_new = await asyncio.to_thread(_make, services, identifier, order)
    if is_new:
        response.status_code = _CREATED
        request.app.state.dispatcher.kick()
    return shown(row)


def _make(services: Services, identifier: str, order: RegistrationOrder) -> tuple[Row[Any], bool]:
    digest, now = digest_of(order), services.now_ms()
    known = registrations.known(services.database, identifier)
    if known is not None:
        if known.request_digest != digest:
            raise TransactionConflict("the id belongs to another body")
        return known, False
    operator = services.operators.of(order.msisdn, order.operator)
    display_text.check(order.relying_party, display_text.TextLimits())
    check_deadline(services, order.deadline, now)
    made = registrations.Order(
        id=identifier,
        digest=digest,
        operator=operator.name,
        msisdn=order.msisdn,
        credential_id=order.credential_id,
        challenge=from_base64(order.challenge),
        relying_party=order.relying_party,
        verification_code=order.verification_code,
        algorithm=order.algorithm,
        replace=order.replace,
        mode=order.mode,
        language=order.language,
        deadline=order.deadline,
    )
    return registrations.create(services.database, made, now)


@router.get("/{identifier}")
async def read(
    identifier: Identifier,
    services: ServicesDep,
    wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT)] = 0,
    version: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """The registration; ``wait`` and ``version`` as for a transaction."""
    row = await asyncio.to_thread(registrations.get, services.database, identifier)

    async def is_new() -> bool:
        nonlocal row
        row = await asyncio.to_thread(registrations.get, services.database, identifier)
        return row.version > version or row.state not in registrations.OPEN

    if wait > 0:
        await services.bells.until(identifier, is_new, wait)
    return shown(row)


@router.post("/{identifier}/certificate")
async def certificate(
    identifier: Identifier, request: Request, services: ServicesDep
) -> dict[str, Any]:
    """Give the operator the certificate; repeating it is harmless."""
    issued = await read_model(request, IssuedCertificate)
    der = from_base64(issued.certificate)
    return shown(await registrations.hand_over(services, identifier, der))


def shown(row: Row[Any]) -> dict[str, Any]:
    """A row of ``sim_registration`` as the rssp sees it."""
    ended = row.outcome_name is not None
    ending = Ending(row.state, row.outcome_code, row.outcome_name, row.outcome_cause)
    return {
        "id": row.id,
        "state": row.state,
        "version": row.version,
        "operator": row.operator,
        "outcome": outcome(ending, row.language) if ended else None,
        "public_key": to_base64(row.public_key),
        "proof": to_base64(row.proof),
        "iccid": row.iccid,
        "certificate_taken": row.certificate_digest is not None,
    }
