"""``/mss/notification``: operators that call us (asynchServerServer) instead of being polled.

The address holds a secret that only its operator was told (as AP_URL, over mutual TLS); the proxy
in front asks for the operator's certificate besides. Whatever comes in can at most end the one
transaction it names, and a signature in it is worth what the SAM finds it to be.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from sim_adapter import transactions
from sim_adapter.ap import requests
from sim_adapter.asking import conclude
from sim_adapter.errors import InvalidInput
from sim_adapter.mss import codes, rest, soap
from sim_adapter.mss.model import Fault, Message, ReceiptReq, Status, StatusResp
from sim_adapter.routes.requests import ServicesDep, read_body

if TYPE_CHECKING:
    from sqlalchemy import Row

    from sim_adapter.ap.client import OperatorClient
    from sim_adapter.deps import Services

router = APIRouter(prefix="/mss/notification")
_log = logging.getLogger(__name__)
_MAX_BYTES = 1024 * 1024
_OPERATION = "MSS_Notification"


@router.post("/{operator}/{secret}")
async def notify(operator: str, secret: str, request: Request, services: ServicesDep) -> Response:
    """Take a MSS_StatusResp, answer with a MSS_ReceiptReq or a fault."""
    client = services.clients.get(operator)
    known = None if client is None else client.notification_secret
    if client is None or known is None or not hmac.compare_digest(secret.encode(), known.encode()):
        raise HTTPException(404)
    is_json = client.config.wire == "json"
    accepted = rest.ACCEPTED if is_json else soap.ACCEPTED
    body = await read_body(request, _MAX_BYTES, accepted)
    try:
        message = _read(body, is_json=is_json)
        row = await asyncio.to_thread(_row, services, client, message)
    except InvalidInput as error:
        _log.error("alarm: a notification that fits nothing", extra={"cause": error.cause})
        return _fault(Fault(codes.WRONG_PARAM), is_json=is_json)
    await conclude(services, client, row, message)
    return _answer(_taken(services, client, row, message), is_json=is_json)


def _read(body: bytes, *, is_json: bool) -> StatusResp:
    _, message = rest.read_request(body) if is_json else soap.read_request(body)
    if not isinstance(message, StatusResp) or message.trans_id is None:
        raise InvalidInput("no MSS_StatusResp with its MSSP_TransID")
    return message


def _row(services: Services, client: OperatorClient, message: StatusResp) -> Row[Any]:
    """The one transaction that every name in the message fits."""
    ap = message.head.ap
    row = transactions.find(services.database, client.config.name, ap.trans_id)
    if row is None:
        raise InvalidInput("an AP_TransID that is not ours")
    facts = (ap.ap_id == client.config.ap_id, message.msisdn == row.msisdn)
    if not all(facts) or row.mssp_trans_id not in {None, message.trans_id}:
        raise InvalidInput("AP_ID, MSISDN or MSSP_TransID of another transaction")
    return row


def _taken(
    services: Services, client: OperatorClient, row: Row[Any], message: StatusResp
) -> ReceiptReq:
    return ReceiptReq(
        requests.head(client, services.now_ms()),
        message.trans_id or "",
        row.msisdn,
        Status(codes.RET_OK_NOPUSH, codes.CODES[codes.RET_OK_NOPUSH].name),
    )


def _answer(message: Message, *, is_json: bool) -> Response:
    if is_json:
        return Response(rest.write_message(message), media_type=rest.MEDIA_TYPE)
    return Response(soap.write_answer(_OPERATION, message), media_type=soap.MEDIA_TYPE)


def _fault(fault: Fault, *, is_json: bool) -> Response:
    if is_json:
        return Response(rest.write_fault(fault), 500, media_type=rest.MEDIA_TYPE)
    return Response(soap.write_fault(fault), 500, media_type=soap.MEDIA_TYPE)
