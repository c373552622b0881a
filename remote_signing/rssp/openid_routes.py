"""The consent API for signing in by an identity provider. No session: this is how one begins.

Exchanges with the provider take seconds when it is slow. They have few threads of their own, so
that a provider that hangs keeps nobody else waiting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from remote_signing.errors import InvalidInput, OpenidAway
from remote_signing.rssp import openid_sign_in
from remote_signing.rssp.consent import LARGEST_BODY, opened_members, read_texts
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads the annotation
from remote_signing.rssp.edge.body import read_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.strict_json import JsonValue

_Kind = TypeVar("_Kind")

router = APIRouter(prefix="/consent/v1")

_AT_ONCE, _WAITING = 4, 32
_exchanges = anyio.CapacityLimiter(_AT_ONCE)
_BINDING = re.compile(r"[A-Za-z0-9_-]{43}")
_MEMBERS = {"binding", "state", "code", "iss", "error"}
_LONGEST = {"state": 100, "code": openid_sign_in.LONGEST_CODE, "iss": 500, "error": 100}


@router.post("/sign-in/openid")
async def begin(request: Request, services: ServicesDep) -> Response:
    """Where the browser is to go. 404 ``openid_not_offered``; 503 ``openid_away``.

    ``binding`` is a secret of that browser, 256 random bits; it comes back with the answer.
    """
    given = await read_texts(request, binding=43, target=openid_sign_in.LONGEST_TARGET)
    binding = _bound(given["binding"])
    address = await _exchange(lambda: openid_sign_in.begin(services, binding, given["target"]))
    return JSONResponse({"redirect_to": address})


@router.post("/sign-in/openid/answer")
async def finish(request: Request, services: ServicesDep) -> Response:
    """Open a session with what the browser brought back. 201, or 401 ``sign_in_refused``."""
    given = await read_object(request, LARGEST_BODY)
    if given.keys() != _MEMBERS:
        raise InvalidInput(f"members are not {sorted(_MEMBERS)}")
    answer = openid_sign_in.Answer(
        binding=_bound(given["binding"]),
        state=_text(given, "state") or "",
        code=_text(given, "code"),
        issuer=_text(given, "iss"),
        error=_text(given, "error"),
    )
    opened, target = await _exchange(lambda: openid_sign_in.finish(services, answer))
    return JSONResponse({**opened_members(opened), "target": target}, 201)


async def _exchange(work: Callable[[], _Kind]) -> _Kind:
    if _exchanges.statistics().tasks_waiting >= _WAITING:
        raise OpenidAway("too many at once")
    return await to_thread.run_sync(work, limiter=_exchanges)


def _bound(value: JsonValue) -> str:
    if not isinstance(value, str) or not _BINDING.fullmatch(value):
        raise InvalidInput("binding is not 256 bits in base64url", parameter="binding")
    return value


def _text(given: dict[str, JsonValue], name: str) -> str | None:
    value = given[name]
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST[name]:
        raise InvalidInput(f"{name} is not a text of that length", parameter=name)
    return value
