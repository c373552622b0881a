"""Factors of the signer, checked in the SAM: a PIN, a one-time code, the key of a SIM, a passkey.

Which kinds together are enough stands in the sealed record. A table leads from the kind of a
factor to its check; a kind that joins is one entry more. Factors that are bound
to the challenge by a signature are checked first: they cannot be guessed, so a wrong one costs no
attempt, and nobody gets to guess a PIN beside a signature that he does not have. Of those that can
be guessed, all are checked before the answer is formed, and the answer doesn't tell which one was
wrong (CSC API: one text for all). Codes of the step before and after the current one are accepted
(RFC 6238 cl. 5.2); each step once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pyotp

from remote_signing import strict_json
from remote_signing.errors import (
    EvidenceInsufficient,
    EvidenceInvalid,
    FactorRevoked,
    InvalidInput,
    RecordRevoked,
)
from remote_signing.sam import passkeys, sim_consent
from remote_signing.sam.attempts import STEP_MS
from remote_signing.sam.revocation import rule_entry
from remote_signing.sam.sealed import (
    Credential,
    Factor,
    PasskeyFactor,
    PinFactor,
    SimFactor,
    TotpFactor,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remote_signing.sam.attempts import AttemptJournal
    from remote_signing.sam.hsm import Node
    from remote_signing.sam.passkeys import Passkeys
    from remote_signing.sam.revocation import RevocationList
    from remote_signing.sam.sad import Bound
    from remote_signing.sam.sim_consent import SimConsent
    from remote_signing.sap import Evidence
    from remote_signing.strict_json import JsonValue

_PIN_DIGITS = 8
_LONGEST_VALUE = 64
_TYPED = {"factor_id", "kind", "value"}
_PIN_DOMAIN = b"pin"
_GUESS_DOMAIN = b"guess"


@dataclass(frozen=True, slots=True)
class Verified:
    """Evidence that satisfied a credential. ``statement`` says how, never what was typed."""

    statement: bytes
    factor_ids: tuple[str, ...]
    totp_factor_id: str | None
    totp_step: int | None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the statement: what the SAD and the records keep."""
        return hashlib.sha256(self.statement).digest()

    @property
    def code(self) -> dict[str, JsonValue]:
        """The one-time code that was used, as answers tell it: each host knows its own only."""
        return {"totp_factor_id": self.totp_factor_id, "totp_step": self.totp_step}


def new_pin() -> str:
    """A random PIN of eight digits."""
    return f"{secrets.randbelow(10**_PIN_DIGITS):0{_PIN_DIGITS}d}"


def new_totp_secret() -> str:
    """160 random bits in base32 (RFC 4226 cl. 4, R6)."""
    return base64.b32encode(secrets.token_bytes(20)).decode("ascii")


def pin_factor(node: Node, credential_id: str, factor_id: str, pin: str) -> PinFactor:
    """The factor for ``pin``; without the HSM's key its verifier can't be guessed against."""
    return PinFactor(factor_id, pin_verifier(node, credential_id, factor_id, pin))


def pin_verifier(node: Node, credential_id: str, factor_id: str, pin: str) -> bytes:
    """What the record keeps of ``pin`` as the factor ``factor_id``."""
    return node.mac(_PIN_DOMAIN, strict_json.canonical([credential_id, factor_id, pin]))


@dataclass(frozen=True, slots=True)
class Question:
    """What evidence is about: ``digest`` in any case, ``bound`` when hashes are to be signed.

    ``members``: the digests (hexadecimal) of several challenges that ``digest`` is over.
    ``has_nonce``: the digest covers a random number of the SAM, as that of ``bound`` does.
    """

    credential: Credential
    digest: bytes
    now_ms: int
    bound: Bound | None = None
    members: tuple[str, ...] = ()
    has_nonce: bool = False


@dataclass(frozen=True, slots=True)
class Presented:
    """One factor of the credential with the evidence given for it."""

    factor: Factor
    item: Evidence


@dataclass(frozen=True, slots=True)
class Match:
    """The evidence fits: by which time step, and what a bound factor's statement says."""

    step: int | None = None
    record: Mapping[str, object] | None = None


Check = Callable[[Presented, Question], Match | None]


class EvidenceCheck:
    """Checks evidence for one worker: its node, the host's journal, the revocation list."""

    def __init__(
        self,
        node: Node,
        journal: AttemptJournal,
        revoked: RevocationList,
        sim: SimConsent,
        passkeys: Passkeys,
    ) -> None:
        self.node = node
        self.journal = journal
        self.revoked = revoked
        self.sim = sim
        self.passkeys = passkeys
        # In this order: what can't be guessed, then what is counted.
        self._bound: dict[str, Check] = {"sim": self._sim, "passkey": self._passkey}
        self._guessable: dict[str, Check] = {"pin": self._pin, "totp": self._totp}

    def verify(self, evidence: Sequence[Evidence], question: Question) -> Verified:
        """The outcome for ``evidence`` about ``question``; refusals are ``EvidenceInvalid``.

        ``EvidenceInvalid.public["attempts_left"]`` counts what the SAM itself will still check.
        """
        credential = question.credential
        if credential.rule_since_ms < self.revoked.rule_since(credential.credential_id):
            raise RecordRevoked("its rule of consent was replaced")
        presented = [self._presented(credential, item) for item in evidence]
        _check_enough(credential, presented)
        matches = self._matches(self._bound, presented, question)
        guesses = [one for one in presented if one.factor.kind in self._guessable]
        if guesses:
            matches += self._guessed(guesses, question)
        self._retire(replaced(credential, [one.factor for one in presented]))
        steps = [(factor.id, match.step) for factor, match in matches if match.step is not None]
        totp_factor_id, totp_step = steps[0] if steps else (None, None)
        factors = [
            [factor.id, factor.kind, *([match.record] if match.record else [])]
            for factor, match in matches
        ]
        statement = strict_json.canonical([question.digest.hex(), factors, totp_step])
        factor_ids = tuple(one.factor.id for one in presented)
        return Verified(statement, factor_ids, totp_factor_id, totp_step)

    def _guessed(self, guesses: list[Presented], question: Question) -> list[tuple[Factor, Match]]:
        """The matches of PIN and code; the attempt is counted before anything is looked at."""
        counted = question.credential.guessed_as
        step = question.now_ms // STEP_MS
        self.journal.charge(counted, self._guess(guesses, question), step)
        matches = self._matches(self._guessable, guesses, question)
        if len(matches) < len(guesses):
            left = self.journal.remaining(counted)
            raise EvidenceInvalid("a factor does not match", attempts_left=left)
        for factor, match in matches:
            if match.step is not None:
                self.journal.use_step(factor.id, match.step, question.digest)
        self.journal.clear(counted)
        return matches

    def _retire(self, over: Iterable[str]) -> None:
        """Put it on the revocation list, if nobody has done so before."""
        if owed := [each for each in over if each not in self.revoked]:
            self.revoked.add(owed)

    @staticmethod
    def _matches(
        table: Mapping[str, Check], presented: Sequence[Presented], question: Question
    ) -> list[tuple[Factor, Match]]:
        """Every presented factor of the table's kinds is looked at, whatever the others gave."""
        outcomes = [
            (one.factor, table[one.factor.kind](one, question))
            for one in presented
            if one.factor.kind in table
        ]
        return [(factor, match) for factor, match in outcomes if match is not None]

    def _presented(self, credential: Credential, item: Evidence) -> Presented:
        factor = credential.factor(item["factor_id"])
        if factor is None or factor.kind != item["kind"]:
            raise EvidenceInsufficient("not a factor of this credential")
        if factor.id in self.revoked:
            raise FactorRevoked("on the revocation list")
        return Presented(factor, item)

    def _guess(self, guesses: Sequence[Presented], question: Question) -> bytes:
        values = [[one.factor.id, one.item["value"]] for one in guesses]
        statement = [question.credential.credential_id, question.digest.hex(), values]
        return self.node.mac(_GUESS_DOMAIN, strict_json.canonical(statement))

    def _pin(self, one: Presented, question: Question) -> Match | None:
        factor = cast("PinFactor", one.factor)
        owner = question.credential.credential_id
        verifier = pin_verifier(self.node, owner, factor.id, one.item["value"])
        return Match() if hmac.compare_digest(verifier, factor.verifier) else None

    @staticmethod
    def _totp(one: Presented, question: Question) -> Match | None:
        factor = cast("TotpFactor", one.factor)
        step = _totp_step(factor, one.item["value"], question.now_ms)
        return None if step is None else Match(step=step)

    def _sim(self, one: Presented, question: Question) -> Match:
        if question.bound is None:
            raise EvidenceInsufficient("a SIM consents to hashes, to nothing else")
        given = cast("JsonValue", one.item.get("sim"))
        answer = sim_consent.read_answer(one.item["value"], given)
        factor = cast("SimFactor", one.factor)
        return Match(record=self.sim.check(factor, answer, question.bound, question.now_ms))

    def _passkey(self, one: Presented, question: Question) -> Match:
        if question.bound is None and not question.has_nonce:
            raise EvidenceInsufficient("a passkey answers only what nobody could know before")
        given = cast("JsonValue", one.item.get("passkey"))
        answer = passkeys.read_answer(one.item["value"], given)
        factor, owner = cast("PasskeyFactor", one.factor), question.credential.credential_id
        data = self.passkeys.check(factor, answer, owner, question.digest, question.now_ms)
        asked = question.bound or question.members
        return Match(record=passkeys.record(factor, answer, data, asked))


def replaced(credential: Credential, used: Iterable[Factor]) -> Iterator[str]:
    """What is over once the record is used with these factors, as the revocation list names it.

    The PINs that a PIN among them took the place of, and every rule of consent before its own.
    """
    for factor in used:
        if isinstance(factor, PinFactor):
            yield from factor.replaces
    if credential.rule_since_ms:
        yield rule_entry(credential.credential_id, credential.rule_since_ms)


def _check_enough(credential: Credential, presented: Sequence[Presented]) -> None:
    """One of the credential's sets of kinds must be there in full, and each kind once."""
    kinds = {one.factor.kind for one in presented}
    enough = any(set(needed) <= kinds for needed in credential.consent)
    if not enough or len(kinds) != len(presented):
        raise EvidenceInsufficient(f"{len(presented)} factors of {len(kinds)} kinds")


def _totp_step(factor: TotpFactor, value: str, now_ms: int) -> int | None:
    totp = pyotp.TOTP(factor.secret)
    current = now_ms // STEP_MS
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


# Kinds whose evidence has a member of its own besides, and how long its value may be.
_SIGNED_KINDS = {"sim": 2 * sim_consent.LONGEST_SIGNATURE, "passkey": passkeys.LONGEST_VALUE}


def _read_item(item: object) -> Evidence:
    if not isinstance(item, dict) or set(item) - _SIGNED_KINDS.keys() != _TYPED:
        raise InvalidInput("evidence item", parameter="evidence")
    kind = item["kind"]
    if any(name in item and name != kind for name in _SIGNED_KINDS):
        raise InvalidInput("what belongs to the evidence of another kind", parameter="evidence")
    # In base64; the check decodes and measures.
    longest = _SIGNED_KINDS.get(kind, _LONGEST_VALUE) if isinstance(kind, str) else 0
    texts = ((item["factor_id"], _LONGEST_VALUE), (kind, _LONGEST_VALUE), (item["value"], longest))
    if not all(isinstance(text, str) and len(text) <= most for text, most in texts):
        raise InvalidInput("evidence item", parameter="evidence")
    return cast("Evidence", item)
