"""The SIM as a factor: what it is asked, and whether its answer is the consent that was asked for.

A signature cannot be guessed, so nothing here is counted against the official: a stranger who
sends rubbish through an operator's gateway locks nobody out. Nothing has to be remembered either.
The signature covers the activation and a nonce that the SAM chose for it, so it is good for this
one challenge; the rssp's row makes one authorisation of it, and asking again only gives another
SAD for the same hashes in the same activation.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remote_signing.clock import as_datetime
from remote_signing.errors import EvidenceInsufficient, EvidenceInvalid, InvalidInput
from remote_signing.sam import consent_structure
from remote_signing.sam.sim_signature import FORMATS, check_consent
from remote_signing.sam.sim_trust import SimTrust, Untrusted, check_status
from remote_signing.sap import unb64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from remote_signing.sam.config import SimConfig
    from remote_signing.sam.consent_structure import ConsentStructure
    from remote_signing.sam.sad import Bound
    from remote_signing.sam.sealed import SimFactor, SimMode
    from remote_signing.strict_json import JsonValue

LONGEST_SIGNATURE: Final = 16 * 1024
_MOST_RESPONSES, _LONGEST_RESPONSE = 4, 16 * 1024
_MOST_CRLS, _LONGEST_CRL = 2, 1024 * 1024
_MOST_LABELS, _LONGEST_TEXT = 1000, 239
_ASSURANCE: Final = {"structure": "shown_by_card", "digest": "shown_by_operator", "text": "weaker"}


@dataclass(frozen=True, slots=True)
class SimAnswer:
    """The evidence of a SIM as it came, within its bounds."""

    form: str
    signature: bytes
    display_text: str
    labels: tuple[str, ...]
    ocsp: tuple[bytes, ...]
    crls: tuple[bytes, ...]


class SimConsent:
    """Asks and checks SIM factors. Without ``trust`` this SAM takes none."""

    def __init__(self, service_id: str, trust: SimTrust | None) -> None:
        self._service_id = service_id
        self.trust = trust

    @classmethod
    def from_config(cls, config: SimConfig | None, embedded: x509.Certificate) -> SimConsent:
        """``embedded`` is the cluster's own issuing certificate."""
        if config is None:
            return cls("", None)
        return cls(config.service_id, SimTrust.from_config(config, embedded))

    def structure(
        self, bound: Bound, factor: SimFactor, display_text: str, labels: Sequence[str]
    ) -> ConsentStructure:
        """What ``factor`` is asked to sign for the challenge ``bound``."""
        return consent_structure.build(
            bound,
            service_id=self._service_id,
            certificate_sha256=hashlib.sha256(factor.certificate).digest(),
            mode=factor.mode,
            display_text=display_text,
            labels=labels,
        )

    def check(
        self, factor: SimFactor, answer: SimAnswer, bound: Bound, now_ms: int
    ) -> dict[str, object]:
        """What the evidence's statement says of the SIM; ``EvidenceInvalid`` for any flaw."""
        if self.trust is None:
            raise EvidenceInsufficient("this SAM is not configured for SIM factors")
        now = as_datetime(now_ms)
        try:
            path = self.trust.path(factor.certificate, factor.chain, now)
            status = check_status(path, answer.ocsp, answer.crls, now)
        except Untrusted as error:
            raise EvidenceInvalid(f"SIM certificate: {error}") from None
        structure = self.structure(bound, factor, answer.display_text, answer.labels)
        check_consent(
            path.certificate, path.known, structure, factor.mode, answer.form, answer.signature
        )
        return {
            "mode": factor.mode,
            "assurance": _assurance(factor.mode, answer.form),
            "format": answer.form,
            "structure_sha256": structure.digest.hex(),
            "signature_sha256": hashlib.sha256(answer.signature).hexdigest(),
            "certificate_sha256": hashlib.sha256(factor.certificate).hexdigest(),
            "status": status,
        }


def _assurance(mode: SimMode, form: str) -> str:
    """What the official can rely on (docs/sim-consent.md).

    Under a CMS the card signed the digest of attributes, which tell it nothing that it could show.
    """
    return _ASSURANCE["digest" if mode == "structure" and form == "cms" else mode]


def read_answer(value: str, sim: JsonValue) -> SimAnswer:
    """The evidence from the wire; ``InvalidInput`` when it is not within its bounds."""
    names = {"format", "display_text", "labels", "ocsp", "crls"}
    if not isinstance(sim, dict) or set(sim) != names:
        raise InvalidInput("SIM evidence", parameter="evidence")
    form = next((one for one in FORMATS if one == sim["format"]), None)
    if form is None:
        raise InvalidInput("format of a SIM's signature", parameter="evidence")
    return SimAnswer(
        form=form,
        signature=_octets(value, LONGEST_SIGNATURE),
        display_text=_text(sim["display_text"]),
        labels=tuple(_text(label) for label in _list(sim["labels"], _MOST_LABELS)),
        ocsp=tuple(_octets(x, _LONGEST_RESPONSE) for x in _list(sim["ocsp"], _MOST_RESPONSES)),
        crls=tuple(_octets(x, _LONGEST_CRL) for x in _list(sim["crls"], _MOST_CRLS)),
    )


def _list(value: JsonValue, most: int) -> list[JsonValue]:
    if not isinstance(value, list) or len(value) > most:
        raise InvalidInput("a list of SIM evidence", parameter="evidence")
    return value


def _text(value: JsonValue) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise InvalidInput("a text of SIM evidence", parameter="evidence")
    return value


def _octets(value: JsonValue, longest: int) -> bytes:
    octets = unb64(value, "evidence")
    if len(octets) > longest:
        raise InvalidInput("SIM evidence is too long", parameter="evidence")
    return octets
