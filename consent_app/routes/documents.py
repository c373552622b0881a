"""One document of a request: the page that shows it, its bytes, and its pages as pictures.

What a stranger wrote is never sent as something that a browser opens by itself: bytes are a
download, drawn by our script from what it has checked; pictures are made anew by the rssp.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from consent_app.faults import PageUnknown, RsspAway, RsspRefused
from consent_app.routes.requests import Name  # noqa: TC001 - FastAPI reads the annotation
from consent_app.routes.session import required_session
from consent_app.visit import Visit, content_policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from consent_app.answers import Attached

router = APIRouter()

Position = Annotated[int, Path(ge=0, le=999)]
Page = Annotated[int, Path(ge=1, le=99_999)]

_PAGES_AT_ONCE = 5  # pictures of a page without script, which asks for all of them together
_BAD_REQUEST = 400
_SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"


@router.get("/requests/{name}/documents/{position}")
async def show(
    request: Request,
    name: Name,
    position: Position,
    view: str = "",
    first: Annotated[int, Query(alias="from", ge=1, le=99_999)] = 1,
) -> Response:
    """The document while its request waits; drawn by the phone, or, with ``view=plain``, by us."""
    visit = Visit(request)
    session = required_session(visit)
    asked = await visit.site.rssp.signature_request(session, name)
    if asked.shown_state != "PENDING":
        return visit.to(f"/requests/{name}")
    item = dict(asked.attached).get(position)
    if item is None or item.attached is None:
        raise PageUnknown("no document beside this hash")
    is_plain = view == "plain"
    last = min(item.attached.pages or 1, first + _PAGES_AT_ONCE - 1)
    answer = visit.page(
        "document.html",
        asked=asked,
        signer=asked.subscriber,
        position=position,
        item=item,
        is_plain=is_plain,
        text=await _text(visit, session, name, position, item.attached) if is_plain else None,
        pages=range(first, last + 1),
        next_page=last + 1 if last < (item.attached.pages or 1) else None,
    )
    policy = content_policy(has_script=not is_plain, has_worker=not is_plain)
    answer.headers["Content-Security-Policy"] = policy
    return answer


@router.get("/requests/{name}/documents/{position}/content")
async def content(request: Request, name: Name, position: Position) -> Response:
    """The bytes, as they come from the rssp."""
    visit = Visit(request)
    session = required_session(visit)
    found = await visit.site.documents.content(session, name, position)
    headers = {"Content-Disposition": 'attachment; filename="document"'}
    return passed_on(found, "application/octet-stream", headers)


@router.get("/requests/{name}/documents/{position}/pages/{page}")
async def picture(request: Request, name: Name, position: Position, page: Page) -> Response:
    """A page as PNG; 404 for one that there is not."""
    visit = Visit(request)
    session = required_session(visit)
    try:
        found = await visit.site.documents.picture(session, name, position, page)
    except RsspRefused as refusal:
        if refusal.status != _BAD_REQUEST:
            raise
        raise PageUnknown(str(refusal)) from refusal
    return passed_on(found, "image/png", {})


def passed_on(found: httpx.Response, media_type: str, headers: dict[str, str]) -> StreamingResponse:
    """Streamed, with a policy that lets it do nothing wherever it is opened."""
    length = found.headers.get("content-length")
    if length is not None:
        headers = headers | {"Content-Length": length}
    return StreamingResponse(
        _pieces(found),
        media_type=media_type,
        headers=headers | {"Content-Security-Policy": _SANDBOX},
        background=BackgroundTask(found.aclose),  # also when nothing of it was asked for
    )


async def _pieces(found: httpx.Response) -> AsyncIterator[bytes]:
    """Closed also when the phone goes away in between: else its connection would be lost to us."""
    try:
        async for piece in found.aiter_bytes():
            yield piece
    finally:
        await found.aclose()


async def _text(
    visit: Visit, session: str, name: str, position: int, attached: Attached
) -> str | None:
    """A text, for the page without script; its digest is checked here then."""
    if attached.media_type != "text/plain":
        return None
    found = await visit.site.documents.content(session, name, position)
    try:
        written = await found.aread()
    finally:
        await found.aclose()
    if hashlib.sha256(written).hexdigest() != attached.sha256:
        raise RsspAway("a document is not the one that is bound", is_settled=True)
    return written.decode("utf-8", "replace")
