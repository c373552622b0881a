"""The consent API for a signer's desk: what waits, the portal's code, refusing and returning.

As :mod:`.consent`, whose routes of one request stand beside these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from remote_signing.errors import InvalidInput
from remote_signing.rssp import activation, notices, request_details
from remote_signing.rssp.activation import Denial, Wanted
from remote_signing.rssp.activation_list import LARGEST_PAGE
from remote_signing.rssp.activation_refuse import LONGEST_TEXT
from remote_signing.rssp.consent import (
    LARGEST_BODY,
    LONGEST_EVIDENCE,
    SessionDep,
    checked_texts,
    details_members,
    for_signer,
    known_request,
    known_requests,
    notice_members,
    read_texts,
    request_members,
    result_members,
    time_text,
)
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads the annotation
from remote_signing.rssp.edge.body import read_object
from remote_signing.rssp.request_details import Urgency
from remote_signing.rssp.sim.tending import afterwards

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import QueryParams

    from remote_signing.rssp.activation import ActivationSummary, PendingPage
    from remote_signing.rssp.consent import Members
    from remote_signing.rssp.sessions import Signer

router = APIRouter(prefix="/consent/v1")

_LONGEST_CLIENT: Final = 100
_LONGEST_CURSOR: Final = 60
_LONGEST_CODE: Final = 8
_LONGEST_NAME: Final = 20
FILTERS = {
    "portal": _LONGEST_CLIENT,
    "urgency": _LONGEST_NAME,
    "q": request_details.LONGEST_SEARCH,
    "after": _LONGEST_CURSOR,
    "limit": 3,
}


@router.get("/requests")
async def waiting(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """What waits for this signer, what ends first at the top, and what he must hear of.

    ``portal``, ``urgency`` (at least), ``q`` (a text in it) narrow the list; ``after`` and
    ``limit`` go through its pages.
    """
    wanted = _wanted(filters(request.query_params, FILTERS))

    def work(signer: Signer) -> Members:
        unseen = notices.unseen(services.database, signer.subscriber_id)
        found = activation.pending(services, signer.subscriber_id, wanted)
        return {**_page(found), "notices": [notice_members(each) for each in unseen]}

    return await for_signer(services, session, work)


@router.post("/requests/{name}/match")
async def match(
    request: Request, name: str, services: ServicesDep, session: SessionDep
) -> Response:
    """Pick the code that the portal shows. 403 ``code_mismatched``: the request is refused."""
    given = await read_texts(request, code=_LONGEST_CODE)
    await run_in_threadpool(
        activation.pick_code, services, session, known_request(name), given["code"]
    )
    return JSONResponse({"state": "PENDING"})


@router.post("/requests/{name}/deny")
async def deny(request: Request, name: str, services: ServicesDep, session: SessionDep) -> Response:
    """Refuse or return for good, with a reason or without. One statement."""
    denial = _denial(await read_object(request, LARGEST_BODY))
    denied = await run_in_threadpool(
        activation.deny, services, session, known_request(name), denial
    )
    members = {"redirect_to": denied.redirect_to, "state": denied.state.value}
    return JSONResponse(members, background=afterwards(services))


@router.get("/batch")
async def reviewed(services: ServicesDep, session: SessionDep) -> Response:
    """What this signer has looked at and may approve together. Two statements with the session."""
    limit = services.config.policy.max_batch

    def work(signer: Signer) -> Members:
        found = activation.reviewed(services, signer.subscriber_id, limit)
        return {"requests": [request_members(item) for item in found]}

    return await for_signer(services, session, work)


@router.post("/batch")
async def approve_all(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """Consent to several at once with PIN and one-time code; an outcome for each.

    Errors as for one; 400 with ``parameter`` ``ids`` for a set that cannot be a batch.
    """
    given = await read_object(request, LARGEST_BODY)
    names = known_requests(given)
    texts = checked_texts(given, pin=LONGEST_EVIDENCE, otp=LONGEST_EVIDENCE)
    answered = await run_in_threadpool(
        activation.approve_all, services, session, names, texts["pin"], texts["otp"]
    )
    is_asked = any(each.sim_is_asked for each in answered)
    background = afterwards(services, is_asked=is_asked)
    return JSONResponse(result_members(answered), background=background)


def filters(given: QueryParams, longest: dict[str, int]) -> dict[str, str]:
    """The parameters of an address: none unknown, none twice, none too long; empty is absent."""
    found: dict[str, str] = {}
    for name, value in given.multi_items():
        if name not in longest or name in found or len(value) > longest[name] or "\0" in value:
            raise InvalidInput(f"query parameter {name[:20]!r}", parameter=name[:20])
        found[name] = value
    return {name: value for name, value in found.items() if value}


def page_size(found: dict[str, str]) -> int:
    """``limit``, 1 to :data:`LARGEST_PAGE`; as many when it is absent."""
    text = found.get("limit", str(LARGEST_PAGE))
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= LARGEST_PAGE):
        raise InvalidInput("limit", parameter="limit")
    return int(text)


def _wanted(found: dict[str, str]) -> Wanted:
    urgency = found.get("urgency")
    degree = Urgency.from_wire(urgency)
    if urgency is not None and degree is None:
        raise InvalidInput("urgency", parameter="urgency")
    return Wanted(
        client_id=found.get("portal"),
        urgency=degree,
        text=found.get("q"),
        after=found.get("after"),
        limit=page_size(found),
    )


def _denial(given: Mapping[str, object]) -> Denial | None:
    if not given:
        return None
    if not {"kind", "reason"} <= given.keys() <= {"kind", "reason", "text"}:
        raise InvalidInput("members are not kind, reason and text")
    longest = {"kind": _LONGEST_NAME, "reason": _LONGEST_NAME, "text": LONGEST_TEXT}
    texts: dict[str, str] = {}
    for name, value in given.items():
        if value is None and name == "text":
            continue
        if not isinstance(value, str) or not 0 < len(value) <= longest[name]:
            raise InvalidInput(f"{name} is not a text of that length", parameter=name)
        texts[name] = value
    return Denial(texts["kind"], texts["reason"], texts.get("text"))


def _page(page: PendingPage) -> Members:
    return {
        "requests": [_summary(item) for item in page.requests],
        "total": page.total,
        "waiting": page.waiting,
        "after": page.after,
        "mark": page.mark,
        "portals": [{"id": client_id, "name": name} for client_id, name in page.clients],
    }


def _summary(item: ActivationSummary) -> Members:
    return {
        "id": item.activation_id,
        "client_id": item.client_id,
        "client_name": item.client_name,
        "client_logo": item.client_logo,
        "description": item.description,
        "details": details_members(item.details),
        "num_signatures": item.num_signatures,
        "verification_code": item.verification_code,
        "created_at": time_text(item.created_at_ms),
        "expires_at": time_text(item.expires_at_ms),
    }
