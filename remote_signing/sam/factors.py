"""Factors of the signer: a signing PIN and a time-based one-time code, checked in the SAM.

At SCAL2 two factors of different kinds are needed. All presented factors are checked before the
answer is formed, and the answer doesn't tell which one was wrong (CSC API: one text for all).
Codes of the step before and after the current one are accepted (RFC 6238 cl. 5.2); each step once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyotp

from remote_signing import strict_json
from remote_signing.errors import EvidenceInsufficient, EvidenceInvalid, FactorRevoked, InvalidInput
from remote_signing.sam.sealed import Credential, Factor, PinFactor, TotpFactor

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from remote_signing.sam.attempts import AttemptJournal
    from remote_signing.sam.hsm import Node
    from remote_signing.sap import Evidence

_STEP_MS = 30_000
_PIN_DIGITS = 8
_SHORTEST_PIN, _LONGEST_PIN = 6, 12
_LONGEST_VALUE = 64
_PIN_DOMAIN = b"pin"
_GUESS_DOMAIN = b"guess"


@dataclass(frozen=True, slots=True)
class Verified:
    """Evidence that satisfied a credential. ``digest`` says which factors, never what was typed."""

    digest: bytes
    factor_ids: tuple[str, ...]
    totp_factor_id: str | None
    totp_step: int | None


def new_pin() -> str:
    """A random PIN of eight digits."""
    return f"{secrets.randbelow(10**_PIN_DIGITS):0{_PIN_DIGITS}d}"


def new_totp_secret() -> str:
    """160 random bits in base32 (RFC 4226 cl. 4, R6)."""
    return base64.b32encode(secrets.token_bytes(20)).decode("ascii")


def check_pin_rules(pin: str) -> None:
    """Refuse a chosen PIN that is too short, not digits, one digit repeated, or a run."""
    if not (pin.isascii() and pin.isdecimal() and _SHORTEST_PIN <= len(pin) <= _LONGEST_PIN):
        raise InvalidInput("PIN is not 6 to 12 digits", parameter="new_pin")
    steps = {int(after) - int(before) for before, after in itertools.pairwise(pin)}
    if steps in ({0}, {1}, {-1}):
        raise InvalidInput("PIN is a repetition or a run", parameter="new_pin")


def pin_factor(node: Node, credential_id: str, factor_id: str, pin: str) -> PinFactor:
    """The factor for ``pin``; without the HSM's key its verifier can't be guessed against."""
    return PinFactor(factor_id, _pin_verifier(node, credential_id, factor_id, pin))


def _pin_verifier(node: Node, credential_id: str, factor_id: str, pin: str) -> bytes:
    return node.mac(_PIN_DOMAIN, strict_json.canonical([credential_id, factor_id, pin]))


@dataclass(frozen=True, slots=True)
class EvidenceCheck:
    """Checks evidence for one worker: its node, the host's journal, the revocation list."""

    node: Node
    journal: AttemptJournal
    revoked: Container[str]

    def verify(
        self,
        credential: Credential,
        evidence: Sequence[Evidence],
        challenge_digest: bytes,
        now_ms: int,
    ) -> Verified:
        """The outcome for ``evidence`` about the challenge; refusals are ``EvidenceInvalid``.

        ``EvidenceInvalid.public["attempts_left"]`` counts what the SAM itself will still check.
        """
        presented = [(self._factor(credential, item), item["value"]) for item in evidence]
        kinds = {factor.kind for factor, _ in presented}
        # However few the record has left: one whose phone was dropped waits for another factor.
        needed = 1 if credential.scal == "1" else 2
        if len(kinds) < needed or len(kinds) != len(presented):
            raise EvidenceInsufficient(f"{len(presented)} factors of {len(kinds)} kinds")
        self.journal.charge(
            credential.credential_id, self._guess(credential, evidence, challenge_digest)
        )
        results = [self._matches(credential, factor, value, now_ms) for factor, value in presented]
        if not all(result is not None for result in results):
            left = self.journal.remaining(credential.credential_id)
            raise EvidenceInvalid("a factor does not match", attempts_left=left)
        totp_factor_id, totp_step = None, None
        for (factor, _), step in zip(presented, results, strict=True):
            if isinstance(factor, TotpFactor) and step is not None:
                self.journal.use_step(factor.id, step, challenge_digest)
                totp_factor_id, totp_step = factor.id, step
        self.journal.clear(credential.credential_id)
        factors = [[factor.id, factor.kind] for factor, _ in presented]
        statement = strict_json.canonical([challenge_digest.hex(), factors, totp_step])
        digest = hashlib.sha256(statement).digest()
        factor_ids = tuple(factor.id for factor, _ in presented)
        return Verified(digest, factor_ids, totp_factor_id, totp_step)

    def _factor(self, credential: Credential, item: Evidence) -> Factor:
        factor = credential.factor(item["factor_id"])
        if factor is None or factor.kind != item["kind"]:
            raise EvidenceInsufficient("not a factor of this credential")
        if factor.id in self.revoked:
            raise FactorRevoked("on the revocation list")
        return factor

    def _guess(
        self, credential: Credential, evidence: Sequence[Evidence], challenge_digest: bytes
    ) -> bytes:
        values = [[item["factor_id"], item["value"]] for item in evidence]
        statement = [credential.credential_id, challenge_digest.hex(), values]
        return self.node.mac(_GUESS_DOMAIN, strict_json.canonical(statement))

    def _matches(
        self, credential: Credential, factor: Factor, value: str, now_ms: int
    ) -> int | None:
        """None when ``value`` is wrong; for a one-time code its time step, else 0."""
        if isinstance(factor, TotpFactor):
            return _totp_step(factor, value, now_ms)
        verifier = _pin_verifier(self.node, credential.credential_id, factor.id, value)
        return 0 if hmac.compare_digest(verifier, factor.verifier) else None


def _totp_step(factor: TotpFactor, value: str, now_ms: int) -> int | None:
    totp = pyotp.TOTP(factor.secret)
    current = now_ms // _STEP_MS
    # Every step is computed whatever matched before, so that time tells nothing.
    matching = [
        step
        for step in (current, current - 1, current + 1)
        if hmac.compare_digest(totp.generate_otp(step).encode(), value.encode())
    ]
    return matching[0] if matching else None


def read_evidence(value: object) -> list[Evidence]:
    """Evidence from the wire; ``InvalidInput`` when it is not a short list of short strings."""
    if not isinstance(value, list) or len(value) > 4:  # noqa: PLR2004 - more than any policy asks
        raise InvalidInput("evidence is not a short list", parameter="evidence")
    return [_read_item(item) for item in value]


def _read_item(item: object) -> Evidence:
    if not isinstance(item, dict) or set(item) != {"factor_id", "kind", "value"}:
        raise InvalidInput("evidence item", parameter="evidence")
    texts = [item["factor_id"], item["kind"], item["value"]]
    if not all(isinstance(text, str) and len(text) <= _LONGEST_VALUE for text in texts):
        raise InvalidInput("evidence item", parameter="evidence")
    return {"factor_id": texts[0], "kind": texts[1], "value": texts[2]}
