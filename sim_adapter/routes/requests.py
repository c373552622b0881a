"""Reading requests: who asks, and a body that is bounded, strict and of the right shape."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Depends, Path, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from sim_adapter import msisdn, strict_json
from sim_adapter.deps import Services
from sim_adapter.errors import BodyTooLarge, InvalidInput, MediaTypeUnsupported, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_BODY = 64 * 1024
_BEARER = "bearer "

Identifier = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Model = TypeVar("Model", bound=BaseModel)


class Body(BaseModel):
    """A request's JSON object: no member that is not asked for, no type that has to be guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def services_of(request: Request) -> Services:
    """The process's services."""
    found: Services = request.app.state.services
    return found


def authorize(request: Request) -> None:
    """``Unauthorized`` unless the request bears one of the secrets."""
    header = request.headers.get("authorization", "")
    known = header[: len(_BEARER)].lower() == _BEARER
    if not known or not services_of(request).is_bearer(header[len(_BEARER) :]):
        raise Unauthorized("no bearer secret, or a wrong one")


ServicesDep = Annotated[Services, Depends(services_of)]
Authorized = Depends(authorize)


async def read_body(request: Request, limit: int, media_types: Collection[str]) -> bytes:
    """The body, at most ``limit`` bytes: refused as soon as it is known to be longer."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in media_types:
        raise MediaTypeUnsupported(f"Content-Type {media_type[:80]!r}")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise BodyTooLarge(f"Content-Length {declared[:20]}")
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise BodyTooLarge(f"more than {limit} bytes")
        body += chunk
    return bytes(body)


async def read_model(request: Request, kind: type[Model]) -> Model:
    """The body as ``kind``; ``InvalidInput`` names the first wrong member, never its value."""
    members = strict_json.loads_object(await read_body(request, MAX_BODY, {"application/json"}))
    try:
        return kind.model_validate(members)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{place}: {first['msg']}") from None


def digest_of(body: BaseModel) -> str:
    """SHA-256 over the canonical spelling of ``body``, defaults filled in."""
    return hashlib.sha256(strict_json.canonical(body.model_dump())).hexdigest()


def from_base64(text: str) -> bytes:
    """The bytes of ``text``; ``InvalidInput`` for anything but canonical base64."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("not base64") from None
    if base64.b64encode(value).decode() != text:
        raise InvalidInput("not canonical base64")
    return value


def to_base64(value: bytes | None) -> str | None:
    """``value`` in base64; None stays None."""
    return None if value is None else base64.b64encode(value).decode()


def _number(text: str) -> str:
    try:
        return msisdn.normalise(text)
    except InvalidInput as error:
        raise ValueError(error.cause) from None


def _base64(text: str) -> str:
    try:
        from_base64(text)
    except InvalidInput as error:
        raise ValueError(error.cause) from None
    return text


Msisdn = Annotated[str, AfterValidator(_number)]
Base64 = Annotated[str, AfterValidator(_base64)]
