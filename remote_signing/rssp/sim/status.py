"""Whether a SIM's certificate is revoked, fetched here and judged by the SAM, which calls nobody.

What cannot be fetched is left out; the SAM's policy says what then (docs/sim-consent.md).
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services

_log = logging.getLogger(__name__)
_LONGEST_RESPONSE = 16 * 1024
_FRESH_MS = 60_000  # so long one response serves the next consents of the same SIM
_MOST_KEPT = 10_000
_MEDIA_TYPE = "application/ocsp-request"


@dataclass(frozen=True, slots=True)
class Staples:
    """What goes along with a signature, each base64 of DER."""

    ocsp: list[str]
    crls: list[str]


# Factor → when it was fetched, and the response. Of this process alone.
kept: dict[str, tuple[int, str]] = {}
_lock = threading.Lock()


def staples(services: Services, card: Row[Any]) -> Staples:
    """The status of ``card``'s certificate, as its issuer signed it."""
    config = services.config.sim
    if config is None:
        return Staples([], [])
    crls = []
    for path in config.crl_files:
        try:
            crls.append(base64.b64encode(path.read_bytes()).decode("ascii"))
        except OSError as error:
            _log.error("a revocation list cannot be read", extra={"cause": str(error)})
    found = None if config.ocsp_url is None else _response(services, config.ocsp_url, card)
    return Staples([] if found is None else [found], crls)


def _response(services: Services, url: str, card: Row[Any]) -> str | None:
    now = services.now_ms()
    with _lock:
        at, known = kept.get(card.factor_id, (0, ""))
    if known and now - at < _FRESH_MS:
        return known
    chain = json.loads(card.chain)
    if not chain:
        return None  # of the embedded authority: the SAM's own list is its status
    try:
        found = _fetch(url, card.certificate, base64.b64decode(chain[0]))
    except (httpx.HTTPError, ValueError) as error:
        _log.warning("no status of a SIM's certificate", extra={"cause": repr(error)})
        return known or None  # the SAM knows how old it is
    with _lock:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[card.factor_id] = (now, found)
    return found


def _fetch(url: str, certificate: bytes, issuer: bytes) -> str:
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        x509.load_der_x509_certificate(certificate),
        x509.load_der_x509_certificate(issuer),
        hashes.SHA256(),
    )
    request = builder.build().public_bytes(Encoding.DER)
    answer = httpx.post(
        url, content=request, headers={"Content-Type": _MEDIA_TYPE}, timeout=5.0, trust_env=False
    )
    answer.raise_for_status()
    if len(answer.content) > _LONGEST_RESPONSE:
        raise ValueError("too long a response")
    return base64.b64encode(answer.content).decode("ascii")
