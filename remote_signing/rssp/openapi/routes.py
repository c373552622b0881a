"""``/openapi.json`` and the reference at ``/docs``: public, and the same for everybody."""

from __future__ import annotations

import json
from typing import Final

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads it at run time
from remote_signing.rssp.openapi import reference
from remote_signing.rssp.openapi.document import document

router = APIRouter(include_in_schema=False)

_SHARED: Final = {"Cache-Control": "public, max-age=600"}
# Only our own style sheet: no script, no form, no frame, nothing from elsewhere.
_PAGE: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    **_SHARED,
}


@router.get("/openapi.json")
async def openapi(services: ServicesDep) -> Response:
    """The description of this installation."""
    text = await run_in_threadpool(lambda: json.dumps(document(services.config)))
    return Response(text, headers=_SHARED, media_type="application/openapi+json")


@router.get("/docs")
async def overview(services: ServicesDep, lang: str = "vi") -> Response:
    """What there is, in the order of the tags."""
    page = await run_in_threadpool(reference.overview, services.config, lang)
    return Response(page, headers=_PAGE, media_type="text/html")


@router.get("/docs.css")
async def style() -> Response:
    """How the pages look."""
    return Response(reference.style(), headers=_SHARED, media_type="text/css")


@router.get("/docs/{operation}")
async def operation(services: ServicesDep, operation: str, lang: str = "vi") -> Response:
    """One operation, by its ``operationId``."""
    page = await run_in_threadpool(reference.operation, services.config, operation, lang)
    if page is None:
        raise HTTPException(404)
    return Response(page, headers=_PAGE, media_type="text/html")
