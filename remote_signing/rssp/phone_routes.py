"""The consent API for the phone in the pocket: how much waits, and being told when that changes.

As :mod:`.consent`. Nothing here can sign, and being told says nothing about a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from remote_signing.errors import InvalidInput
from remote_signing.rssp import push_subscriptions, watching
from remote_signing.rssp.consent import SessionDep, for_signer, read_texts
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads the annotation

if TYPE_CHECKING:
    from remote_signing.rssp.config_push import PushConfig
    from remote_signing.rssp.consent import Members
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.sessions import Signer

router = APIRouter(prefix="/consent/v1")


@router.get("/waiting")
async def look(services: ServicesDep, session: SessionDep) -> Response:
    """How much waits, for a page that stays open. The session does not count as used."""
    found = await run_in_threadpool(watching.look, services, session)
    return JSONResponse({"waiting": found.waiting, "mark": found.mark})


@router.get("/push")
async def show(services: ServicesDep, session: SessionDep) -> Response:
    """What a browser needs to be told (null: nobody is), and how many of the signer's are."""

    def work(signer: Signer) -> Members:
        public = None if services.push is None else services.push.public
        count = push_subscriptions.count_of(services, signer.subscriber_id)
        return {"public_key": public, "browsers": count}

    return await for_signer(services, session, work)


@router.post("/push")
async def subscribe(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """Tell this browser. 201, or 200 when it was told already; 400 for an address elsewhere."""
    given = await read_texts(request, endpoint=push_subscriptions.LONGEST)
    config = _configured(services)
    is_new = await run_in_threadpool(
        push_subscriptions.subscribe, services, session, config, given["endpoint"]
    )
    return JSONResponse({}, 201 if is_new else 200)


@router.post("/push/end")
async def unsubscribe(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """Tell this browser of the signer's no more."""
    given = await read_texts(request, endpoint=push_subscriptions.LONGEST)
    ended = await run_in_threadpool(
        push_subscriptions.unsubscribe, services, session, given["endpoint"]
    )
    return JSONResponse({"ended": ended})


@router.delete("/push")
async def unsubscribe_all(services: ServicesDep, session: SessionDep) -> Response:
    """Tell none of the signer's browsers any more."""
    ended = await run_in_threadpool(push_subscriptions.unsubscribe, services, session)
    return JSONResponse({"ended": ended})


def _configured(services: Services) -> PushConfig:
    if services.config.push is None:
        raise InvalidInput("push is not configured", parameter="endpoint")
    return services.config.push
