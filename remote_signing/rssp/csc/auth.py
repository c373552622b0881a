"""``auth/login`` and ``auth/revoke`` (CSC API v2.2 cl. 11.2, 11.3; the same in v1).

A login has no client of its own, but every token here belongs to one: the configuration names which
(``csc.login_client``), and without that name there is no login. What it gives is a token of scope
``service`` and no more: a credential of SCAL2 still asks its signer on the phone.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, service_tokens, subscribers
from remote_signing.rssp.csc.dispatch import for_caller
from remote_signing.rssp.csc.errors import CscError, missing, unauthorized_client
from remote_signing.rssp.csc.wire import NO_CONTENT, answer
from remote_signing.rssp.service_tokens import Holder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from remote_signing.rssp.bearer import Caller
    from remote_signing.rssp.config import RsspConfig
    from remote_signing.rssp.csc.dispatch import Call
    from remote_signing.rssp.csc.v2.credentials import Outcome
    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.service_tokens import ServiceToken

_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="csc", charset="UTF-8"'}
_LONGEST_HEADER = 2048
_HINTS = {None, "access_token", "refresh_token"}


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """Either a user's id and password, or a refresh token of an earlier login."""

    user: tuple[str, str] | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    remember: bool


def is_offered(config: RsspConfig) -> bool:
    """Whether somebody may sign in here with a password."""
    return config.csc.login_client is not None


async def login(call: Call) -> Response:
    """Tokens for a password or a refresh token. Five statements with a password."""
    parameters = await call.parameters()
    request = read_login(call.request.headers.getlist("authorization"), parameters)
    members = await run_in_threadpool(_log_in, call.services, request)
    return answer(members, headers={"Cache-Control": "no-store"})


def read_login(headers: Sequence[str], parameters: Parameters) -> LoginRequest:
    """The header before the members, as the error table has them."""
    refresh_token = parameters.value("refresh_token")
    user = _user(headers) if headers or refresh_token is None else None
    if refresh_token is not None and not isinstance(refresh_token, str):
        raise CscError("Invalid string parameter: refresh_token")
    if user is not None and refresh_token is not None:
        raise _malformed()  # two proofs: nobody knows who is meant
    remember = parameters.flag("rememberMe")
    parameters.client_data()
    return LoginRequest(user, refresh_token, remember)


def _user(headers: Sequence[str]) -> tuple[str, str]:
    short = len(headers) == 1 and len(headers[0]) <= _LONGEST_HEADER
    match = _BASIC.fullmatch(headers[0]) if short else None
    if match is None:
        raise _malformed()
    try:
        text = base64.b64decode(match[1], validate=True).decode("utf-8")
    except ValueError:
        text = ""
    name, _, password = text.partition(":")
    if not name or not password or "\0" in text:
        raise CscError("Malformed username-password.")
    return name, password


def _malformed() -> CscError:
    return CscError("Malformed authentication parameter.", status=401, headers=_CHALLENGE)


def _log_in(services: Services, request: LoginRequest) -> dict[str, object]:
    client_id = services.config.csc.login_client or ""
    client = services.clients.get(client_id)
    # Nobody authenticates the client here, so it must not be one whose tokens need that elsewhere.
    if client is None or "authorization_code" in client.grant_types:
        raise unauthorized_client()  # or not registered, or suspended
    if request.refresh_token is not None:
        return _members(service_tokens.rotate(services, request.refresh_token, Holder(client_id)))
    name, password = request.user or ("", "")
    found = subscribers.sign_in(services, name, password)
    family, now = new_id(services.now_ms()), services.now_ms()
    event = audit.Event(
        "login.password",
        "signer",
        client_id=client_id,
        subscriber_id=found.id,
        detail={"family_id": family},
    )
    with services.database.transaction() as connection:
        holder = Holder(client_id, found.id)
        issued = service_tokens.issue_family(
            services, connection, holder, family, refresh=request.remember
        )
        audit.record(connection, event, now)
    return _members(issued)


def _members(token: ServiceToken) -> dict[str, object]:
    members: dict[str, object] = {
        "access_token": token.access,
        "token_type": "Bearer",
        "expires_in": token.expires_in,
    }
    if token.refresh is not None:
        members["refresh_token"] = token.refresh
    return members


def read_revoke(parameters: Parameters) -> str:
    """The token to end; its kind shows by itself, so the hint only has to be a known one."""
    token = parameters.value("token")
    if not isinstance(token, str):
        raise missing("string", "token")
    hint = parameters.value("token_type_hint")
    if not (hint is None or isinstance(hint, str)) or hint not in _HINTS:
        raise CscError("Invalid string parameter token_type_hint")
    parameters.client_data()
    return token


def _revoke(services: Services, caller: Caller, token: str) -> Outcome:
    """End a token of the caller's own client; an unknown one is an error, unlike in RFC 7009."""
    if not service_tokens.revoke(services, token, caller.client_id):
        raise CscError("Invalid string parameter token")
    return NO_CONTENT, {}


revoke = for_caller(read_revoke, _revoke)
