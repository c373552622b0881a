"""The consent API for documents: their bytes, and pages as pictures, while the request waits.

As :mod:`.consent`. Nothing here is ever served as something that a browser would open by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from remote_signing.errors import AttachmentUnknown, DocumentUnusable
from remote_signing.rssp import sessions
from remote_signing.rssp.attachments import pictures, register, vault
from remote_signing.rssp.consent import SessionDep, known_request
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads the annotation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.attachments.register import Shown
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.documents.signing import Desk

router = APIRouter(prefix="/consent/v1")

Position = Annotated[int, Path(ge=0, le=999)]
Page = Annotated[int, Path(ge=1, le=99_999)]
_HEADERS = {
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
}


@router.get("/requests/{name}/documents/{position}")
async def content(
    name: str, position: Position, services: ServicesDep, session: SessionDep
) -> Response:
    """The bytes of the document beside a hash. 404 ``document_unknown`` when it does not wait."""
    found = await run_in_threadpool(_shown, services, session, name, position)
    folder = register.settings(services).folder
    headers = _HEADERS | {"Content-Length": str(found.size)}
    pieces = vault.pieces(folder, found.id, found.sealing_key)
    # The first piece is opened before anything is answered: a file that is gone is a 404.
    first = await run_in_threadpool(next, pieces, b"")

    def everything() -> Iterator[bytes]:
        yield first
        yield from pieces

    return StreamingResponse(everything(), media_type="application/octet-stream", headers=headers)


@router.get("/requests/{name}/documents/{position}/pages/{page}")
async def picture(  # noqa: PLR0913, PLR0917 - the parts of the address, and who asks
    request: Request,
    name: str,
    position: Position,
    page: Page,
    services: ServicesDep,
    session: SessionDep,
) -> Response:
    """A page as PNG, drawn in a worker process. 503 when all of them are busy.

    404 ``document_unknown`` also for what has no pages, such as a text.
    """
    desk = cast("Desk", request.app.state.desk)

    def work() -> bytes:
        found = _shown(services, session, name, position)
        workplace = services.config.documents.folder
        folder = register.settings(services).folder
        with vault.opened(folder, found.id, found.sealing_key, workplace) as path:
            try:
                return desk.workshop.do(pictures.page, path, found.media_type, page)
            except DocumentUnusable as error:
                raise AttachmentUnknown(error.cause) from error

    drawn = await run_in_threadpool(work)
    return Response(drawn, media_type="image/png", headers=_HEADERS)


def _shown(services: Services, session: Ticket, name: str, position: int) -> Shown:
    signer = sessions.use(services, session)
    return register.shown(services, signer.subscriber_id, known_request(name), position)
