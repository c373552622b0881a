"""What is done beside requests: unfinished activations are ended, old rows removed.

Every process does it; rows that one has locked the others pass over.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from remote_signing.rssp import (
    activation,
    audit_partitions,
    openid_sign_in,
    pin_records,
    push_deliveries,
    sign_in_challenges,
    totp_steps,
    webhook_deliveries,
)
from remote_signing.rssp.attachments import register as attachments
from remote_signing.rssp.sim import tending as sim_tending

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.rssp.deps import Services

_log = logging.getLogger(__name__)
_PERIOD = 10.0  # seconds between rounds
_PRUNE_EVERY = 6  # rounds; what piles up for longer holds up whoever signs while it is removed
_WEEKS_EVERY = 60  # rounds


class Housekeeping:
    """A thread from :meth:`start` to :meth:`stop`."""

    def __init__(self, services: Services, period: float = _PERIOD) -> None:
        self._services = services
        self._period = period
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin, with a round at once: what a killed process left behind is explained first."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round that is running."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        rounds = 0
        while True:
            self._round(prune=rounds % _PRUNE_EVERY == 0)
            if rounds % _WEEKS_EVERY == 0:
                self._tend("weeks of the audit table", _audit_weeks)
            rounds += 1
            if self._stop.wait(self._period):
                return

    def _round(self, *, prune: bool) -> None:
        try:
            counts = {
                "unknown": activation.recover(self._services),
                "expired": activation.expire(self._services),
                "pruned": self._prune() if prune else 0,
            }
        except Exception:  # noqa: BLE001 - the next round may go better, whatever it was
            _log.exception("housekeeping")
            return
        self._tend("housekeeping of SIMs", sim_tending.tend)
        self._tend("housekeeping of attachments", attachments.prune)
        self._tend("housekeeping of PINs", pin_records.retire_owed)
        if any(counts.values()):
            _log.info("housekeeping", extra=counts)

    def _prune(self) -> int:
        return (
            activation.prune(self._services)
            + webhook_deliveries.prune(self._services)
            + sign_in_challenges.prune(self._services)
            + push_deliveries.prune(self._services)
            + pin_records.prune(self._services)
            + openid_sign_in.prune(self._services)
            + totp_steps.prune(self._services)
        )

    def _tend(self, name: str, work: Callable[[Services], object]) -> None:
        try:
            work(self._services)
        except Exception:  # noqa: BLE001 - as above
            _log.exception(name)


def _audit_weeks(services: Services) -> int:
    return audit_partitions.tend(services.database)
