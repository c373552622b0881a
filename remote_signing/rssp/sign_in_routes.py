"""The consent API for coming in: passkeys that sign in, one-time codes, and what the account holds.

As :mod:`.consent`. What changes how somebody comes in needs the password besides the session: who
steals a session registers no device and removes none.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from remote_signing.errors import CredentialUnknown, InvalidInput, PasskeyUnknown, SessionInvalid
from remote_signing.identifiers import is_id
from remote_signing.rssp import (
    account_codes,
    account_view,
    credentials,
    passkey_wire,
    sessions,
    sign_in_passkeys,
)
from remote_signing.rssp.consent import (
    SessionDep,
    certificate_members,
    for_signer,
    opened_members,
    read_texts,
    time_text,
    with_password_check,
)
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads the annotation
from remote_signing.rssp.edge.body import read_object
from remote_signing.webauthn import ALGORITHMS

if TYPE_CHECKING:
    from remote_signing.rssp.account_view import Holding
    from remote_signing.rssp.consent import Members
    from remote_signing.rssp.sessions import Signer
    from remote_signing.rssp.sign_in_passkeys import Asked
    from remote_signing.strict_json import JsonValue

router = APIRouter(prefix="/consent/v1")


@router.post("/sign-in/options")
async def ask(request: Request, services: ServicesDep) -> Response:
    """What a browser asks whichever passkey its user picks. No session: this is how one begins."""
    await read_texts(request)
    asked = await run_in_threadpool(sign_in_passkeys.ask, services)
    return JSONResponse(_asked(asked))


@router.post("/sign-in")
async def sign_in(request: Request, services: ServicesDep) -> Response:
    """Open a session with a passkey. 201, or 401 ``sign_in_refused``."""
    answer = passkey_wire.read_answer(await read_object(request, passkey_wire.LONGEST_BODY))
    opened = await run_in_threadpool(sign_in_passkeys.sign_in, services, answer)
    return JSONResponse(opened_members(opened), 201)


@router.post("/activate")
async def activate(request: Request, services: ServicesDep) -> Response:
    """Open the account with a one-time code and choose a password. 201, or as for a password."""
    given = await read_texts(
        request, code=account_codes.LONGEST, password=sessions.LONGEST_PASSWORD
    )
    opened = await with_password_check(
        lambda: account_codes.redeem(services, given["code"], given["password"])
    )
    return JSONResponse(opened_members(opened), 201)


@router.get("/account")
async def show(services: ServicesDep, session: SessionDep) -> Response:
    """Certificates with what approves, passkeys that sign in, and what happened last."""

    def work(signer: Signer) -> Members:
        owner = signer.subscriber_id
        password = account_view.password_age(services.database, owner)
        return {
            "password": password
            and {"is_own": password.is_own, "since": time_text(password.since_ms)},
            "credentials": [_holding(each) for each in account_view.holdings(services, owner)],
            "sign_in_passkeys": [
                {
                    "id": row.id,
                    "name": row.name,
                    "registered_at": time_text(row.registered_at),
                    "last_used_at": row.last_used_at and time_text(row.last_used_at),
                }
                for row in sign_in_passkeys.of_subscriber(services, owner)
            ],
            "events": [
                {"kind": row.kind, "at": time_text(row.at)}
                for row in account_view.last_events(services.database, owner)
            ],
        }

    return await for_signer(services, session, work)


@router.get("/credentials/{name}/certificate")
async def certificate(name: str, services: ServicesDep, session: SessionDep) -> Response:
    """The certificate itself, DER in base64. 404 ``credential_unknown`` also for another's."""

    def work(signer: Signer) -> Members:
        owner = signer.subscriber_id
        found = credentials.visible(services.database, name, subscriber_id=owner)
        if found is None or found.certificate is None:
            raise CredentialUnknown("none, another's, or not certified")
        return {"certificate": base64.b64encode(found.certificate).decode("ascii")}

    return await for_signer(services, session, work)


@router.delete("/sessions/{name}")
async def end_session(name: str, services: ServicesDep, session: SessionDep) -> Response:
    """End one of the signer's sessions. 204, also when it was over already."""
    if not is_id(name):
        raise SessionInvalid("not the shape of an id")
    await run_in_threadpool(sessions.end_one, services, session, name)
    return Response(status_code=204)


@router.post("/sign-in/passkeys/options")
async def begin(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """What a browser needs to make a passkey that signs in."""
    await read_texts(request)

    def work(signer: Signer) -> Members:
        return _asked(sign_in_passkeys.begin(services, signer.subscriber_id))

    return await for_signer(services, session, work)


@router.post("/sign-in/passkeys")
async def add(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """Let one in, with the password. 401 ``sign_in_refused`` when that is wrong."""
    given = await read_object(request, passkey_wire.LONGEST_BODY)
    if given.keys() != {"passkey", "name", "password"}:
        raise InvalidInput("members are not name, passkey, password")
    new = passkey_wire.read_new(given["passkey"])
    made = sign_in_passkeys.Made(
        client_data=base64.b64decode(new["client_data"]),
        attestation_object=base64.b64decode(new["attestation_object"]),
        name=passkey_wire.text(given, "name"),
    )
    password = _password(given)

    def work() -> str:
        owner = sessions.use(services, session).subscriber_id
        return sign_in_passkeys.add(services, owner, password, made)

    return JSONResponse({"id": await with_password_check(work)}, 201)


@router.post("/sign-in/passkeys/{name}/drop")
async def drop(request: Request, name: str, services: ServicesDep, session: SessionDep) -> Response:
    """Remove one, with the password."""
    given = await read_texts(request, password=sessions.LONGEST_PASSWORD)
    if not is_id(name):
        raise PasskeyUnknown("not the shape of an id")

    def work() -> None:
        owner = sessions.use(services, session).subscriber_id
        sign_in_passkeys.drop(services, owner, given["password"], name)

    await with_password_check(work)
    return JSONResponse({})


def _password(given: dict[str, JsonValue]) -> str:
    password = given["password"]
    if not isinstance(password, str) or not 0 < len(password) <= sessions.LONGEST_PASSWORD:
        raise InvalidInput("password is not a text of that length", parameter="password")
    return password


def _asked(asked: Asked) -> Members:
    challenge = passkey_wire.b64url(asked.challenge)
    return {
        "token": challenge,
        "challenge": challenge,
        "rp_id": asked.rp_id,
        "user_handle": passkey_wire.b64url(asked.user_handle),
        "algorithms": list(ALGORITHMS),
        "passkeys": [{"id": passkey_wire.b64url(each), "transports": []} for each in asked.known],
    }


def _holding(found: Holding) -> Members:
    view = found.credential
    return {
        "id": view.id,
        "description": view.description,
        "state": found.state,
        "certificate": None if view.certificate is None else certificate_members(view.certificate),
        "has_pin": found.has("pin"),
        "has_totp": found.has("totp"),
        "may_choose_pin": found.may_choose_pin,
        "sims": list(found.sims),
        "passkeys": list(found.passkeys),
    }
