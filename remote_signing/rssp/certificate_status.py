"""The status of certificates: OCSP answers and CRLs, told by the database, signed by the SAM.

Plain calls for code in this process; :mod:`.pki` serves the same over HTTP. Answers are signed
once and used again while they are fresh, but whose status they tell is looked up every time: a
revocation counts from the next request on.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from remote_signing.errors import Unavailable
from remote_signing.rssp import issued_certificates
from remote_signing.sap import RevokedCertificate, StatusClaim

if TYPE_CHECKING:
    from datetime import datetime

    from remote_signing.rssp.deps import Services
    from remote_signing.sap import ServiceCertificates

_CACHED = 20_000  # answers, of half a kilobyte
_KNOWN_FOR = 60.0  # seconds that the service's own certificates are taken for known
_TRIES = 5
_DIGESTS = ("sha1", "sha256", "sha384", "sha512")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """An OCSP response (DER), and until when it may be used again (ms; 0: never)."""

    response: bytes
    fresh_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Issuer:
    """The issuing authority as CertIDs name it: digest → hashes of its name and its key."""

    certificate: bytes
    root: bytes
    hashes: dict[str, tuple[bytes, bytes]]


class Status:
    """OCSP and CRL of the embedded authority. Thread-safe; one for each process.

    Every method raises ``Unavailable`` (``SamUnavailable``, ``ServicesUncertified`` …) when
    nothing can be signed now; nothing older than what it says is ever given out for fresh.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._answers: OrderedDict[tuple[object, ...], Answer] = OrderedDict()
        self._lock = threading.Lock()
        self._crl_lock = threading.Lock()
        self._issuer: _Issuer | None = None
        self._own: ServiceCertificates | None = None
        self._own_until = 0.0

    def ocsp(self, certificate: bytes) -> bytes:
        """An OCSPResponse (DER, RFC 6960) about ``certificate`` (DER) of the issuing authority.

        For a certificate that the authority did not issue the answer says ``unknown``.
        """
        serial = x509.load_der_x509_certificate(certificate).serial_number
        return self.about(serial, "sha1", None).response

    def crl(self) -> bytes:
        """The issuing authority's CRL (DER, RFC 5280); made anew when a status has changed."""
        found = issued_certificates.current(self._services.database)
        if found is None:
            raise Unavailable("the table certificate_list is empty")
        stale = found.refresh_at <= self._services.now_ms() or found.crl_changes != found.changes
        return self._renewed() if stale or found.crl is None else bytes(found.crl)

    def root_crl(self) -> bytes:
        """The root's CRL (DER): it tells of the issuing authority; made at a key ceremony."""
        return self.own_certificates().root_crl

    def issuing_certificate(self) -> bytes:
        """The issuing authority's certificate (DER)."""
        return self._authority().certificate

    def root_certificate(self) -> bytes:
        """The root's certificate (DER)."""
        return self._authority().root

    def own_certificates(self) -> ServiceCertificates:
        """Certificates of OCSP responder and time stamps, and the root's CRL."""
        if self._own is None or time.monotonic() > self._own_until:
            own = self._services.sam.service_certificates()
            if own != self._own:
                with self._services.database.transaction() as connection:
                    for certificate in (own.responder, own.timestamps):
                        issued_certificates.record(connection, certificate, None)
            self._own, self._own_until = own, time.monotonic() + _KNOWN_FOR
        return self._own

    def is_ours(self, name_hash: bytes, key_hash: bytes, digest: str) -> bool:
        """Whether a CertID names the issuing authority; ``digest`` is its algorithm's name."""
        return self._authority().hashes.get(digest) == (name_hash, key_hash)

    def about(self, serial: int, digest: str, nonce: bytes | None) -> Answer:
        """The answer about one serial number; with a ``nonce`` it is signed for this request."""
        claim = self._claim(serial, digest)
        if nonce is not None:
            return Answer(self._services.sam.sign_ocsp(replace(claim, nonce=nonce)))
        if claim.state == "unknown":  # anybody can make up serial numbers: nothing is kept
            return Answer(self._services.sam.sign_ocsp(claim))
        key = (serial, digest, claim.state, claim.at_ms)
        with self._lock:
            kept = self._answers.get(key)
        if kept is None or kept.fresh_until_ms <= self._services.now_ms():
            kept = _answer(self._services.sam.sign_ocsp(claim))
            with self._lock:
                self._answers[key] = kept
                self._answers.move_to_end(key)
                if len(self._answers) > _CACHED:
                    self._answers.popitem(last=False)
        return kept

    def _claim(self, serial: int, digest: str) -> StatusClaim:
        database = self._services.database
        row = issued_certificates.find(database, serial)
        if row is None:
            # It may be the service's own, not recorded yet.
            self.own_certificates()
            row = issued_certificates.find(database, serial)
        if row is None:
            return StatusClaim("unknown", serial=serial, digest=digest)
        certificate = bytes(row.certificate)
        if row.state == "good":
            return StatusClaim("good", certificate, digest=digest)
        return StatusClaim(
            "revoked", certificate, at_ms=row.changed_at, reason=row.reason, digest=digest
        )

    def _renewed(self) -> bytes:
        """A new CRL, stored. Who loses a race against a change or another process looks again."""
        database = self._services.database
        with self._crl_lock:
            for _ in range(_TRIES):
                found = issued_certificates.current(database)
                now_ms = self._services.now_ms()
                if found is None or (
                    found.crl is not None
                    and found.crl_changes == found.changes
                    and found.refresh_at > now_ms
                ):
                    break
                named = [
                    RevokedCertificate(int(row.serial, 16), row.changed_at, row.reason)
                    for row in issued_certificates.listed(database, now_ms)
                ]
                made = self._services.sam.sign_crl(named)
                refresh_at = _half_way(made.crl)
                if issued_certificates.publish(
                    database, made.crl, made.number, found.changes, refresh_at
                ):
                    _log.info("CRL", extra={"number": made.number, "entries": len(named)})
                    return made.crl
        if found is None or found.crl is None:
            raise Unavailable("no CRL could be stored: others change certificates all the time")
        return bytes(found.crl)

    def _authority(self) -> _Issuer:
        if self._issuer is None:
            issuing, root = self._services.sam.status().chain
            parsed = x509.load_der_x509_certificate(issuing)
            name = parsed.subject.public_bytes()
            # The BIT STRING's content, without tag, length and unused bits (RFC 6960 cl. 4.1.1).
            point = parsed.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            hashes = {
                digest: (hashlib.new(digest, name).digest(), hashlib.new(digest, point).digest())
                for digest in _DIGESTS
            }
            self._issuer = _Issuer(issuing, root, hashes)
        return self._issuer


def _answer(response: bytes) -> Answer:
    """Usable until the middle of its time, so that nobody gets one that is about to end."""
    single = ocsp.load_der_ocsp_response(response)
    until = single.next_update_utc or single.this_update_utc
    middle = single.this_update_utc + (until - single.this_update_utc) / 2
    return Answer(response, _ms(middle))


def _half_way(crl: bytes) -> int:
    """When a CRL is to be replaced (ms): in the middle of its time."""
    parsed = x509.load_der_x509_crl(crl)
    until = parsed.next_update_utc or parsed.last_update_utc
    return _ms(parsed.last_update_utc + (until - parsed.last_update_utc) / 2)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
