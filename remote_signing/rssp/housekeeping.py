"""What is done beside requests: unfinished activations are ended, old rows removed.

Every process does it; rows that one has locked the others pass over.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from remote_signing.rssp import (
    account_codes,
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

    _Work = Callable[[Services], int | None]

_log = logging.getLogger(__name__)
_PERIOD = 10.0  # seconds between rounds
_PRUNE_EVERY = 6  # rounds; what piles up for longer holds up whoever signs while it is removed
_SELDOM = 60  # rounds


class Housekeeping:
    """A thread from :meth:`start` to :meth:`stop`."""

    def __init__(self, services: Services, period: float = _PERIOD) -> None:
        self._services = services
        self._period = period
        self._stop = threading.Event()
        self._failing: set[str] = set()
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
            self._round(prune=rounds % _PRUNE_EVERY == 0, seldom=rounds % _SELDOM == 0)
            rounds += 1
            if self._stop.wait(self._period):
                return

    def _round(self, *, prune: bool, seldom: bool = False) -> None:
        works = _always() | (_pruning() if prune else {}) | (_seldom() if seldom else {})
        counts = {name: self._done(name, work) for name, work in works.items()}
        if done := {name: count for name, count in counts.items() if count}:
            _log.info("housekeeping", extra=done)

    def _done(self, name: str, work: _Work) -> int:
        """How much there was to do. What fails is tried again, and keeps nothing else waiting."""
        try:
            count = work(self._services)
        except Exception:  # noqa: BLE001 - the next time may go better, whatever it was
            again = name in self._failing
            self._failing.add(name)
            text = "alarm: housekeeping fails again" if again else "housekeeping has failed"
            _log.exception(text, extra={"work": name})
            return 0
        self._failing.discard(name)
        return count or 0


# By the member of the log that says how much there was: none that a secret might be called.
def _always() -> dict[str, _Work]:
    return {
        "unknown": activation.recover,
        "expired": activation.expire,
        "sims": sim_tending.tend,
        "attachments": attachments.prune,
        "pins": pin_records.retire_owed,
    }


def _pruning() -> dict[str, _Work]:
    return {
        "pruned": activation.prune,
        "webhooks": webhook_deliveries.prune,
        "challenges": sign_in_challenges.prune,
        "browsers": push_deliveries.prune,
        "orders": pin_records.prune,
        "openid_sign_ins": openid_sign_in.prune,
        "used_steps": totp_steps.prune,
        "account_codes": account_codes.prune,
    }


def _seldom() -> dict[str, _Work]:
    return {"audit_weeks": _audit_weeks, "leftover_files": attachments.remove_leftovers}


def _audit_weeks(services: Services) -> int:
    return audit_partitions.tend(services.database)
