"""What is done about questions beside requests: they are ended when nobody waits for them any more.

A request may be answered by another way than the SIM that was asked, or withdrawn with all others
of its signer: :func:`afterwards` is what a route does then once it has answered. What it misses,
housekeeping finds.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from typing import TYPE_CHECKING, Any

from starlette.background import BackgroundTask

from remote_signing.clock import as_datetime
from remote_signing.errors import RemoteSigningError, Unavailable
from remote_signing.rssp import activation_sim
from remote_signing.rssp.sim import cards, consent, words

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.sim_client import SimAdapter

_log = logging.getLogger(__name__)
_VIETNAM = dt.timezone(dt.timedelta(hours=7))  # one zone without summer time since 1975


def afterwards(services: Services, *, is_asked: bool = True) -> BackgroundTask | None:
    """What is to be done once a request is answered; None: no SIM can have been asked about it."""
    if services.sim is None or not is_asked:
        return None
    return BackgroundTask(_end_answered, services)


def tend(services: Services) -> None:
    """End what nobody waits for any more, and send receipts. For housekeeping."""
    if services.sim is None:
        return
    for transaction_id in activation_sim.unattended(services, services.now_ms() - consent.GRACE_MS):
        _look(services, transaction_id)
    for row in activation_sim.receipts_due(services):
        _tell_receipt(services, services.sim, row)


def _end_answered(services: Services) -> None:
    """End the questions whose request is over: each once, however slow the adapter is."""
    try:
        for transaction_id in activation_sim.unattended(services):
            _look(services, transaction_id)
    except Unavailable as error:
        _log.warning("questions to SIMs are not looked at", extra={"cause": error.cause})


def _look(services: Services, transaction_id: str) -> None:
    try:
        consent.look(services, transaction_id)
    except Unavailable as error:
        _log.warning("a question stays open", extra={"cause": error.cause})


def _tell_receipt(services: Services, adapter: SimAdapter, row: Row[Any]) -> None:
    """At most once: a phone that rings twice for one signature would alarm its holder."""
    if not activation_sim.note_receipt(services, row.id, "sent", None):
        return
    when = as_datetime(row.event_at).astimezone(_VIETNAM).strftime("%H:%M %d/%m/%Y")
    try:
        room = adapter.texts(cards.get(services, row.factor_id).operator).receipt
        adapter.receipt(row.id, words.receipt_text(json.loads(row.labels), when, row.lang, room))
    except RemoteSigningError as error:
        _log.warning("no receipt on a phone", extra={"transaction": row.id, "cause": error.cause})
        activation_sim.note_receipt(services, row.id, "failed", "sent")
