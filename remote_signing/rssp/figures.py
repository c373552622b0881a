"""What each process counts for Prometheus: requests by endpoint, refusals by cause, what is in use.

Off unless ``[management]`` is configured, and then a few microseconds a request. uvicorn's workers
are processes: each writes its numbers to files of its own in ``$PROMETHEUS_MULTIPROC_DIR``, and
:mod:`.management` adds them up. A label is a template, a name out of a table or a status, never
what a caller sent, so there are only so many series.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from remote_signing.rssp.edge.measured import MEASURED_AS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client import CollectorRegistry, Counter, Histogram
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from remote_signing.rssp.db import Database

_OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ALARM = "alarm:"
_LEVELS = ("warning", "error", "alarm")
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds
_SAMPLE = 1.0  # seconds between two looks at what is in use


class Figures:
    """The counters of this process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # The library looks for its folder when it is imported, which must come after `serve`.
        import prometheus_client as prometheus  # noqa: PLC0415 - see above

        registry = registry or prometheus.CollectorRegistry()
        self._requests = prometheus.Counter(
            "rssp_requests", "Answered requests.", ("route", "status"), registry=registry
        )
        self._seconds = prometheus.Histogram(
            "rssp_request_seconds",
            "From the request's first byte to the answer's last.",
            ("route",),
            registry=registry,
            buckets=_BUCKETS,
        )
        self._refusals = prometheus.Counter(
            "rssp_refusals", "Refused or failed, by the fact.", ("fact",), registry=registry
        )
        self._lines = _counted_lines(registry)
        self._in_use = prometheus.Gauge(
            "rssp_database_connections_in_use",
            "Of the pools of all processes.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._lag = prometheus.Gauge(
            "rssp_event_loop_lag_seconds",
            "How late a task is woken, in the slowest process.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._running = prometheus.Gauge(
            "rssp_requests_running",
            "Taken and not answered yet.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.running = 0
        self._counted: dict[tuple[str, int], Counter] = {}
        self._timed: dict[str, Histogram] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request. ``route`` is one of a table; 0 is the status of none."""
        counter = self._counted.get((route, status))
        if counter is None:
            counter = self._counted[route, status] = self._requests.labels(route, str(status))
            self._timed[route] = self._seconds.labels(route)
        counter.inc()
        self._timed[route].observe(seconds)

    def refused(self, fact: str) -> None:
        """Count one refusal by the name of its exception's class."""
        self._refusals.labels(fact).inc()

    def logged(self, level: str) -> None:
        """Count a line of the log: ``warning``, ``error`` or ``alarm``."""
        self._lines.labels(level).inc()

    @asynccontextmanager
    async def sampled(self, database: Database) -> AsyncIterator[None]:
        """Within the block, look each second at what is in use and at how late we come to it."""
        task = asyncio.create_task(self._sample(database))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _sample(self, database: Database) -> None:
        while True:
            due = time.perf_counter() + _SAMPLE
            await asyncio.sleep(_SAMPLE)
            self._lag.set(max(0.0, time.perf_counter() - due))
            self._in_use.set(database.connections_in_use())
            self._running.set(self.running)


def _counted_lines(registry: CollectorRegistry) -> Counter:
    import prometheus_client as prometheus  # noqa: PLC0415 - as above

    lines = prometheus.Counter(
        "rssp_log_lines", "Warnings, errors and alarms.", ("level",), registry=registry
    )
    for level in _LEVELS:  # from 0 on: what begins at 1 has no increase, and wakes nobody
        lines.labels(level)
    return lines


class Measured:
    """ASGI middleware: counts and times each request by its endpoint's template."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._figures.running += 1
        try:
            await self._app(scope, receive, noted)
        finally:
            self._figures.running -= 1
            self._figures.answered(_route(scope), status, time.perf_counter() - begun)


class CountedLog(logging.Handler):
    """What is refused has a line in the log that names the fact (``error``); here it is counted."""

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self._figures = figures

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line."""
        fact = getattr(record, "error", None)
        if isinstance(fact, str):
            self._figures.refused(fact)
        if record.levelno >= logging.WARNING:
            level = "error" if record.levelno >= logging.ERROR else "warning"
            self._figures.logged("alarm" if str(record.msg).startswith(_ALARM) else level)


def _route(scope: Scope) -> str:
    template: str | None = scope.get(MEASURED_AS) or getattr(scope.get("route"), "path", None)
    if template is None or scope["method"] not in _METHODS:
        return _OTHER
    return f"{scope['method']} {template}"
