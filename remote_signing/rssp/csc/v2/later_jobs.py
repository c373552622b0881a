"""Asynchronous mode: a request becomes a job, and a job an outcome (CSC API v2.2 cl. 11.13).

A method joins by putting its worker into ``MAKERS`` (:mod:`remote_signing.rssp.csc.v2.polling`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remote_signing.identifiers import StoredTicket, new_id
from remote_signing.rssp import activation, job_parts, signing_jobs
from remote_signing.rssp.activation import Use
from remote_signing.rssp.csc.errors import invalid
from remote_signing.rssp.csc.wire import encode
from remote_signing.rssp.job_parts import Part
from remote_signing.rssp.signing_jobs import NewJob
from remote_signing.sap import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.activation_model import Prospect
    from remote_signing.rssp.csc.v2.schemas import Later
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.signing_jobs import Members
    from remote_signing.strict_json import JsonValue

SIGN_HASH = "signatures/signHash"
SIGN_DOC = "signatures/signDoc"


@dataclass(frozen=True, slots=True)
class DocumentsGiven:
    """An order of ``signDoc`` without the SAD; ``files`` by the markers in it (:mod:`.intake`)."""

    members: dict[str, JsonValue] = field(repr=False)
    files: Mapping[str, Path]


def accept(services: Services, use: Use, later: Later) -> str:
    """Note that ``use`` is wanted, when it could be made now; the ``responseID``.

    Three statements. Errors: those of ``activation.foresee`` and ``signing_jobs.accept``.
    """
    check_offered(services)
    prospect = activation.foresee(services, use)
    new = NewJob(
        method=SIGN_HASH,
        client_id=prospect.client_id,
        subscriber_id=prospect.subscriber_id,
        request=_stored(use),
        validity_ms=later.validity_ms,
        response_uri=later.response_uri,
    )
    return signing_jobs.accept(services, new)


def accept_documents(
    services: Services, use: Use, prospect: Prospect, later: Later, given: DocumentsGiven
) -> str:
    """Note that documents shall be signed by ``use``, and keep them; the ``responseID``.

    Two statements, and one for each piece of a document. Errors: those of ``signing_jobs.accept``;
    ``Unavailable`` when too much is kept.
    """
    job_id = new_id(services.now_ms())
    # A worker that has claimed the job in its last moment still finds them.
    end = signing_jobs.end_of(services, later.validity_ms) + signing_jobs.LEASE_MS
    names = {marker: f"document-{number}" for number, marker in enumerate(given.files)}
    request: dict[str, JsonValue] = {
        "use": _stored(use),
        "subscriber_id": prospect.subscriber_id,
        "order": given.members,
        signing_jobs.KEEPS: {**names},
    }
    new = NewJob(
        method=SIGN_DOC,
        client_id=prospect.client_id,
        subscriber_id=prospect.subscriber_id,
        request=request,
        validity_ms=later.validity_ms,
        response_uri=later.response_uri,
        id=job_id,
    )
    try:
        for marker, path in given.files.items():
            job_parts.keep(services, Part(job_id, names[marker], end), path)
        return signing_jobs.accept(services, new)
    except BaseException:
        job_parts.forget(services, job_id)
        raise


def check_offered(services: Services) -> None:
    """Refuse mode "A" where ``info`` does not offer it."""
    if not signing_jobs.is_offered(services):
        raise invalid("operationMode")


def sign_hash(services: Services, request: Members) -> Members:
    """Make the signatures of an accepted ``signHash``; what it would have answered.

    Errors: those of ``activation.sign_hash``.
    """
    signatures = activation.sign_hash(services, use_of(request))
    return {"signatures": [encode(value) for value in signatures]}


def _stored(use: Use) -> dict[str, JsonValue]:
    params = use.sign_algo_params
    return {
        "ticket": _ticket(use.ticket),
        "credential_id": use.credential_id,
        "hashes": [b64(value) for value in use.hashes],
        "sign_algo": use.sign_algo,
        "hash_algorithm_oid": use.hash_algorithm_oid,
        "sign_algo_params": None if params is None else b64(params),
        "service_token": None if use.service_token is None else _ticket(use.service_token),
        "jkt": use.jkt,
        "x5t": use.x5t,
    }


def use_of(request: Members) -> Use:
    """The use of a key that :func:`accept` has written down."""
    params, service = request["sign_algo_params"], request["service_token"]
    return Use(
        ticket=_read_ticket(request["ticket"]),
        credential_id=request["credential_id"],
        hashes=tuple(unb64(value, "hashes") for value in request["hashes"]),
        sign_algo=request["sign_algo"],
        hash_algorithm_oid=request["hash_algorithm_oid"],
        sign_algo_params=None if params is None else unb64(params, "sign_algo_params"),
        service_token=None if service is None else _read_ticket(service),
        jkt=request["jkt"],
        x5t=request["x5t"],
    )


def _ticket(ticket: Ticket | StoredTicket) -> list[JsonValue]:
    return [ticket.row_id, ticket.secret_hash.hex()]


def _read_ticket(pair: list[str]) -> StoredTicket:
    return StoredTicket(pair[0], bytes.fromhex(pair[1]))
