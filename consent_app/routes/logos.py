"""Logos of portals, as the rssp has them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from consent_app.routes.documents import passed_on
from consent_app.routes.session import required_session
from consent_app.visit import Visit

router = APIRouter()

Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
_FOR_EVER = "private, max-age=31536000, immutable"


@router.get("/logos/{digest}")
async def logo(request: Request, digest: Digest) -> Response:
    """The picture of that digest, so it never changes."""
    visit = Visit(request)
    session = required_session(visit)
    found = await visit.site.rssp.open(f"logos/{digest}", session)
    return passed_on(found, "image/png", {"Cache-Control": _FOR_EVER})
