"""Is it alive, and can it work? ``/healthz`` and ``/readyz`` for load balancers and operators.

``/readyz`` is 503 when a request could not be answered now: database, schema or SAM missing, no HSM
node left, or the process on its way out. One lost HSM node of several is told but is no 503, since
the others serve every key. Answers name the checks, not the causes; those are in the log.

Whatever hangs, the answer comes: who finds out does so in a thread beside, over a connection to the
database that nobody else uses, and what was found counts for five seconds only.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import text

from remote_signing.errors import RemoteSigningError
from remote_signing.rssp import migrations
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads it at run time

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.rssp.deps import Services

_log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)
OK, DOWN = "ok", "down"
_FRESH_MS = 1_000
_STALE_MS = 5_000
_PATIENCE = 5.0  # seconds
_NODE = "hsm:"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found at ``at_ms``: check → ``ok`` or ``down``."""

    at_ms: int
    checks: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether requests can be answered: everything but HSM nodes, and one of those."""
        nodes = [state for name, state in self.checks.items() if name.startswith(_NODE)]
        others = [state for name, state in self.checks.items() if not name.startswith(_NODE)]
        return OK in nodes and DOWN not in others


class Health:
    """Checks at most once a second and never twice at a time, however many ask."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database.apart()
        self._running = threading.Lock()
        self._last = Report(-_STALE_MS, {})

    def report(self) -> Report:
        """The state now; the last known one while it is being found out; down when that hangs."""
        if not self._is_younger(_FRESH_MS) and self._running.acquire(blocking=False):
            finding = threading.Thread(target=self._find_out, name="health", daemon=True)
            finding.start()
            finding.join(_PATIENCE)
        if self._is_younger(_STALE_MS):
            return self._last
        return Report(self._services.now_ms(), {"answer": DOWN})

    def _is_younger(self, age_ms: int) -> bool:
        return 0 <= self._services.now_ms() - self._last.at_ms < age_ms

    def _find_out(self) -> None:
        try:
            checks = self._check()
            self._last = Report(self._services.now_ms(), checks)
        finally:
            self._running.release()

    def _check(self) -> dict[str, str]:
        database = self._database
        checks = {
            "database": _works("database", lambda: database.one(text("SELECT 1")) is not None),
            "migrations": _works("migrations", lambda: migrations.fits(database)),
        }
        return checks | self._sam()

    def _sam(self) -> dict[str, str]:
        try:
            status = self._services.sam.status()
        except RemoteSigningError as error:
            _log.warning("not ready: SAM", extra={"cause": error.cause})
            return {"sam": DOWN}
        nodes = {_NODE + node["name"]: OK if node["healthy"] else DOWN for node in status.nodes}
        return {"sam": OK} | nodes


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": OK}


@router.get("/readyz")
async def readyz(request: Request, services: ServicesDep) -> Response:
    """Whether to send requests here; 503 with the checks otherwise."""
    health: Health = request.app.state.health
    report = await run_in_threadpool(health.report)
    ready = report.ready and not services.drain.started
    checks = report.checks | ({"draining": DOWN} if services.drain.started else {})
    body = {"status": OK if ready else DOWN, "checks": checks}
    return Response(json.dumps(body), 200 if ready else 503, media_type="application/json")


def _works(name: str, check: Callable[[], bool]) -> str:
    try:
        return OK if check() else DOWN
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is that it is
        _log.warning("not ready: %s", name, extra={"cause": str(error)})
        return DOWN
