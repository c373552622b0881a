"""Which certificates on SIMs the SAM believes: chain, use, time, and whether they still stand.

The pinned certificate is believed because a registration authority pinned it; the chain to a
configured anchor is what lets that authority's issuer take it back. Everything is looked at at the
time of each consent, by the SAM's own clock.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from remote_signing.errors import InvalidInput
from remote_signing.sam import sim_status
from remote_signing.sam.sim_signature import acceptable_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remote_signing.sam.config import SimConfig

LONGEST_CHAIN: Final = 3
Revocation = Literal["require", "allow_for", "off", "own_list"]
_HANDLED: Final = (x509.KeyUsage, x509.BasicConstraints, x509.CertificatePolicies)


class Untrusted(Exception):
    """The certificate may not be relied on; the text says why."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """An authority and the terms on which its certificates are accepted."""

    certificate: x509.Certificate
    revocation: Revocation
    grace: dt.timedelta = dt.timedelta(0)


@dataclass(frozen=True, slots=True)
class Path:
    """A certificate, who issued it, and the anchor its chain ends at."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    anchor: Anchor
    known: frozenset[bytes]


class SimTrust:
    """The configured anchors and the required key usage."""

    def __init__(self, anchors: Sequence[Anchor], key_usage: str) -> None:
        self._anchors = anchors
        self._key_usage = key_usage

    @classmethod
    def from_config(cls, config: SimConfig, embedded: x509.Certificate) -> SimTrust:
        """``embedded`` is the cluster's own issuing certificate."""
        anchors = []
        for item in config.anchors:
            try:
                certificate = x509.load_pem_x509_certificate(item.certificate.read_bytes())
            except (OSError, ValueError) as error:
                raise InvalidInput(f"SIM anchor {item.certificate}: {error}") from error
            grace = item.allow_for_seconds if item.revocation == "allow_for" else 0
            anchors.append(Anchor(certificate, item.revocation, dt.timedelta(seconds=grace)))
        if config.embedded_authority:
            anchors.append(Anchor(embedded, "own_list"))
        return cls(anchors, config.key_usage)

    def path(self, encoded: bytes, chain: Sequence[bytes], now: dt.datetime) -> Path:
        """The path of the certificate ``encoded`` (DER) at ``now``; ``Untrusted`` without one."""
        if len(chain) > LONGEST_CHAIN:
            raise Untrusted("the chain is too long")
        try:
            certificate, *issuers = (x509.load_der_x509_certificate(x) for x in (encoded, *chain))
            self._check_signer(certificate, now)
            anchor = self._anchor_of(certificate, issuers, now)
        except Untrusted:
            raise
        # A parser of others raises what it likes; none of it may end the worker.
        except Exception as error:  # noqa: BLE001 - as said
            raise Untrusted(f"a certificate of the chain: {error}") from None
        known = {encoded, *chain, anchor.certificate.public_bytes(serialization.Encoding.DER)}
        return Path(certificate, (*issuers, anchor.certificate)[0], anchor, frozenset(known))

    def _anchor_of(
        self, certificate: x509.Certificate, issuers: Sequence[x509.Certificate], now: dt.datetime
    ) -> Anchor:
        subject = certificate
        for below, issuer in enumerate(issuers):
            _check_issued(subject, issuer, below, now)
            subject = issuer
        for anchor in self._anchors:
            if anchor.certificate.subject == subject.issuer and _signed(subject, anchor):
                _check_issued(subject, anchor.certificate, len(issuers), now)
                return anchor
        raise Untrusted("no configured anchor")

    def _check_signer(self, certificate: x509.Certificate, now: dt.datetime) -> None:
        _check_certificate(certificate, now)
        constraints = (x.value for x in certificate.extensions)
        if any(isinstance(x, x509.BasicConstraints) and x.ca for x in constraints):
            raise Untrusted("an authority's certificate on a SIM")
        if acceptable_key(certificate.public_key()) is None:
            raise Untrusted("kind or size of the key")
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        uses = {
            "content_commitment": usage.content_commitment,
            "digital_signature": usage.digital_signature,
            "either": usage.content_commitment or usage.digital_signature,
        }
        if not uses[self._key_usage]:
            raise Untrusted("key usage")


def check_status(
    path: Path, responses: Sequence[bytes], crls: Sequence[bytes], now: dt.datetime
) -> dict[str, str | int | bool]:
    """On what ground the certificate counts as not revoked; ``Untrusted`` when on none.

    One statement of "revoked" outweighs any number of others, whatever the anchor's terms.
    """
    found = sim_status.statements(path.certificate, path.issuer, responses, crls, now)
    if any(statement.revoked for statement in found):
        raise Untrusted("revoked")
    anchor = path.anchor
    latest = max(found, key=lambda statement: statement.until, default=None)
    if latest is not None and now <= latest.until + anchor.grace:
        return {
            "source": latest.source,
            "within_time": now <= latest.until,
            "this_update_ms": int(latest.this_update.timestamp() * 1000),
        }
    if anchor.revocation in {"off", "own_list"}:
        return {"source": anchor.revocation}
    raise Untrusted("no status within its time")


def _signed(subject: x509.Certificate, anchor: Anchor) -> bool:
    try:
        subject.verify_directly_issued_by(anchor.certificate)
    except (InvalidSignature, ValueError, TypeError):
        # A namesake: a renewed authority keeps its name, perhaps with another kind of key.
        return False
    return True


def _check_issued(
    subject: x509.Certificate, issuer: x509.Certificate, below: int, now: dt.datetime
) -> None:
    """``below`` authorities stand between ``issuer`` and the end of the chain."""
    _check_certificate(issuer, now)
    algorithm = subject.signature_hash_algorithm
    if algorithm is None or algorithm.name not in sim_status.STRONG:
        raise Untrusted("digest of a certificate's signature")
    subject.verify_directly_issued_by(issuer)
    constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    if not constraints.ca or (
        constraints.path_length is not None and constraints.path_length < below
    ):
        raise Untrusted("an issuer that is no authority, or not for so long a chain")
    if not all(usage.key_cert_sign for usage in _key_usages(issuer)):
        raise Untrusted("an issuer that may not sign certificates")


def _key_usages(certificate: x509.Certificate) -> Iterable[x509.KeyUsage]:
    return (x.value for x in certificate.extensions if isinstance(x.value, x509.KeyUsage))


def _check_certificate(certificate: x509.Certificate, now: dt.datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Untrusted("outside its validity")
    for extension in certificate.extensions:
        if extension.critical and not isinstance(extension.value, _HANDLED):
            raise Untrusted("a critical extension that is not handled")
