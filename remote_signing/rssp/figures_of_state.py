"""What is found out when Prometheus asks: readiness, backlogs, the audit table, certificates' ends.

One process finds it out for all, at most every ten seconds, by statements that read along an index.
What cannot be found out is left out, and ``rssp_check_up`` says which check that was.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from cryptography import x509
from sqlalchemy import text

from remote_signing.errors import RemoteSigningError
from remote_signing.rssp import audit_partitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from prometheus_client import Metric

    from remote_signing.rssp.deps import Services

_log = logging.getLogger(__name__)
_FRESH_MS: Final = 10_000
_DAY_MS = 86_400_000

_WEBHOOKS = text(
    "SELECT count(*) AS waiting, min(due_at) AS oldest FROM webhook_delivery"
    " WHERE due_at IS NOT NULL"
)
_DEAD = text("SELECT count(*) AS dead FROM webhook_delivery WHERE state = 'DEAD'")
_JOBS = text("SELECT count(*) AS waiting FROM signing_job WHERE due_at IS NOT NULL")
_NEWEST = text("SELECT max(at) AS newest FROM audit_event WHERE at > :since")

Sample = tuple[str, str, dict[str, str], float]  # name, what it is, labels, value


class FiguresOfState:
    """A collector for a registry of prometheus_client."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database.apart()
        self._lock = threading.Lock()
        self._at_ms = -_FRESH_MS
        self._last: list[Sample] = []

    def collect(self) -> Iterator[Metric]:
        """Everything, as Prometheus names it."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - see .figures

        families: dict[str, GaugeMetricFamily] = {}
        for name, told, labels, value in self._samples():
            family = families.setdefault(name, GaugeMetricFamily(name, told, labels=list(labels)))
            family.add_metric(list(labels.values()), value)
        yield from families.values()

    def _samples(self) -> list[Sample]:
        with self._lock:
            now = self._services.now_ms()
            if not 0 <= now - self._at_ms < _FRESH_MS:
                self._last, self._at_ms = list(self._found(now)), now
            return self._last

    def _found(self, now: int) -> Iterator[Sample]:
        checks: dict[str, Callable[[int], list[Sample]]] = {
            "webhooks": self._webhooks,
            "audit": self._audit,
            "sam": self._sam,
            "certificates": self._certificates,
        }
        for name, check in checks.items():
            found: list[Sample] = []
            try:
                found = check(now)
            except Exception as error:  # noqa: BLE001 - a check that fails is told, the others too
                _log.warning("no figures: %s", name, extra={"cause": str(error)})
            told = "Whether these figures could be found out."
            yield ("rssp_check_up", told, {"check": name}, float(bool(found)))
            yield from found

    def _webhooks(self, now: int) -> list[Sample]:
        waiting, dead, jobs = (self._database.one(each) for each in (_WEBHOOKS, _DEAD, _JOBS))
        if waiting is None or dead is None or jobs is None:
            return []
        late = 0 if waiting.oldest is None else max(0, now - waiting.oldest)
        told = {
            "rssp_webhooks_waiting": ("Messages to clients not delivered yet.", waiting.waiting),
            "rssp_webhooks_late_seconds": ("How overdue the oldest of them is.", late / 1000),
            "rssp_webhooks_dead": ("Given up, until somebody sends them again.", dead.dead),
            "rssp_signing_jobs_waiting": ("Accepted signatures to be made.", jobs.waiting),
        }
        return [(name, text, {}, value) for name, (text, value) in told.items()]

    def _audit(self, now: int) -> list[Sample]:
        row = self._database.one(_NEWEST, {"since": now - _DAY_MS})
        lag = (now - row.newest) / 1000 if row is not None and row.newest is not None else 86_400.0
        told = "Of the audit table's newest row; a day when there is none of today."
        samples: list[Sample] = [("rssp_audit_newest_age_seconds", told, {}, lag)]
        ends = [each.ends_ms or 0 for each in audit_partitions.partitions(self._database)]
        if ends:
            ahead = (max(ends) - now) / 1000
            told = "For how long there are weeks for audit rows."
            samples.append(("rssp_audit_partitions_ahead_seconds", told, {}, ahead))
        return samples

    def _sam(self, _now: int) -> list[Sample]:
        status = self._services.sam.status()
        return [
            ("rssp_hsm_node_up", "As the SAM says.", {"node": node["name"]}, float(node["healthy"]))
            for node in status.nodes
        ]

    def _certificates(self, _now: int) -> list[Sample]:
        ends: dict[str, datetime] = {}
        chain = zip(("issuing", "root"), self._services.sam.status().chain, strict=True)
        for name, encoded in chain:
            ends[name] = x509.load_der_x509_certificate(encoded).not_valid_after_utc
        try:
            service = self._services.sam.service_certificates()
        except RemoteSigningError:  # a cluster without keys for OCSP and time stamps
            service = None
        if service is not None:
            ends |= _of_services(service.responder, service.timestamps, service.root_crl)
        own = self._services.config.sam.certificate
        if own is not None:
            found = x509.load_pem_x509_certificate(own.read_bytes())
            ends["sap-client"] = found.not_valid_after_utc
        told = "When it ends, in seconds since the epoch."
        return [
            ("rssp_certificate_end_seconds", told, {"certificate": name}, end.timestamp())
            for name, end in ends.items()
        ]


def _of_services(responder: bytes, timestamps: bytes, root_crl: bytes) -> dict[str, datetime]:
    ends = {
        "ocsp-responder": x509.load_der_x509_certificate(responder).not_valid_after_utc,
        "timestamps": x509.load_der_x509_certificate(timestamps).not_valid_after_utc,
    }
    end = x509.load_der_x509_crl(root_crl).next_update_utc
    return ends if end is None else ends | {"root-crl": end}
