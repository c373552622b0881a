"""``signDoc`` in asynchronous mode: what a worker makes of a job, and how it is handed out.

The key is used first and its signatures are written down, while the authorisation lives. Time and
status may then take as long as the job may: who is away is asked again, and the level stays.
"""

from __future__ import annotations

import base64
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from starlette.responses import StreamingResponse

from remote_signing.errors import CredentialUnknown, HashNotAuthorised, Unavailable
from remote_signing.rssp import activation, credentials, job_parts, signing_jobs
from remote_signing.rssp.csc.v2 import document_answer, document_order, later_jobs, sign_doc
from remote_signing.rssp.csc.v2.parameters import EXACT, V2, Parameters
from remote_signing.rssp.csc.wire import MEDIA_TYPE
from remote_signing.rssp.documents.intake import Body
from remote_signing.rssp.job_parts import Part
from remote_signing.sap import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.responses import Response

    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.csc.v2.document_order import DocumentOrder
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.documents.signing import Desk, Done, Waiting
    from remote_signing.rssp.signing_jobs import Claimed, Members


def make(services: Services, desk: Desk, job: Claimed) -> Members:
    """Make the signatures of an accepted ``signDoc``, and keep what ``signPolling`` hands out.

    Errors: those of the method itself; ``Unavailable``: to be tried again.
    """
    settings = services.config.documents
    with (
        TemporaryDirectory(prefix="document-", dir=settings.folder) as name,
        signing_jobs.held(services, job),
    ):
        order = _order(services, job, Path(name))
        found = _credential(services, job)
        waiting = desk.fixed(sign_doc.items(found, order, cast("int", order.claimed_ms)))
        signatures = _signatures(services, job, waiting)
        supplied = desk.supplied(waiting)
        done: list[Done] = []
        for each, signature in zip(supplied, signatures, strict=True):
            if services.drain.started:  # a hundred documents would hold the end up for minutes
                raise Unavailable("this process is on its way out")
            done += desk.finish([each], [signature])
        material = sign_doc.told(desk, found, order, supplied)
        made: Members = {"job": job.id, "kept": _kept(services, job, done, Path(name))}
        if material is not None:
            made["validationInfo"] = document_answer.validation_info(material)
        return made


def hand_out(services: Services, members: Members) -> Response:
    """The answer of ``signPolling`` with what is kept. A statement a piece, as they are sent.

    Should pieces be removed meanwhile, the connection is cut: half a document is no answer.
    """
    results = {
        name: [_encoded(services, members["job"], part) for part in parts]
        for name, parts in members["kept"].items()
    }
    text = document_answer.text(results, members.get("validationInfo"))
    return StreamingResponse(text, media_type=MEDIA_TYPE)


def _order(services: Services, job: Claimed, folder: Path) -> DocumentOrder:
    """What was asked for, read as it was read then, with its documents in ``folder``."""
    files: dict[str, Path | None] = {}
    for marker, name in job.request[signing_jobs.KEEPS].items():
        files[marker] = folder / name
        job_parts.load(services, job.id, name, folder / name)
    body = Body(job.request["order"], files)
    spelling = EXACT if services.config.csc.strict else V2
    return document_order.read(Parameters(body.members, spelling), body, folder)


def _credential(services: Services, job: Claimed) -> CredentialView:
    found = credentials.visible(
        services.database,
        job.request["use"]["credential_id"],
        subscriber_id=job.request["subscriber_id"],
    )
    if found is None or found.certificate is None:
        raise CredentialUnknown("gone since the job was accepted")
    return found


def _signatures(services: Services, job: Claimed, waiting: Sequence[Waiting]) -> list[bytes]:
    """Made now, and written down; or those that a former try wrote down."""
    use = later_jobs.use_of(job.request["use"])
    if use.hashes != tuple(each.prepared.dtbs_r for each in waiting):
        raise HashNotAuthorised("the certificate is another one since the job was accepted")
    stored = job.request.get("signatures")
    if stored is not None:
        return [unb64(value, "signatures") for value in stored]
    made = list(activation.sign_hash(services, use))
    noted = {**job.request, "signatures": [b64(value) for value in made]}
    if not signing_jobs.note(services, job, noted):
        raise Unavailable("another worker has taken the job over")
    return made


def _kept(
    services: Services, job: Claimed, done: Sequence[Done], folder: Path
) -> dict[str, list[str]]:
    """The parts that results are kept in, by the member that they are told in."""
    kept: dict[str, list[str]] = {document_answer.ENVELOPED: [], document_answer.APART: []}
    end = job.expires_at + signing_jobs.LEASE_MS
    for number, each in enumerate(done):
        name = f"result-{job.tries}-{number}"
        path = each.path
        if path is None:
            path = folder / name
            path.write_bytes(each.content)
        job_parts.keep_result(services, Part(job.id, name, end), path)
        member = document_answer.ENVELOPED if each.enveloped else document_answer.APART
        kept[member].append(name)
    return kept


def _encoded(services: Services, job_id: str, name: str) -> Iterator[bytes]:
    return map(base64.b64encode, job_parts.pieces(services, job_id, name))
