"""What the consent page asks about SIMs (``/consent/v1/requests/…/sim``), and the adapter's word.

The call-back is Standard Webhooks: signed, at least once, in any order. It names a question and
says nothing that is believed: the question is read from the adapter like on any other occasion.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from remote_signing import strict_json
from remote_signing.errors import AccessRefused, InvalidInput, SimUnknown
from remote_signing.identifiers import is_id
from remote_signing.rssp import activation, sessions
from remote_signing.rssp.consent import SessionDep, known_request, sim_members
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads the annotation
from remote_signing.rssp.edge.body import read_body, read_object
from remote_signing.rssp.sim import consent

if TYPE_CHECKING:
    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.sim.consent import SimQuestion

router = APIRouter()

_LARGEST_BODY = 4096
_LONGEST_WAIT = 25.0
_TOLERANCE = 300  # seconds between the two clocks
_PREFIX, _VERSION = "whsec_", "v1,"
_LANGUAGES = ("vi", "en")  # no set: what is looked for may be a list


@router.post("/consent/v1/requests/{name}/sim")
async def start(
    request: Request, name: str, services: ServicesDep, session: SessionDep
) -> Response:
    """Ask a SIM. 201.

    409 ``sim_busy``, ``sim_asked_often``, 403 ``sim_suspended``, 404 ``sim_unknown``.
    """
    given = await read_object(request, _LARGEST_BODY)
    factor, lang = given.get("factor_id"), given.get("lang")
    if given.keys() != {"factor_id", "lang"} or not isinstance(factor, str):
        raise InvalidInput("members are not factor_id and lang")
    if not is_id(factor) or lang not in _LANGUAGES:
        raise InvalidInput("factor_id or lang")

    def work() -> SimQuestion:
        signer = sessions.use(services, session)
        return consent.start(services, signer.subscriber_id, known_request(name), factor, str(lang))

    return JSONResponse(sim_members(await run_in_threadpool(work)), 201)


@router.get("/consent/v1/requests/{name}/sim")
async def read(
    name: str,
    services: ServicesDep,
    session: SessionDep,
    wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT)] = 0,
    version: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """The youngest question; with ``wait`` once something has changed, or time is up."""
    found = await run_in_threadpool(_of_signer, services, session, name)
    if found.state == consent.WAITING and services.sim is not None:
        told = None
        if wait > 0:
            told = await services.sim.wait(found.transaction_id, version, wait)
        found = await run_in_threadpool(consent.look, services, found.transaction_id, told)
    return JSONResponse(sim_members(found))


@router.post("/consent/v1/requests/{name}/sim/cancel")
async def cancel(name: str, services: ServicesDep, session: SessionDep) -> Response:
    """Withdraw the open question. 200 with what became of it, which may be a consent."""

    def work() -> SimQuestion:
        signer = sessions.use(services, session)
        return consent.cancel(services, signer.subscriber_id, known_request(name))

    return JSONResponse(sim_members(await run_in_threadpool(work)))


@router.post("/consent/v1/requests/{name}/resume")
async def resume(name: str, services: ServicesDep, session: SessionDep) -> Response:
    """Where the browser goes after a consent that came by another way than this page."""
    approved = await run_in_threadpool(consent.redirect, services, session, known_request(name))
    return JSONResponse({"redirect_to": approved.redirect_to, "state": approved.state.value})


@router.post("/sim/v1/events", include_in_schema=False)
async def callback(request: Request, services: ServicesDep) -> Response:
    """The adapter says that a question is over. 204, also the second time; 503: say it again."""
    body = await read_body(request, _LARGEST_BODY)
    _check_signature(services, request, body)
    data = strict_json.loads_object(body).get("data")
    name = data.get("id") if isinstance(data, dict) else None
    if not isinstance(name, str) or not is_id(name):
        raise InvalidInput("no question is named")
    with suppress(SimUnknown):  # pruned, or of a database that was put back: nobody waits for it
        await run_in_threadpool(consent.look, services, name)
    return Response(status_code=204)


def _of_signer(services: Services, session: Ticket, name: str) -> SimQuestion:
    signer = sessions.use(services, session)
    activation.details(services, known_request(name), signer.subscriber_id)
    found = consent.current(services, name)
    if found is None:
        raise SimUnknown("no SIM was asked")
    return found


def _check_signature(services: Services, request: Request, body: bytes) -> None:
    """``AccessRefused`` unless one of our secrets has signed this, and lately."""
    name = request.headers.get("webhook-id", "")
    stamp = request.headers.get("webhook-timestamp", "")
    told = request.headers.get("webhook-signature", "").split(" ")
    if not stamp.isdecimal() or abs(int(stamp[:12]) - services.now_ms() // 1000) > _TOLERANCE:
        raise AccessRefused("a call-back of another time")
    signed = f"{name}.{stamp}.".encode() + body
    macs = [
        _VERSION + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii")
        for secret in _secrets(services)
    ]
    matches = [hmac.compare_digest(mac.encode(), one.encode()) for mac in macs for one in told]
    if not any(matches):
        raise AccessRefused("a call-back that nobody we know has signed")


def _secrets(services: Services) -> list[bytes]:
    config = services.config.sim
    texts = [
        path.read_text(encoding="utf-8").strip()
        for path in (() if config is None else config.callback_secret_files)
    ]
    try:
        return [base64.b64decode(text.removeprefix(_PREFIX), validate=True) for text in texts]
    except binascii.Error:
        raise AccessRefused("a call-back secret is no whsec_…") from None
