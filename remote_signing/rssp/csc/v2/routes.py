"""CSC API v2: which methods there are, and how a request gets to one.

Header form (400), then the token (401), then the parameters: a stranger learns nothing about the
latter. The body is read before the token is looked up (one is asynchronous, the other a statement),
so a mistake found in it is kept until the token has proved good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from remote_signing.errors import Refusal, RemoteSigningError
from remote_signing.rssp import audit, bearer
from remote_signing.rssp.csc.errors import (
    CscError,
    method_not_allowed,
    not_implemented,
    refuse,
    translate,
)
from remote_signing.rssp.csc.v2 import credentials, schemas, signatures
from remote_signing.rssp.csc.v2.info import info
from remote_signing.rssp.csc.v2.parameters import Parameters
from remote_signing.rssp.csc.wire import answer
from remote_signing.rssp.deps import services
from remote_signing.rssp.edge.body import read_object

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from remote_signing.rssp.bearer import Caller, Presented
    from remote_signing.rssp.csc.v2.credentials import Outcome
    from remote_signing.rssp.deps import Services

Wanted = TypeVar("Wanted")
Reader: TypeAlias = "Callable[[Parameters], Wanted]"
Work: TypeAlias = "Callable[[Services, Caller, Wanted], Outcome]"
Method: TypeAlias = "Callable[[Request], Awaitable[Response]]"

PREFIX = "/csc/v2"


async def _info(request: Request) -> Response:
    """Needs no authorisation. ``lang`` falls back when it is unknown, so nothing reads it."""
    Parameters(await read_object(request)).client_data()
    return answer(info(services(request).config, METHODS))


async def _sign_hash(request: Request) -> Response:
    presented = bearer.read(services(request), request)
    wanted = await _read(request, schemas.read_sign_hash)
    members = await run_in_threadpool(signatures.sign_hash, services(request), presented, wanted)
    return answer(members)


def _for_caller(name: str, read: Reader[Wanted], work: Work[Wanted]) -> Method:
    """The method that does ``work`` for whom a token names."""

    def judge(services: Services, presented: Presented, wanted: Wanted | CscError) -> Outcome:
        caller = bearer.identify(services, bearer.prove(services, presented))
        try:
            if isinstance(wanted, CscError):
                raise wanted
            return work(services, caller, wanted)
        except (CscError, Refusal) as error:
            _record(services, caller, name, error)
            raise

    async def method(request: Request) -> Response:
        presented = bearer.read(services(request), request)
        wanted = await _read(request, read)
        status, members = await run_in_threadpool(judge, services(request), presented, wanted)
        return answer(members, status)

    return method


def _record(services: Services, caller: Caller, method: str, error: CscError | Refusal) -> None:
    """Put on record what a known caller is refused. At most one statement."""
    reason = error.description if isinstance(error, CscError) else type(error).__name__
    event = audit.Event(
        "request.refused",
        "client",
        client_id=caller.client_id,
        subscriber_id=caller.subscriber_id,
        credential_id=caller.credential_id,
        detail={"endpoint": method, "reason": reason},
    )
    services.refusals.record(event)


METHODS: Mapping[str, Method] = {
    "info": _info,
    "credentials/list": _for_caller(
        "credentials/list", schemas.read_list, credentials.list_credentials
    ),
    "credentials/info": _for_caller("credentials/info", schemas.read_info, credentials.info),
    "credentials/authorize": _for_caller(
        "credentials/authorize", schemas.read_authorize, credentials.authorize
    ),
    "credentials/authorizeCheck": _for_caller(
        "credentials/authorizeCheck", schemas.read_authorize_check, credentials.authorize_check
    ),
    "signatures/signHash": _sign_hash,
}
"""What is served; ``info`` tells exactly these. Any other method is 501."""


async def _read(request: Request, read: Reader[Wanted]) -> Wanted | CscError:
    try:
        return read(Parameters(await read_object(request)))
    except CscError as error:
        return error
    except RemoteSigningError as error:
        return translate("", error)


async def dispatch(request: Request) -> Response:
    """Answer any request below ``/csc/v2/``; every refusal has the standard's error body."""
    name = request.path_params.get("method", "").rstrip("/")
    method = METHODS.get(name)
    try:
        if method is None:
            raise not_implemented()
        if request.method != "POST":
            raise method_not_allowed()
        return await method(request)
    except CscError as error:
        return error.response()
    except RemoteSigningError as error:
        return refuse(name, error).response()


router = APIRouter()
for _path in (PREFIX + "/{method:path}", PREFIX):
    router.add_route(
        _path,
        dispatch,
        methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        include_in_schema=False,
    )
