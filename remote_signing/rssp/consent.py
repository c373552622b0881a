"""The consent API (``/consent/v1``): what the consent page asks, in the signer's name.

The bearer token is the signer's session; the page itself has no right of its own. Answers are JSON
with times in RFC 3339, errors are problem details (:mod:`remote_signing.rssp.edge.problem`).
Nothing here logs a body, and a PIN or one-time code is handed on to the SAM and to nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import anyio
from anyio import to_thread
from cryptography import x509
from cryptography.x509.oid import NameOID
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from remote_signing.clock import as_datetime
from remote_signing.errors import ActivationUnknown, InvalidInput, SessionInvalid, Unavailable
from remote_signing.identifiers import Ticket, is_id
from remote_signing.rssp import activation, question, service_authorization, sessions
from remote_signing.rssp.deps import ServicesDep
from remote_signing.rssp.deps import services as services_of
from remote_signing.rssp.edge.body import read_object
from remote_signing.rssp.edge.threads import in_thread
from remote_signing.rssp.sim import cards
from remote_signing.rssp.sim import consent as sim_consent
from remote_signing.rssp.sim.tending import afterwards

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remote_signing.rssp.activation import Answered
    from remote_signing.rssp.activation_model import ActivationDetails, Document
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.edge.express import Table
    from remote_signing.rssp.notices import Notice
    from remote_signing.rssp.request_details import RequestDetails
    from remote_signing.rssp.service_authorization import ServiceDetails
    from remote_signing.rssp.sessions import Opened, Signer
    from remote_signing.rssp.sim.consent import SimQuestion
    from remote_signing.strict_json import JsonValue

    Members: TypeAlias = "dict[str, object]"

_Kind = TypeVar("_Kind")

router = APIRouter(prefix="/consent/v1")

LARGEST_BODY = 4096
LONGEST_EVIDENCE = 64
_CACHED_CERTIFICATES = 4096

# Each check of a password takes 19 MiB and 22 ms of a core. A flood of them must wait for one
# another, not take memory and threads from those who are signing.
_CHECKS_AT_ONCE = 2
_CHECKS_WAITING = 64
_password_checks = anyio.CapacityLimiter(_CHECKS_AT_ONCE)


async def session_ticket(request: Request) -> Ticket:
    """The session in the Authorization header. Errors: ``SessionInvalid``.

    A coroutine, like every dependency here: FastAPI takes any other to a thread and back.
    """
    values = request.headers.getlist("authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    ticket = Ticket.parse(token) if scheme.lower() == "bearer" else None
    if ticket is None:
        raise SessionInvalid("no bearer token, or none of ours")
    return ticket


SessionDep = Annotated[Ticket, Depends(session_ticket)]


@router.post("/sessions")
async def sign_in(request: Request, services: ServicesDep) -> Response:
    """Open a session with user name and password. 201, or 401 ``sign_in_refused``."""
    given = await read_texts(
        request, username=sessions.LONGEST_USERNAME, password=sessions.LONGEST_PASSWORD
    )
    opened = await with_password_check(
        lambda: sessions.sign_in(services, given["username"], given["password"])
    )
    return JSONResponse(opened_members(opened), 201)


async def with_password_check(work: Callable[[], _Kind]) -> _Kind:
    """``work``, which checks or makes a password, in its turn. Errors: ``Unavailable``."""
    if _password_checks.statistics().tasks_waiting >= _CHECKS_WAITING:
        raise Unavailable("too many sign-ins at once")
    return await to_thread.run_sync(work, limiter=_password_checks)


def opened_members(opened: Opened) -> Members:
    """A new session as the page gets it."""
    return {
        "session": str(opened.ticket),
        "expires_at": time_text(opened.expires_at_ms),
        "subscriber": _signer(opened.signer),
    }


@router.delete("/sessions/current")
async def sign_out(services: ServicesDep, session: SessionDep) -> Response:
    """End the session. 204, also when it was over already."""
    await in_thread(sessions.sign_out, services, session)
    return Response(status_code=204)


@router.get("/requests/{name}")
async def show_request(name: str, services: ServicesDep, session: SessionDep) -> Response:
    """One request, in whatever state. 404 ``request_unknown`` also for somebody else's."""

    def work() -> Members:
        signer, found = question.show(services, session, name)
        return _answer(services, signer, request_members(found) | _sims(services, found))

    return JSONResponse(await in_thread(work))


@router.post("/requests/{name}/approve")
async def approve(
    request: Request, name: str, services: ServicesDep, session: SessionDep
) -> Response:
    """Consent with signing PIN and one-time code. Two statements.

    403 ``evidence_invalid`` with ``attempts_left``, 403 ``credential_locked``,
    ``credential_disabled``, ``certificate_expired``; 409, 410 when it is not waiting any more;
    503 when nothing was used up.
    """
    given = await read_texts(request, pin=LONGEST_EVIDENCE, otp=LONGEST_EVIDENCE)
    approved = await in_thread(
        activation.approve, services, session, known_request(name), given["pin"], given["otp"]
    )
    members = {"redirect_to": approved.redirect_to, "state": approved.state.value}
    return JSONResponse(members, background=afterwards(services, is_asked=approved.sim_is_asked))


async def _show_express(request: Request) -> Response:
    session, name = await session_ticket(request), request.path_params["name"]
    return await show_request(name, services_of(request), session)


async def _approve_express(request: Request) -> Response:
    session, name = await session_ticket(request), request.path_params["name"]
    return await approve(request, name, services_of(request), session)


EXPRESS: Table = {
    ("GET", "/consent/v1/requests/{name}"): _show_express,
    ("POST", "/consent/v1/requests/{name}/approve"): _approve_express,
}


@router.get("/services/{name}")
async def show_service(name: str, services: ServicesDep, session: SessionDep) -> Response:
    """A portal's wish to see the signer's list of credentials."""

    def work(_: Signer) -> Members:
        return _service(service_authorization.details(services, known_request(name)))

    return await for_signer(services, session, work)


@router.post("/services/{name}/approve")
async def approve_service(
    request: Request, name: str, services: ServicesDep, session: SessionDep
) -> Response:
    """Let it. The session is enough: nothing can be signed with this."""
    await read_texts(request)
    target = await in_thread(service_authorization.approve, services, session, known_request(name))
    return JSONResponse({"redirect_to": target, "state": "GRANTED"})


@router.post("/services/{name}/deny")
async def deny_service(
    request: Request, name: str, services: ServicesDep, session: SessionDep
) -> Response:
    """Refuse it."""
    await read_texts(request)
    target = await in_thread(service_authorization.deny, services, session, known_request(name))
    return JSONResponse({"redirect_to": target, "state": "DENIED"})


async def for_signer(
    services: Services, session: Ticket, work: Callable[[Signer], Members]
) -> Response:
    """Use the session, then do ``work``: one hop to a thread for both."""

    def both() -> Members:
        signer = sessions.use(services, session)
        return _answer(services, signer, work(signer))

    return JSONResponse(await in_thread(both))


def _answer(services: Services, signer: Signer, members: Members) -> Members:
    return {"now": time_text(services.now_ms()), "subscriber": _signer(signer), **members}


async def read_texts(request: Request, **longest: int) -> Mapping[str, str]:
    """The body's members: exactly these, each a text of 1 to ``longest`` characters."""
    return checked_texts(await read_object(request, LARGEST_BODY), **longest)


def checked_texts(given: Mapping[str, object], **longest: int) -> Mapping[str, str]:
    """``given``, when it has exactly these members, each a text of 1 to ``longest`` characters."""
    if given.keys() != longest.keys():
        raise InvalidInput(f"members are not {sorted(longest)}")
    texts: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(value, str) or not 0 < len(value) <= longest[name]:
            raise InvalidInput(f"{name} is not a text of that length", parameter=name)
        texts[name] = value
    return texts


def known_request(name: str) -> str:
    """``name`` when it has the shape of an id; ``ActivationUnknown``."""
    if not is_id(name):
        raise ActivationUnknown("not the shape of an id")
    return name


def known_requests(given: dict[str, JsonValue]) -> list[str]:
    """The member ``ids``, taken out of ``given``; ``InvalidInput``, ``ActivationUnknown``."""
    ids = given.pop("ids", None)
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise InvalidInput("ids is not a list of texts", parameter="ids")
    return [known_request(str(each)) for each in ids]


def time_text(now_ms: int) -> str:
    """RFC 3339, UTC."""
    return as_datetime(now_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _signer(signer: Signer) -> Members:
    return {
        "person": signer.person,
        "full_name": signer.full_name,
        "position": signer.position,
        "agency": signer.agency,
    }


def request_members(found: ActivationDetails) -> Members:
    """One request as the page sees it."""
    return {
        "id": found.activation_id,
        "state": found.state.value,
        "channel": found.channel.value,
        "client_name": found.client_name,
        "client_logo": found.client_logo,
        "description": found.description,
        "documents": [document_members(item) for item in found.documents],
        "hash_algorithm": found.hash_algorithm,
        "num_signatures": found.num_signatures,
        "verification_code": found.verification_code,
        "codes": list(found.codes),
        "details": details_members(found.details),
        "denial": None if found.denial is None else found.denial.members(),
        "certificate": certificate_members(found.certificate),
        "lang": found.lang,
        "created_at": time_text(found.created_at_ms),
        "expires_at": time_text(found.expires_at_ms),
        "redirect_origin": found.redirect_origin,
        "passkey_from": None if found.passkey_from_ms is None else time_text(found.passkey_from_ms),
    }


def result_members(answered: Sequence[Answered]) -> Members:
    """What became of each request of a batch."""
    told = [{"id": item.activation_id, "is_approved": item.is_approved} for item in answered]
    return {"results": told}


def document_members(item: Document) -> Members:
    """One thing to sign; ``attached`` says which bytes are shown, null when only the hash is."""
    shown = item.attached
    return {
        "label": item.label,
        "digest": item.digest,
        "attached": None
        if shown is None
        else {
            "sha256": shown.sha256,
            "size": shown.size,
            "media_type": shown.media_type,
            "basis": shown.basis,
            "pages": shown.pages,
            "remarks": list(shown.remarks),
        },
    }


def notice_members(notice: Notice) -> Members:
    """A notice as the page shows it."""
    usable_from = notice.detail.get("usable_from")
    return {
        "id": notice.id,
        "kind": notice.kind,
        "name": notice.detail.get("name"),
        "created_at": time_text(notice.created_at_ms),
        "usable_from": time_text(usable_from) if isinstance(usable_from, int) else None,
    }


def details_members(details: RequestDetails | None) -> Members | None:
    """What the portal said beside the hashes; None when it said nothing."""
    if details is None:
        return None
    deadline = details.deadline_ms
    members: Members = {**details.members()}
    del members["deadline_ms"]
    return members | {
        "deadline": None if deadline is None else time_text(deadline),
        "reference": details.reference or None,
    }


def _sims(services: Services, found: ActivationDetails) -> Members:
    """Which SIMs may be asked, and what was asked last. No statement where there is no adapter."""
    offers = cards.offers(services, found.credential_id, found.lang or services.config.service.lang)
    asked = sim_consent.current(services, found.activation_id) if offers else None
    return {
        "sims": [
            {
                "factor_id": offer.factor_id,
                "number": offer.number,
                "is_active": offer.is_active,
                "cause": offer.cause,
            }
            for offer in offers
        ],
        "sim": None if asked is None else sim_members(asked),
    }


def sim_members(asked: SimQuestion) -> Members:
    """A question to a SIM as the page sees it."""
    return {
        "state": asked.state,
        "version": asked.version,
        "number": asked.number,
        "display_text": asked.display_text,
        "verification_code": asked.verification_code,
        "expires_at": time_text(asked.deadline_ms),
        "is_delivered": asked.is_delivered,
        "outcome": asked.outcome,
        "cause": asked.cause,
    }


def _service(found: ServiceDetails) -> Members:
    return {
        "id": found.authorization_id,
        "state": found.state,
        "client_name": found.client_name,
        "client_logo": found.client_logo,
        "description": found.description,
        "lang": found.lang,
        "expires_at": time_text(found.expires_at_ms),
        "redirect_origin": found.redirect_origin,
    }


@lru_cache(_CACHED_CERTIFICATES)
def certificate_members(der: bytes) -> Mapping[str, str | None]:
    """What a person wants to know of a DER certificate. ``serial`` is hexadecimal."""
    certificate = x509.load_der_x509_certificate(der)
    subject, issuer = certificate.subject, certificate.issuer
    return {
        "holder": _attribute(subject, NameOID.COMMON_NAME) or subject.rfc4514_string(),
        "organisation": _attribute(subject, NameOID.ORGANIZATION_NAME),
        "issuer": _attribute(issuer, NameOID.COMMON_NAME) or issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "not_before": certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None
