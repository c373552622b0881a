"""The threads that make accepted signatures and call clients back. See :mod:`.signing_jobs`.

Every process has some; a row is in one worker's hands at a time. What was accepted before a process
ended is found by the next one, or by the others when its lease is over.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final, TypeAlias

from remote_signing.errors import Unavailable
from remote_signing.rssp import callback, signing_jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.signing_jobs import Claimed, Outcome

Make: TypeAlias = "Callable[[Services, Claimed], Outcome]"
"""``make(services, job)``: the outcome, good or bad; ``Unavailable`` to try later."""

PERIOD: Final = 1.0
"""Seconds between looks for jobs that another process has accepted."""
_log = logging.getLogger(__name__)


class SigningWorker:
    """Threads from :meth:`start` to :meth:`stop`, as many as the configuration says."""

    def __init__(self, services: Services, make: Make, period: float = PERIOD) -> None:
        self._services = services
        self._make = make
        self._period = period
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"signing-{number}", daemon=True)
            for number in range(services.config.asynchronous.threads)
        ]

    def start(self) -> None:
        """Begin, with what a former process left behind."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the jobs that are running."""
        self._stop.set()
        self._services.work.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._services.work.clear()
            try:
                idle = not step(self._services, self._make)
            except Exception:  # noqa: BLE001 - the next one may go better, whatever it was
                _log.exception("signing job")
                idle = True
            if idle:
                self._services.work.wait(self._period)


def step(services: Services, make: Make) -> bool:
    """One step of one job that is due; False when there is none."""
    job = signing_jobs.claim(services)
    if job is None:
        return False
    if job.outcome is None:
        _sign(services, job, make)
    else:
        _call_back(services, job)
    return True


def _sign(services: Services, job: Claimed, make: Make) -> None:
    try:
        outcome = make(services, job)
    except Unavailable as error:
        _log.info("signing job put off", extra={"job": job.id, "cause": error.cause})
        signing_jobs.put_off(services, job)
        return
    signing_jobs.finish(services, job, outcome)


def _call_back(services: Services, job: Claimed) -> None:
    """Tell the client that its outcome can be asked for; what it is, only ``signPolling`` tells."""
    config = services.config.asynchronous
    if callback.notify(config, job.response_uri or "", {"responseID": job.id}):
        signing_jobs.settle(services, job)
    elif job.tries < config.callback_tries:
        signing_jobs.put_off(services, job)
    else:
        _log.warning("nobody takes the call-back", extra={"job": job.id})
        signing_jobs.settle(services, job)
