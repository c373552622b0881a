"""``/healthz`` and ``/readyz``. That an operator is away is not a matter of this process."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from sim_adapter import migrations
from sim_adapter.routes.requests import ServicesDep  # noqa: TC001 - FastAPI reads it at run time

if TYPE_CHECKING:
    from sim_adapter.deps import Services

router = APIRouter(include_in_schema=False)
_log = logging.getLogger(__name__)
_UNAVAILABLE = 503


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(services: ServicesDep) -> Response:
    """Whether to send requests here: database there, schema right, not on the way out."""
    checks = {"database": await asyncio.to_thread(_database, services)}
    if services.drain.started:
        checks["draining"] = "down"
    ready = "down" not in checks.values()
    body = {"status": "ok" if ready else "down", "checks": checks}
    return Response(json.dumps(body), 200 if ready else _UNAVAILABLE, media_type="application/json")


def _database(services: Services) -> str:
    try:
        return "ok" if migrations.at_head(services.database) else "down"
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is that it is
        _log.warning("not ready: database", extra={"cause": str(error)})
        return "down"
