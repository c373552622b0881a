"""CRLs and OCSP answers about what the issuing authority made (RFC 5280, RFC 6960).

Which certificates are revoked is in the rssp's database, so the rssp says it; but the SAM builds
every byte that is signed, tells its own time, and refuses what it knows to be untrue: a status of a
certificate that this authority did not issue, or anything but "revoked" for one that an order of
the registration authority has revoked (it is on the SAM's own list).
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from remote_signing.clock import as_datetime
from remote_signing.errors import InvalidInput, StatusContradicted
from remote_signing.sam.arguments import binary, number, serial_number, text
from remote_signing.sap import b64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from remote_signing.clock import Clock
    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.config import SamConfig
    from remote_signing.sam.hsm import Node
    from remote_signing.sam.revocation import RevocationList
    from remote_signing.sam.service_keys import ServiceKeys
    from remote_signing.strict_json import JsonValue

_MOST_ENTRIES = 50_000  # of the longest: as many as fit into a message of the SAP
_LONGEST_NONCE = 128  # octets; RFC 9654 cl. 2.1
_CLOCK_SKEW_MS = 60_000
_REASONS = {
    flag.value: flag
    for flag in x509.ReasonFlags
    # For parts of a CRL, for authorities, and for delta CRLs.
    if flag.value not in {"cACompromise", "aACompromise", "removeFromCRL"}
}
_CERT_ID = {
    each.name: each
    for each in (
        hashes.SHA1(),  # noqa: S303 - names an issuer, as RFC 5019 cl. 2.1.1 wants; secures nothing
        hashes.SHA256(),
        hashes.SHA384(),
        hashes.SHA512(),
    )
}
_DER = Encoding.DER


class CertificateStatus:
    """The verbs ``sign_crl``, ``sign_ocsp`` and ``service_certificates`` of one worker."""

    def __init__(  # noqa: PLR0913, PLR0917 - the worker is the composition root
        self,
        config: SamConfig,
        node: Node,
        keys: ServiceKeys,
        revoked: RevocationList,
        issuer: x509.Certificate,
        clock: Clock,
    ) -> None:
        self._config = config.authority
        self._numbers = config.state_folder / "crl-number"
        self._node = node
        self._keys = keys
        self._revoked = revoked
        self._issuer = issuer
        self._clock = clock
        self._name = issuer.subject.public_bytes()
        public_key = issuer.public_key()
        self._point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.verbs: Mapping[str, Callable[[Arguments], Answer]] = {
            "sign_crl": self._sign_crl,
            "sign_ocsp": self._sign_ocsp,
            "service_certificates": self._service_certificates,
        }

    def _sign_crl(self, arguments: Arguments) -> Answer:
        now_ms = self._clock.now_ms()
        entries = _entries(arguments, now_ms)
        for serial, not_after_ms in self._revoked.certificates().items():
            if not_after_ms > now_ms and serial not in entries:
                raise StatusContradicted(f"certificate {serial:x} is revoked and not listed")
        crl_number = _next_number(self._numbers, now_ms)
        this_update = as_datetime(now_ms).replace(microsecond=0)
        identifier = self._issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        builder = (
            x509.CertificateRevocationListBuilder(
                revoked_certificates=[_entry(serial, *rest) for serial, rest in entries.items()]
            )
            .issuer_name(self._issuer.subject)
            .last_update(this_update)
            .next_update(this_update + dt.timedelta(seconds=self._config.crl_seconds))
            .add_extension(x509.CRLNumber(crl_number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value),
                critical=False,
            )
        )
        crl = builder.sign(self._node.authority_key("rs-ca-issuing"), hashes.SHA384())
        return {"crl": b64(crl.public_bytes(_DER)), "number": crl_number}

    def _sign_ocsp(self, arguments: Arguments) -> Answer:
        now_ms = self._clock.now_ms()
        serial, status = self._claimed(arguments)
        at, reason = None, None
        if status is ocsp.OCSPCertStatus.REVOKED:
            at, reason = _revocation(arguments.get("at_ms"), arguments.get("reason"), now_ms)
        algorithm = _CERT_ID.get(text(arguments, "digest"))
        if algorithm is None:
            raise InvalidInput("no such digest for a CertID", parameter="digest")
        responder = self._keys.key("responder", now_ms)
        this_update = as_datetime(now_ms).replace(microsecond=0)
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                hashlib.new(algorithm.name, self._name, usedforsecurity=False).digest(),
                hashlib.new(algorithm.name, self._point, usedforsecurity=False).digest(),
                serial,
                algorithm,
                status,
                this_update,
                this_update + dt.timedelta(seconds=self._config.ocsp_seconds),
                at,
                reason,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
            .certificates([responder.certificate])
        )
        if arguments.get("nonce") is not None:
            nonce = binary(arguments, "nonce")
            if not 0 < len(nonce) <= _LONGEST_NONCE:
                raise InvalidInput("a nonce has 1 to 128 octets", parameter="nonce")
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        response = builder.sign(responder.key.private_key_for_csr(), hashes.SHA256())
        return {"response": b64(response.public_bytes(_DER))}

    def _claimed(self, arguments: Arguments) -> tuple[int, ocsp.OCSPCertStatus]:
        """The serial number and its status, unless the SAM knows better."""
        state = text(arguments, "state")
        if state == "unknown":
            serial = serial_number(arguments.get("serial"))
        else:
            serial = self._issued(binary(arguments, "certificate"))
        if state != "revoked" and serial in self._revoked.certificates():
            raise StatusContradicted(f"certificate {serial:x} is revoked")
        try:
            return serial, ocsp.OCSPCertStatus[state.upper()]
        except KeyError:
            raise InvalidInput("no such status", parameter="state") from None

    def _issued(self, certificate: bytes) -> int:
        """The serial number of a certificate that this authority did issue."""
        try:
            parsed = x509.load_der_x509_certificate(certificate)
            parsed.verify_directly_issued_by(self._issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise StatusContradicted("the certificate is not of this authority") from None
        return parsed.serial_number

    def _service_certificates(self, _arguments: Arguments) -> Answer:
        certificates = self._keys.certificates()
        return {
            **{purpose: b64(certificate) for purpose, certificate in certificates.items()},
            "root_crl": b64(self._keys.root_crl()),
        }


_Entry = tuple[dt.datetime, "x509.ReasonFlags | None"]


def _entries(arguments: Arguments, now_ms: int) -> dict[int, _Entry]:
    """Serial number → time and reason; no number twice."""
    named = arguments.get("revoked")
    if not isinstance(named, list) or len(named) > _MOST_ENTRIES:
        raise InvalidInput("revoked is not a list of bounded length", parameter="revoked")
    entries: dict[int, _Entry] = {}
    for item in named:
        if not isinstance(item, list) or len(item) != 3:  # noqa: PLR2004 - serial, time, reason
            raise InvalidInput("an entry has three members", parameter="revoked")
        serial = serial_number(item[0])
        if serial in entries:
            raise InvalidInput("a serial number is named twice", parameter="revoked")
        entries[serial] = _revocation(item[1], item[2], now_ms)
    return entries


def _revocation(at_ms: JsonValue, reason: JsonValue, now_ms: int) -> _Entry:
    """When and why; an unspecified reason is not written (RFC 5280 cl. 5.3.1)."""
    known = _REASONS.get(reason) if isinstance(reason, str) else None
    moment = number({"at_ms": at_ms}, "at_ms")
    if known is None or moment > now_ms + _CLOCK_SKEW_MS:
        raise InvalidInput("no such revocation", parameter="reason")
    at = as_datetime(moment).replace(microsecond=0)
    return at, None if known is x509.ReasonFlags.unspecified else known


def _entry(
    serial: int, at: dt.datetime, reason: x509.ReasonFlags | None
) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
    if reason is not None:
        builder = builder.add_extension(x509.CRLReason(reason), critical=False)
    return builder.build()


def _next_number(path: Path, now_ms: int) -> int:
    """A CRL number above all before: the time in ms, so that it also rises across SAM hosts."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = file.read()
        found = max(now_ms, int(last) + 1 if last else 0)
        file.seek(0)
        file.write(b"%d" % found)
        file.flush()
        os.fsync(file.fileno())
    return found
