"""What the process counts for Prometheus: requests by endpoint, refusals by cause.

Off unless ``[management]`` is configured. A label is a template, a name out of a table or a status,
never what a caller sent, so there are only so many series.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ALARM = "alarm:"
_LEVELS = ("warning", "error", "alarm")
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds


class Figures:
    """The counters of this process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "consent_requests", "Answered requests.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "consent_request_seconds",
            "From the request's first byte to the answer's last.",
            ("route",),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._refusals = Counter(
            "consent_refusals",
            "Refused or failed, by the fact.",
            ("fact",),
            registry=self._registry,
        )
        self._lines = Counter(
            "consent_log_lines", "Warnings, errors, alarms.", ("level",), registry=self._registry
        )
        for level in _LEVELS:  # from 0 on: what begins at 1 has no increase, and wakes nobody
            self._lines.labels(level)
        self.running = Gauge(
            "consent_requests_running", "Taken and not answered yet.", registry=self._registry
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request. ``route`` is one of a table; 0 is the status of none."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, fact: str) -> None:
        """Count one refusal by the name of its exception's class."""
        self._refusals.labels(fact).inc()

    def logged(self, level: str) -> None:
        """Count a line of the log: ``warning``, ``error`` or ``alarm``."""
        self._lines.labels(level).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


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

        self._figures.running.inc()
        try:
            await self._app(scope, receive, noted)
        finally:
            self._figures.running.dec()
            self._figures.answered(_route(scope), status, time.perf_counter() - begun)


class CountedLog(logging.Handler):
    """What is refused has a line in the log that names the fact (``fault``); here it is counted."""

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self._figures = figures

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line."""
        fact = getattr(record, "fault", None)
        if isinstance(fact, str):
            self._figures.refused(fact)
        if record.levelno >= logging.WARNING:
            level = "error" if record.levelno >= logging.ERROR else "warning"
            self._figures.logged("alarm" if str(record.msg).startswith(_ALARM) else level)


def _route(scope: Scope) -> str:
    template: str | None = getattr(scope.get("route"), "path", None)
    known = template is not None and scope["method"] in _METHODS
    return f"{scope['method']} {template}" if known else _OTHER
