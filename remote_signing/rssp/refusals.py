"""What a known client was refused, on record and bounded.

A stranger's refusal goes to the log only: nobody may fill the audit table without a key to this
door. Of one client each process records 20 refusals at once and then one in ten seconds; how many
were passed over is told by the next that is recorded. Those whom an identity provider sends are
one client together: nobody knows yet who they are. A refusal changes nothing, so a record that
cannot be written does not change the answer either; the log has it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remote_signing.errors import Unavailable
from remote_signing.rssp import audit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.clock import Clock
    from remote_signing.rssp.db import Database
    from remote_signing.strict_json import JsonValue

_log = logging.getLogger(__name__)
_BURST = 20
_EVERY_MS = 10_000
_LARGEST = 10_000  # clients


@dataclass(slots=True)
class _Allowance:
    """How many records a client has left at ``at_ms``, and how many were passed over."""

    left: float
    at_ms: int
    passed_over: int = 0


class Refusals:
    """The records of one process. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._allowances: dict[str, _Allowance] = {}

    def record(self, event: audit.Event) -> None:
        """Write ``event`` of a known client, unless it has had its share. At most one statement."""

        def write(detail: str) -> None:
            audit.write(self._database, event, detail, self._clock.now_ms())

        self.keep(event.client_id or "", event.detail, write)

    def keep(
        self, client_id: str, detail: Mapping[str, JsonValue], write: Callable[[str], object]
    ) -> None:
        """Give ``write`` the canonical detail to record, unless the client has had its share."""
        passed_over = self._take(client_id)
        if passed_over is None:
            return
        told = dict(detail) | ({"passed_over": passed_over} if passed_over else {})
        try:
            write(audit.detail_text(told))
        except Unavailable as error:
            _log.warning("a refusal is not on record", extra={"cause": error.cause})

    def _take(self, client_id: str) -> int | None:
        """How many were passed over before this one; None when this one is, too."""
        now = self._clock.now_ms()
        with self._lock:
            if len(self._allowances) >= _LARGEST:
                self._allowances.clear()
            known = self._allowances.setdefault(client_id, _Allowance(_BURST, now))
            known.left = min(_BURST, known.left + max(0, now - known.at_ms) / _EVERY_MS)
            known.at_ms = now
            if known.left < 1:
                known.passed_over += 1
                return None
            known.left -= 1
            passed_over, known.passed_over = known.passed_over, 0
            return passed_over
