"""Time stamps (RFC 3161) for digests: our own authority's, and others' where ours cannot.

token = Timestamper(services).stamp(digest, "sha256")
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from remote_signing.algorithms import check_digests, digest_named
from remote_signing.errors import TimestampUnavailable, Unavailable
from remote_signing.rssp.outside_timestamps import OutsideAuthority, read_anchors
from remote_signing.sap import TimestampRequest

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services

_REST = 60.0  # seconds that an authority which failed is asked last

_log = logging.getLogger(__name__)


class Timestamper:
    """Our own authority first, then the outside ones of ``[timestamps]`` in their order.

    Thread-safe; one for each process. An outside authority that failed is asked last for a while.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.config.timestamps
        anchors = read_anchors(settings.trust) if settings.trust is not None else ()
        self._outside = [
            OutsideAuthority(url, settings.timeout, anchors) for url in settings.authorities
        ]
        self._resting: dict[str, float] = {}
        self._lock = threading.Lock()

    def stamp(self, digest: bytes, algorithm: str) -> bytes:
        """A TimeStampToken (DER CMS SignedData) over ``digest``.

        ``algorithm`` is a name of :data:`remote_signing.algorithms.DIGESTS`, such as ``sha256``.
        Our own token carries its certificates; an outside one was checked (imprint, nonce, key
        usage, path) before it is given. Raises ``DigestLengthInvalid``, ``AlgorithmUnsupported``,
        ``TimestampUnavailable``.
        """
        known = digest_named(algorithm)
        check_digests(known, (digest,))
        try:
            return self.own(TimestampRequest(known.oid, digest))
        except Unavailable as error:
            _log.warning("no time stamp of our own", extra={"cause": error.cause})
        for authority in self._in_order():
            try:
                return authority.stamp(digest, known)
            except TimestampUnavailable as error:
                _log.warning(
                    "no time stamp", extra={"authority": authority.url, "cause": error.cause}
                )
                with self._lock:
                    self._resting[authority.url] = time.monotonic() + _REST
        raise TimestampUnavailable(f"own and {len(self._outside)} outside authorities failed")

    def own(self, request: TimestampRequest) -> bytes:
        """A TimeStampToken of our own authority, with nonce, policy, certificates as asked.

        Raises ``AlgorithmUnsupported``, ``DigestLengthInvalid``, ``PolicyUnaccepted`` and
        ``Unavailable`` (``ClockSuspicious``, ``ServicesUncertified``, ``SamUnavailable`` …).
        """
        return self._services.sam.timestamp(request)

    def _in_order(self) -> list[OutsideAuthority]:
        now = time.monotonic()
        with self._lock:
            return sorted(self._outside, key=lambda each: self._resting.get(each.url, 0.0) > now)
