"""The consent API for a signer's own account: history, sessions, the lost phone.

As :mod:`.consent`. All of it needs the session and nothing else; nothing here can sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from remote_signing.rssp import activation, freezing, sessions
from remote_signing.rssp.consent import (
    SessionDep,
    details_members,
    document_members,
    for_signer,
    known_request,
    read_texts,
    time_text,
)
from remote_signing.rssp.consent_requests import FILTERS, filters, page_size
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads the annotation
from remote_signing.rssp.sim.tending import afterwards

if TYPE_CHECKING:
    from remote_signing.rssp.activation import PastRequest, Receipt
    from remote_signing.rssp.consent import Members
    from remote_signing.rssp.sessions import Signer

router = APIRouter(prefix="/consent/v1")

_FILTERS = {name: longest for name, longest in FILTERS.items() if name != "urgency"}


@router.get("/history")
async def history(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """What was answered or is over, youngest first; ``portal``, ``q``, ``after``, ``limit``."""
    found = filters(request.query_params, _FILTERS)
    limit = page_size(found)

    def work(signer: Signer) -> Members:
        page, after = activation.history(
            services,
            signer.subscriber_id,
            client_id=found.get("portal"),
            text=found.get("q"),
            after=found.get("after"),
            limit=limit,
        )
        return {"requests": [_past(item) for item in page], "after": after}

    return await for_signer(services, session, work)


@router.get("/history/{name}")
async def receipt(name: str, services: ServicesDep, session: SessionDep) -> Response:
    """The receipt of one. 404 ``request_unknown`` also while it waits."""

    def work(signer: Signer) -> Members:
        found = activation.receipt(services, known_request(name), signer.subscriber_id)
        return _receipt(found)

    return await for_signer(services, session, work)


@router.get("/sessions")
async def open_sessions(services: ServicesDep, session: SessionDep) -> Response:
    """The signer's sessions, and how many of his keys are frozen."""

    def work(signer: Signer) -> Members:
        opened = sessions.opened(services, session, signer.subscriber_id)
        shown = [
            {
                "id": item.session_id,
                "created_at": time_text(item.created_at_ms),
                "last_used_at": time_text(item.last_used_at_ms),
                "is_this": item.is_this,
            }
            for item in opened
        ]
        return {"sessions": shown, "frozen": freezing.frozen(services, signer.subscriber_id)}

    return await for_signer(services, session, work)


@router.delete("/sessions")
async def sign_out_everywhere(services: ServicesDep, session: SessionDep) -> Response:
    """End every session of this signer, this one too."""
    ended = await run_in_threadpool(sessions.sign_out_everywhere, services, session)
    return JSONResponse({"ended": ended})


@router.post("/freeze")
async def freeze(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """Freeze all keys; only the registration authority can end it."""
    await read_texts(request)
    frozen = await run_in_threadpool(freezing.freeze, services, session)
    return JSONResponse({"frozen": frozen}, background=afterwards(services))


def _past(item: PastRequest) -> Members:
    return {
        "id": item.activation_id,
        "client_id": item.client_id,
        "client_name": item.client_name,
        "client_logo": item.client_logo,
        "description": item.description,
        "details": details_members(item.details),
        "num_signatures": item.num_signatures,
        "state": item.state.value,
        "denial": None if item.denial is None else item.denial.members(),
        "created_at": time_text(item.created_at_ms),
        "at": time_text(item.at_ms),
    }


def _receipt(found: Receipt) -> Members:
    return _past(found.request) | {
        "documents": [document_members(item) for item in found.documents],
        "hash_algorithm": found.hash_algorithm,
        "factor": found.factor,
        "records": [
            {
                "kind": record.kind,
                "at": time_text(record.at_ms),
                "number": record.number,
                "leaf_sha256": record.leaf_sha256,
            }
            for record in found.records
        ],
    }
