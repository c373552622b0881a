"""The threads that tell clients of answers. See :mod:`.webhook_deliveries`.

Every process has some; a message is in one worker's hands at a time, and what a process leaves
behind is found by the others when its lease is over.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from remote_signing.rssp import callback, webhook_deliveries, webhooks
from remote_signing.rssp.config_tables import ConfigInvalid

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.webhook_deliveries import Claimed
    from remote_signing.rssp.webhooks import Sealing

PERIOD: Final = 1.0
"""Seconds between looks at what is due."""
_log = logging.getLogger(__name__)


class WebhookWorker:
    """Threads from :meth:`start` to :meth:`stop`; none where no webhooks are configured.

    ``ConfigInvalid`` when a sealing key cannot be read.
    """

    def __init__(self, services: Services, period: float = PERIOD) -> None:
        self._services = services
        self._period = period
        self._stop = threading.Event()
        config = services.config.webhooks
        self._sealing = None if config is None else webhooks.Sealing.load(config.key_files)
        self._threads = [
            threading.Thread(target=self._run, name=f"webhook-{number}", daemon=True)
            for number in range(0 if config is None else config.threads)
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

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                idle = self._sealing is None or not step(self._services, self._sealing)
            except Exception:  # noqa: BLE001 - the next one may go better, whatever it was
                _log.exception("webhook")
                idle = True
            if idle:
                self._stop.wait(self._period)


def step(services: Services, sealing: Sealing) -> bool:
    """One try of one message that is due; False when there is none."""
    message = webhook_deliveries.claim(services)
    if message is None:
        return False
    about = {"webhook": message.id, "client": message.client_id, "tries": message.tries}
    cause = _tell(services, sealing, message)
    if cause is None:
        webhook_deliveries.delivered(services, message)
    elif webhook_deliveries.failed(services, message, cause):
        _log.warning("a webhook was not taken", extra={**about, "cause": cause})
    else:
        _log.error("alarm: a webhook was given up", extra={**about, "cause": cause})
    return True


def _tell(services: Services, sealing: Sealing, message: Claimed) -> str | None:
    """None when the receiver took it, else why not."""
    try:
        secrets = webhooks.open_secrets(services, sealing, message.client_id)
    except ConfigInvalid as error:
        # One client's trouble: it must not hold up the messages of the others.
        about = {"client": message.client_id, "cause": str(error)}
        _log.error("alarm: a webhook's secret cannot be opened", extra=about)
        return "secret cannot be opened"
    headers = webhook_deliveries.headers(message, secrets, services.now_ms())
    return callback.post(services.config.asynchronous, message.url, message.body, headers)
