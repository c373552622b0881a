"""``signatures/signDoc`` (CSC API v2.2 cl. 11.14), and ``signatures/prepareDoc``, our own.

What the signer consents to is the DTBS/R, the bytes that the key signs; at SCAL2 it must be known
before the consent. ``prepareDoc`` tells it: the same order, with the time that it names, gives the
same DTBS/R in ``signDoc`` (docs/sign-doc.md).
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias, cast

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from remote_signing.algorithms import algorithm_named, digest_by_oid, resolve_scheme
from remote_signing.errors import CertificateExpired, CredentialUnknown
from remote_signing.rssp import bearer
from remote_signing.rssp.csc.errors import CscError, invalid
from remote_signing.rssp.csc.v2 import (
    attach,
    document_answer,
    document_order,
    later_jobs,
    signatures,
)
from remote_signing.rssp.csc.v2.credentials import of_user, reachable
from remote_signing.rssp.csc.v2.later_jobs import DocumentsGiven
from remote_signing.rssp.csc.v2.schemas import SignHashRequest
from remote_signing.rssp.csc.wire import MEDIA_TYPE, answer, encode
from remote_signing.rssp.documents import intake
from remote_signing.rssp.documents.intake import Body
from remote_signing.rssp.documents.model import Recipe
from remote_signing.rssp.documents.signing import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.responses import Response

    from remote_signing.rssp.bearer import Caller, Presented
    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.csc.dispatch import Call
    from remote_signing.rssp.csc.v2.document_order import DocumentOrder
    from remote_signing.rssp.csc.v2.schemas import Later
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.documents.model import Material
    from remote_signing.rssp.documents.signing import Desk, Done, Waiting

    Folder: TypeAlias = TemporaryDirectory[str]
    Work: TypeAlias = Callable[["Call", Presented, Caller, DocumentOrder, Folder], Response]

_SPARE = 3600  # seconds of a claimed time's age before the signer is asked, and after the consent
_AHEAD_MS = 5000
_TIME = "%Y-%m-%dT%H:%M:%SZ"

_log = logging.getLogger(__name__)


async def sign_doc(call: Call) -> Response:
    """The signed documents, or signatures of digests. Four statements.

    ``DocumentWithSignature`` and ``SignatureObject`` each in the order of their entries. The level
    that was asked for, or an error: without a time stamp or a status nothing less is given. The
    same call again, with its ``claimedTime``, uses the key no second time. In asynchronous mode a
    ``responseID`` instead, and a statement for each piece of a document that is kept.
    """
    return await _served(call, _sign)


async def prepare_doc(call: Call) -> Response:
    """The ``hashes`` (DTBS/R) that ``signDoc`` would sign, for ``claimedTime``. Two statements.

    With ``attach`` also ``attachmentIDs``, for the signer to see; a statement for each.
    """
    return await _served(call, _prepare)


async def _served(call: Call, work: Work) -> Response:
    """A stranger is told so before anything of his is kept."""
    services = call.services
    presented = bearer.read(services, call.request)
    caller = await run_in_threadpool(_identified, services, presented)
    settings = services.config.documents
    folder = TemporaryDirectory(prefix="document-", dir=settings.folder)
    try:
        where, strict = Path(folder.name), services.config.csc.strict
        body = await intake.read(call.request, where, settings.largest, strict=strict)
        order = await run_in_threadpool(_read, call, body, where)
        return await run_in_threadpool(work, call, presented, caller, order, folder)
    except BaseException:
        folder.cleanup()
        raise


def _read(call: Call, body: Body, folder: Path) -> DocumentOrder:
    """The order; in asynchronous mode its ``body`` has copies of the documents, to be kept.

    What follows moves the files and writes to them, and the worker begins anew.
    """
    originals = body
    if body.members.get("operationMode") == "A":
        copies = {
            marker: None if path is None else shutil.copyfile(path, path.with_suffix(".original"))
            for marker, path in body.files.items()
        }
        originals = Body(body.members, copies)
    order = document_order.read(call.named(body.members), body, folder)
    return replace(order, body=originals)


def _identified(services: Services, presented: Presented) -> Caller:
    return bearer.identify(services, bearer.prove(services, presented))


def _sign(
    call: Call, presented: Presented, caller: Caller, order: DocumentOrder, folder: Folder
) -> Response:
    if order.later is not None:
        return _accept(call, presented, caller, order, folder)
    services, desk = call.services, _desk(call)
    found = _credential(services, caller, order)
    waiting = desk.prepare(items(found, order, _claimed(services, order)))
    wanted = _wanted(found, order, waiting)
    made = signatures.sign_proved(services, presented, caller.proved, wanted)
    done = desk.finish(waiting, made)
    material = told(desk, found, order, waiting)
    return StreamingResponse(_text(done, material, folder), media_type=MEDIA_TYPE)


def _accept(
    call: Call,
    presented: Presented,
    caller: Caller,
    order: DocumentOrder,
    folder: Folder,
) -> Response:
    """Note that it is wanted, when it could be made now: time and status need not be there yet."""
    services, body = call.services, order.body
    later_jobs.check_offered(services)
    found, claimed = _credential(services, caller, order), _claimed(services, order)
    waiting = _desk(call).fixed(items(found, order, claimed))
    wanted = _wanted(found, order, waiting)
    use, prospect = signatures.foreseen(services, presented, caller.proved, wanted)
    members = {name: value for name, value in body.members.items() if name != "SAD"}
    files = {marker: path for marker, path in body.files.items() if path is not None}
    given = DocumentsGiven(members | {"claimedTime": _claimed_text(claimed)}, files)
    later = cast("Later", order.later)
    response_id = later_jobs.accept_documents(services, use, prospect, later, given)
    folder.cleanup()
    return answer({"responseID": response_id})


def _prepare(
    call: Call, _presented: Presented, caller: Caller, order: DocumentOrder, folder: Folder
) -> Response:
    services = call.services
    found = _credential(services, caller, order)
    claimed = _claimed(services, order)
    waiting = _desk(call).prepare(items(found, order, claimed))
    members: dict[str, object] = {
        "credentialID": found.id,
        "hashes": [encode(each.prepared.dtbs_r) for each in waiting],
        "hashAlgorithmOID": waiting[0].item.recipe.scheme.digest.oid,
        "claimedTime": _claimed_text(claimed),
    }
    if call.named(order.body.members).flag("attach"):
        members["attachmentIDs"] = [attach.attach_prepared(call, caller, each) for each in waiting]
    folder.cleanup()
    return answer(members)


def _claimed_text(claimed: int) -> str:
    """``claimedTime`` for a time in ms."""
    return datetime.fromtimestamp(claimed // 1000, UTC).strftime(_TIME)


def _wanted(
    found: CredentialView, order: DocumentOrder, waiting: Sequence[Waiting]
) -> SignHashRequest:
    return SignHashRequest(
        sad=order.sad,
        credential_id=found.id,
        hashes=tuple(each.prepared.dtbs_r for each in waiting),
        sign_algo=order.algorithm.sign_algo,
        hash_algorithm_oid=order.algorithm.hash_oid,
        sign_algo_params=order.algorithm.params,
    )


def _desk(call: Call) -> Desk:
    return cast("Desk", call.request.app.state.desk)


def _credential(services: Services, caller: Caller, order: DocumentOrder) -> CredentialView:
    """The credential named; or the only one that can be used, where the qualifier alone is."""
    if order.qualifier not in {None, services.config.csc.signature_qualifier}:
        raise invalid("signatureQualifier")
    credential_id = order.credential_id or caller.credential_id
    if credential_id is not None:
        found = reachable(services, caller, credential_id)
    else:
        usable = of_user(services, caller, None, only_valid=True)
        if len(usable) != 1:
            raise CredentialUnknown(f"{len(usable)} credentials, which one is not told")
        found = usable[0]
    if not found.usable_at(services.now_ms()) and found.state == "enabled":
        raise CertificateExpired("told before a document is worked on")
    return found


def _claimed(services: Services, order: DocumentOrder) -> int:
    """The time that the signatures claim, in ms: the order's, or now, in whole seconds."""
    now, lifetimes = services.now_ms() // 1000 * 1000, services.config.lifetimes
    ago_ms = (max(lifetimes.activation, lifetimes.decoupled) + _SPARE) * 1000
    claimed = now if order.claimed_ms is None else order.claimed_ms
    if not now - ago_ms <= claimed <= now + _AHEAD_MS:
        raise invalid("claimedTime")
    return claimed


def items(found: CredentialView, order: DocumentOrder, claimed: int) -> list[Item]:
    """One for each entry, claiming the time ``claimed`` (ms)."""
    algorithm = order.algorithm
    scheme = resolve_scheme(
        algorithm_named(found.algorithm), algorithm.sign_algo, algorithm.hash_oid, algorithm.params
    )
    if scheme.digest.oid != digest_by_oid(cast("str", algorithm.hash_oid)).oid:
        raise CscError("String parameter hashAlgorithmOID contradicts with signAlgo parameter")
    return [
        Item(
            recipe=Recipe(
                format=entry.format,
                level=entry.level,
                envelope=entry.envelope,
                scheme=scheme,
                certificate=cast("bytes", found.certificate),
                chain=found.chain,
                claimed_ms=claimed,
                texts=entry.texts,
                reference_uri=entry.reference_uri,
                names=entry.names,
                appearance=entry.appearance,
            ),
            path=entry.path,
            sdr=entry.sdr,
        )
        for entry in order.entries
    ]


def told(
    desk: Desk, found: CredentialView, order: DocumentOrder, waiting: Sequence[Waiting]
) -> Material | None:
    """``validationInfo``: when asked for, and when a level needs it and no document is here."""
    for each in waiting:
        if each.item.path is None and each.item.recipe.reaches("B-LT"):
            return each.material
    return desk.material(cast("bytes", found.certificate)) if order.wants_info else None


def _text(done: Sequence[Done], material: Material | None, folder: Folder) -> Iterator[bytes]:
    results = {
        document_answer.ENVELOPED: [each.base64() for each in done if each.enveloped],
        document_answer.APART: [each.base64() for each in done if not each.enveloped],
    }
    info = None if material is None else document_answer.validation_info(material)
    try:
        yield from document_answer.text(results, info)
    finally:
        folder.cleanup()
