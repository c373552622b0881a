"""``POST /validate``: what a signed document proves (docs/validate.md). Open to everybody."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from remote_signing.errors import InvalidInput
from remote_signing.rssp.edge import multipart

if TYPE_CHECKING:
    from remote_signing.rssp.validation.desk import ValidationDesk

router = APIRouter(include_in_schema=False)

_DOCUMENT, _CONTENT = "document", "content"
_NOT_FOUND = 404


@router.post("/validate")
async def validate(request: Request) -> Response:
    """The report about the file ``document``; ``content`` is what a detached signature is over."""
    desk = cast("ValidationDesk", request.app.state.validation)
    if not desk.config.workers:
        raise HTTPException(_NOT_FOUND)
    with desk.place(), TemporaryDirectory(dir=desk.config.folder) as name:
        parts = await multipart.read(
            request, Path(name), (_DOCUMENT, _CONTENT), desk.config.largest
        )
        report = await run_in_threadpool(_report, desk, parts)
    return Response(report, media_type="application/json")


def _report(desk: ValidationDesk, parts: dict[str, Path]) -> str:
    document, content = (parts.get(each) for each in (_DOCUMENT, _CONTENT))
    if document is None or not document.stat().st_size:
        raise InvalidInput("no file came along", parameter=_DOCUMENT)
    # A browser sends a file that was not chosen as an empty one.
    is_there = content is not None and content.stat().st_size
    return desk.report(document, content if is_there else None)
