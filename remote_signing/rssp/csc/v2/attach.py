"""``POST /attachments/v1/documents``, our own: a document that a signer sees beside its hash.

Not a method of the CSC API, but with its tokens and errors, and refused to the same callers.

The body is the file itself, so nothing is decoded and a large one costs its reading. What is kept
is shown to nobody until a request names it (:mod:`.attachment_order`).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from starlette.concurrency import run_in_threadpool

from remote_signing.errors import DocumentUnusable
from remote_signing.identifiers import new_id
from remote_signing.rssp import bearer
from remote_signing.rssp.attachments import inspection, register, vault
from remote_signing.rssp.attachments.register import NewAttachment
from remote_signing.rssp.csc.dispatch import Version
from remote_signing.rssp.csc.dispatch import router as _router
from remote_signing.rssp.csc.errors import CscError
from remote_signing.rssp.csc.v2.credentials import only_service
from remote_signing.rssp.csc.wire import answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from remote_signing.rssp.attachments.inspection import Inspected
    from remote_signing.rssp.bearer import Caller
    from remote_signing.rssp.csc.dispatch import Call
    from remote_signing.rssp.documents.model import Prepared
    from remote_signing.rssp.documents.signing import Desk, Waiting

PREFIX, NAME = "/attachments/v1", "documents"
_CREATED = 201


async def attach_doc(call: Call) -> Response:
    """Keep a document. 201 with ``attachmentID``. Two statements.

    A stranger is told so before anything of his is read.
    """
    services = call.services
    presented = bearer.read(services, call.request)
    caller = await run_in_threadpool(
        lambda: bearer.identify(services, bearer.prove(services, presented))
    )
    only_service(caller)
    declared = _media_type(call.request)
    limits = register.settings(services)
    with TemporaryDirectory(prefix="attachment-", dir=services.config.documents.folder) as folder:
        path = Path(folder) / "document"
        await _receive(call.request, path, limits.largest)
        members = await run_in_threadpool(_keep, call, caller, path, declared)
    return answer(members, _CREATED)


def attach_prepared(call: Call, caller: Caller, waiting: Waiting) -> str:
    """Keep what ``prepareDoc`` made a hash from, as the signer is to see it; its attachmentID.

    A PDF is kept prepared, with the look of its signature. One statement.
    """
    item, prepared = waiting.item, waiting.prepared
    path = prepared.path or item.path
    if path is None or not path.is_file():
        raise DocumentUnusable("digest or container", reason="only a single document can be shown")
    kept = _keep(call, caller, path, None, prepared, item.recipe.digest)
    return str(kept["attachmentID"])


def _media_type(request: Request) -> str:
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared not in inspection.MEDIA_TYPES:
        kinds = ", ".join(sorted(inspection.MEDIA_TYPES))
        raise CscError(f"The request body is not declared as one of {kinds}")
    return declared


async def _receive(request: Request, path: Path, limit: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise _too_large(limit)
    length = 0
    with path.open("xb") as stream:
        async for chunk in request.stream():
            length += len(chunk)
            if length > limit:
                raise _too_large(limit)
            await run_in_threadpool(stream.write, chunk)


def _too_large(limit: int) -> CscError:
    return CscError(f"The document is longer than {limit} bytes")


def _keep(  # noqa: PLR0913, PLR0917 - what came, and what was made of it
    call: Call,
    caller: Caller,
    path: Path,
    declared: str | None,
    prepared: Prepared | None = None,
    digest: str | None = None,
) -> dict[str, object]:
    services = call.services
    limits = register.settings(services)
    size = path.stat().st_size
    if size > limits.largest:
        raise _too_large(limits.largest)
    found = _inspected(call, path, declared, limits.pages)
    name = new_id(services.now_ms())
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").digest()
    limits.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = NewAttachment(
        id=name,
        client_id=caller.client_id,
        sha256=sha256,
        size=size,
        media_type=found.media_type,
        pages=found.pages,
        remarks=found.remarks,
        sealing_key=vault.keep(path, limits.folder, name),
        dtbs_r=None if prepared is None else prepared.dtbs_r,
        digest=digest,
    )
    try:
        end = register.add(services, new)
    except BaseException:
        vault.drop(limits.folder, name)
        raise
    return _members(new, end)


def _inspected(call: Call, path: Path, declared: str | None, pages: int) -> Inspected:
    desk = cast("Desk", call.request.app.state.desk)
    try:
        return desk.workshop.do(inspection.inspect, path, declared, pages)
    except DocumentUnusable as error:
        reason = error.public.get("reason")
        raise CscError(f"The document is not shown to a signer ({reason})") from error


def _members(new: NewAttachment, end_ms: int) -> dict[str, object]:
    members: dict[str, object] = {
        "attachmentID": new.id,
        "sha256": new.sha256.hex(),
        "size": new.size,
        "mediaType": new.media_type,
        "remarks": list(new.remarks),
        "expiresAt": datetime.fromtimestamp(end_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return members if new.pages is None else members | {"pages": new.pages}


VERSION = Version(
    prefix=PREFIX,
    methods={NAME: attach_doc},
    conditions={NAME: lambda config: config.attachments is not None},
)
router = _router(VERSION)
