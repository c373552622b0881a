"""The test MSSP as an ASGI application: SOAP ports, REST services, and calls to AP_URL.

``/soap/services/{port}`` takes every operation at every port, ``/rest/service/{name}`` likewise:
the message says which it is.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from sim_adapter.errors import InvalidInput
from sim_adapter.mss import codes, rest, soap
from sim_adapter.mss.model import Fault, Message, MssFault, StatusResp
from sim_adapter.mssp.server import fault_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request

    from sim_adapter.mssp.server import Mssp

_log = logging.getLogger(__name__)
_MAX_BYTES = 1024 * 1024
_TOLD_TRIES = 4
_TOO_LARGE, _UNSUPPORTED = 413, 415


def create_app(mssp: Mssp, *, unqualified: bool = False) -> Starlette:
    """The application. ``unqualified`` takes requests of tool kits that qualify nothing."""
    wires = (
        ("/soap/services/{port}", SoapFace(unqualified=unqualified)),
        ("/rest/service/{name}", RestFace()),
    )
    routes = [Route(path, _endpoint(mssp, face), methods=["POST"]) for path, face in wires]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            mssp.push = Notifier(client).tell
            try:
                yield
            finally:
                await mssp.stop()

    return Starlette(routes=routes, lifespan=lifespan)


class SoapFace:
    """SOAP 1.2 as a server."""

    accepted = soap.ACCEPTED
    media_type = soap.MEDIA_TYPE

    def __init__(self, *, unqualified: bool) -> None:
        self._unqualified = unqualified

    def read(self, body: bytes) -> tuple[str, Message]:
        """The operation and its request."""
        return soap.read_request(body, unqualified=self._unqualified)

    def write(self, operation: str, answer: Message) -> bytes:
        """The answer."""
        return soap.write_answer(operation, answer)

    def write_fault(self, fault: Fault) -> bytes:
        """The fault in its place."""
        return soap.write_fault(fault)


class RestFace:
    """JSON as a server."""

    accepted = rest.ACCEPTED
    media_type = rest.MEDIA_TYPE

    def read(self, body: bytes) -> tuple[str, Message]:
        """The operation and its request."""
        return rest.read_request(body)

    def write(self, _operation: str, answer: Message) -> bytes:
        """The answer."""
        return rest.write_message(answer)

    def write_fault(self, fault: Fault) -> bytes:
        """The fault in its place."""
        return rest.write_fault(fault)


def _endpoint(mssp: Mssp, face: SoapFace | RestFace) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        body = await _body(request, face.accepted)
        if isinstance(body, Response):
            return body
        try:
            operation, message = face.read(body)
            answered = await mssp.answer(message)
        except InvalidInput as error:
            fault = Fault(codes.WRONG_PARAM, detail=error.cause)
        except MssFault as error:
            fault = fault_of(error)
        else:
            return Response(face.write(operation, answered), media_type=face.media_type)
        return Response(face.write_fault(fault), 500, media_type=face.media_type)

    return answer


class Notifier:
    """Calls application providers until they take the message, a few times."""

    def __init__(self, client: httpx.AsyncClient, pause: float = 0.5) -> None:
        self._client = client
        self._pause = pause

    async def tell(self, url: str, message: StatusResp) -> None:
        """MSS_Notification to ``url``. A fault is an answer too: then it is not ours to repeat."""
        body = soap.write_request(message)
        headers = {"Content-Type": f"{soap.MEDIA_TYPE}; charset=utf-8"}
        for attempt in range(_TOLD_TRIES):
            try:
                response = await self._client.post(url, content=body, headers=headers)
                soap.read_answer(response.content, "MSS_Notification")
            except (httpx.HTTPError, InvalidInput) as error:
                _log.warning("a notification was not taken", extra={"cause": str(error)})
                await asyncio.sleep(self._pause * 2**attempt)
            else:
                return


async def _body(request: Request, accepted: tuple[str, ...]) -> bytes | Response:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in accepted:
        return Response(status_code=_UNSUPPORTED)
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > _MAX_BYTES:
            return Response(status_code=_TOO_LARGE)
        body += chunk
    return bytes(body)
