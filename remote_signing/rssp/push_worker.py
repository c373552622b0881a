"""The threads that tell browsers that something waits. See :mod:`.push_deliveries`.

A message is a POST without a body (RFC 8030): what waits, for whom and from whom does not pass the
push service; the browser is woken and asks us. Every process has some threads, and a push service
that fails is left alone by each of them for a while, so that it holds up no other.
"""

from __future__ import annotations

import logging
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from remote_signing.rssp import callback, push_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.rssp import vapid
    from remote_signing.rssp.config_push import PushConfig
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.push_deliveries import Claimed

PERIOD: Final = 1.0
"""Seconds between looks at what is due."""
TOPIC: Final = "waiting"
"""A push service that still holds our last message for a phone puts this one in its place."""
_SUCCESS = range(200, 300)
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0  # seconds
_MOST_SERVICES = 100
_log = logging.getLogger(__name__)


class Teller:
    """What one thread knows: who we are, and which push services it leaves alone.

    ``steady`` gives seconds that never go back.
    """

    def __init__(
        self,
        services: Services,
        config: PushConfig,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._config = config
        self._steady = steady
        # Of the services, not read anew: one key for what browsers are told and what is sent.
        self._identity = cast("vapid.Identity", services.push)
        self._paused: dict[str, tuple[float, float]] = {}  # host: until when, for how long

    def step(self) -> bool:
        """One message that is due; False when there is none."""
        message = push_deliveries.claim(self._services)
        if message is None:
            return False
        host = urlsplit(message.endpoint).netloc
        left = self._paused.get(host, (0.0, 0.0))[0] - self._steady()
        if not message.is_needed:
            push_deliveries.told(self._services, message)
        elif left > 0:
            push_deliveries.put_off(self._services, message, int(left * 1000) + 1)
        else:
            self._settle(message, host, self._send(message))
        return True

    def _send(self, message: Claimed) -> int | str:
        config, now = self._config, self._services.now_ms()
        if not config.allows(message.endpoint):  # it named more when the browser was taken
            return HTTPStatus.GONE
        headers = {
            "Authorization": self._identity.authorization(message.endpoint, now),
            "TTL": str(config.patience),
            "Topic": TOPIC,
            "Urgency": "high",
        }
        network = self._services.config.asynchronous
        return callback.exchange(network, message.endpoint, b"", headers, config.ca)

    def _settle(self, message: Claimed, host: str, outcome: int | str) -> None:
        about = {"push": message.id, "tries": message.tries, "cause": str(outcome)[:200]}
        if outcome in _SUCCESS:
            self._paused.pop(host, None)
            push_deliveries.told(self._services, message)
        elif outcome in _GONE:
            push_deliveries.gone(self._services, message)
        else:
            self._leave_alone(host)
            if push_deliveries.failed(self._services, message):
                _log.warning("a push service did not take a message", extra=about)
            else:
                _log.error("alarm: a browser could not be told", extra=about)

    def _leave_alone(self, host: str) -> None:
        pause = min(self._paused.get(host, (0.0, _FIRST_PAUSE / 2))[1] * 2, _LONGEST_PAUSE)
        if host not in self._paused and len(self._paused) >= _MOST_SERVICES:
            self._paused.pop(next(iter(self._paused)))
        self._paused[host] = (self._steady() + pause, pause)


class PushWorker:
    """Threads from :meth:`start` to :meth:`stop`; none where push is not configured.

    ``ConfigInvalid`` when the key cannot be read.
    """

    def __init__(self, services: Services, period: float = PERIOD) -> None:
        self._period = period
        self._stop = threading.Event()
        config = services.config.push
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(Teller(services, config),),
                name=f"push-{number}",
                daemon=True,
            )
            for number in range(0 if config is None else config.threads)
            if config is not None
        ]

    def start(self) -> None:
        """Begin, with what a former process left behind."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the tries that are running."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, teller: Teller) -> None:
        while not self._stop.is_set():
            try:
                idle = not teller.step()
            except Exception:  # noqa: BLE001 - the next one may go better, whatever it was
                _log.exception("push")
                idle = True
            if idle:
                self._stop.wait(self._period)
