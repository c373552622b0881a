"""The consent API for logos: what a signed-in signer sees beside the names of portals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from remote_signing.errors import LogoUnknown
from remote_signing.rssp import logos, sessions
from remote_signing.rssp.consent import SessionDep  # noqa: TC001 - FastAPI reads the annotation
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - as above

router = APIRouter(prefix="/consent/v1")

Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@router.get("/logos/{digest}")
async def logo(digest: Digest, services: ServicesDep, session: SessionDep) -> Response:
    """The PNG of that digest, the same for ever. 404 ``logo_unknown``. Two statements."""

    def work() -> bytes:
        sessions.use(services, session)
        found = logos.picture(services.database, digest)
        if found is None:
            raise LogoUnknown(digest)
        return found

    picture = await run_in_threadpool(work)
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(picture, media_type="image/png", headers=headers)
