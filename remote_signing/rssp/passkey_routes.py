"""What the consent page asks about passkeys (``/consent/v1/…``), in the signer's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from remote_signing.clock import as_datetime
from remote_signing.errors import CredentialUnknown, InvalidInput, PasskeyUnknown
from remote_signing.identifiers import is_id
from remote_signing.rssp import (
    activation_batch_passkey,
    activation_passkey,
    notices,
    passkey_enrolment,
    passkey_wire,
    sessions,
)
from remote_signing.rssp.consent import (
    SessionDep,
    certificate_members,
    known_request,
    known_requests,
    notice_members,
    result_members,
)
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads the annotation
from remote_signing.rssp.edge.body import read_object
from remote_signing.rssp.sim.tending import afterwards

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.passkey_enrolment import Holding
    from remote_signing.rssp.sessions import Signer
    from remote_signing.strict_json import JsonValue

    Members: TypeAlias = "dict[str, object]"

router = APIRouter(prefix="/consent/v1")


@router.post("/requests/{name}/passkey/options")
async def ask(request: Request, name: str, services: ServicesDep, session: SessionDep) -> Response:
    """What the signer's passkeys are asked. 404 ``passkey_unknown``: none that counts now."""
    await _members(request)
    asked = await run_in_threadpool(
        activation_passkey.question, services, session, known_request(name)
    )
    return JSONResponse(passkey_wire.question(asked))


@router.post("/requests/{name}/passkey")
async def approve(
    request: Request, name: str, services: ServicesDep, session: SessionDep
) -> Response:
    """Consent with a passkey. Two statements.

    403 ``evidence_invalid``, ``passkey_too_new``, ``passkey_copied``; the others as for PIN and
    code.
    """
    answer = passkey_wire.read_answer(await read_object(request, passkey_wire.LONGEST_BODY))
    approved = await run_in_threadpool(
        activation_passkey.approve, services, session, known_request(name), answer
    )
    members = {"redirect_to": approved.redirect_to, "state": approved.state.value}
    return JSONResponse(members, background=afterwards(services, is_asked=approved.sim_is_asked))


@router.post("/batch/passkey/options")
async def ask_all(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """What they are asked about several requests at once. As for one; 400 as for a batch."""
    names = known_requests(await _members(request, "ids"))
    asked = await run_in_threadpool(activation_batch_passkey.question_all, services, session, names)
    return JSONResponse(passkey_wire.question(asked))


@router.post("/batch/passkey")
async def approve_all(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """Consent to several by one touch; an outcome for each. As for one; 400 as for a batch."""
    given = await _members(request, "ids", "answer")
    answer, names = passkey_wire.read_answer(given["answer"]), known_requests(given)
    answered = await run_in_threadpool(
        activation_batch_passkey.approve_all, services, session, names, answer
    )
    is_asked = any(each.sim_is_asked for each in answered)
    background = afterwards(services, is_asked=is_asked)
    return JSONResponse(result_members(answered), background=background)


@router.get("/passkeys")
async def show(services: ServicesDep, session: SessionDep) -> Response:
    """The signer's credentials with their passkeys, and what he has not seen yet."""

    def work(signer: Signer) -> Members:
        found = passkey_enrolment.overview(services, signer.subscriber_id)
        unseen = notices.unseen(services.database, signer.subscriber_id)
        return {
            "now": _time(services.now_ms()),
            "subscriber": {
                "person": signer.person,
                "full_name": signer.full_name,
                "position": signer.position,
                "agency": signer.agency,
            },
            "credentials": [_holding(each) for each in found],
            "notices": [notice_members(each) for each in unseen],
        }

    return await _answered(services, session, work)


@router.post("/passkeys/options")
async def begin(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """What a browser needs to make a passkey. 403 ``passkey_refused`` with ``reason``."""
    given = await _members(request, "credential_id")

    def work(signer: Signer) -> Members:
        credential_id = _credential(given)
        begun = passkey_enrolment.begin(services, signer.subscriber_id, credential_id)
        return passkey_wire.beginning(begun)

    return await _answered(services, session, work)


@router.post("/passkeys/confirm")
async def confirm(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """What a passkey that is there is asked about the new one."""
    given = await _members(request, "credential_id", "passkey")

    def work(signer: Signer) -> Members:
        made = passkey_wire.read_new(given["passkey"])
        asked = passkey_enrolment.confirm(services, signer.subscriber_id, _credential(given), made)
        return passkey_wire.question(asked)

    return await _answered(services, session, work)


@router.post("/passkeys")
async def bind(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """Let a passkey in, with proof of the factors there were. 201."""
    given = await _members(request, "credential_id", "passkey", "name", "proof")

    def work(signer: Signer) -> Members:
        new, proof = passkey_wire.read_named(given), passkey_wire.read_proof(given["proof"])
        factor_id = passkey_enrolment.bind(
            services, signer.subscriber_id, _credential(given), new, proof
        )
        return {"factor_id": factor_id}

    return await _answered(services, session, work, 201)


@router.post("/passkeys/{name}/options")
async def begin_drop(
    request: Request, name: str, services: ServicesDep, session: SessionDep
) -> Response:
    """What is needed to remove a passkey."""
    await _members(request)

    def work(signer: Signer) -> Members:
        begun = passkey_enrolment.begin_drop(services, signer.subscriber_id, _factor(name))
        return passkey_wire.beginning(begun)

    return await _answered(services, session, work)


@router.post("/passkeys/{name}/drop")
async def drop(request: Request, name: str, services: ServicesDep, session: SessionDep) -> Response:
    """Remove a passkey for ever, with proof of the factors that stay."""
    given = await _members(request, "token", "proof")

    def work(signer: Signer) -> Members:
        token, proof = passkey_wire.read_token(given), passkey_wire.read_proof(given["proof"])
        passkey_enrolment.drop(services, signer.subscriber_id, _factor(name), token, proof)
        return {}

    return await _answered(services, session, work)


@router.post("/notices/seen")
async def seen(request: Request, services: ServicesDep, session: SessionDep) -> Response:
    """The signer has seen what he had to hear of, up to ``newest``."""
    given = await _members(request, "newest")

    def work(signer: Signer) -> Members:
        newest = passkey_wire.text(given, "newest")
        if not is_id(newest):
            raise InvalidInput("newest is no id", parameter="newest")
        now = services.now_ms()
        return {"seen": notices.mark_seen(services.database, signer.subscriber_id, newest, now)}

    return await _answered(services, session, work)


async def _answered(
    services: Services, session: Ticket, work: Callable[[Signer], Members], status: int = 200
) -> Response:
    """Use the session, then do ``work``: one hop to a thread for both."""

    def both() -> Members:
        return work(sessions.use(services, session))

    return JSONResponse(await run_in_threadpool(both), status)


async def _members(request: Request, *names: str) -> dict[str, JsonValue]:
    given = await read_object(request, passkey_wire.LONGEST_BODY)
    if given.keys() != set(names):
        raise InvalidInput(f"members are not {sorted(names)}")
    return given


def _credential(given: dict[str, JsonValue]) -> str:
    name = given["credential_id"]
    if not isinstance(name, str) or not is_id(name):
        raise CredentialUnknown("not the shape of an id")
    return name


def _factor(name: str) -> str:
    if not is_id(name):
        raise PasskeyUnknown("not the shape of an id")
    return name


def _holding(found: Holding) -> Members:
    der = found.credential.certificate or b""
    return {
        "id": found.credential.id,
        "description": found.credential.description,
        "certificate": certificate_members(der),
        "passkeys": [
            {
                "factor_id": row.factor_id,
                "name": row.name,
                "is_synced": row.is_synced,
                "registered_at": _time(row.registered_at),
                "usable_from": _time(row.usable_from),
            }
            for row in found.passkeys
        ],
    }


def _time(now_ms: int) -> str:
    return as_datetime(now_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
