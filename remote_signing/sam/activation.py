"""One signature: the challenge, the signer's consent, the use of the key. Nobody else can use it.

Each verb checks everything it relies on: seals, evidence, the SAD, the revocation list. Nothing
the rssp says about the signer is taken for true. The SAM keeps no state of a running activation:
challenge, SAD and credential come sealed, with every request.

Of the way of one signature (docs/sign-hash.md) steps 2c, 4c and 4d are here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from remote_signing import strict_json
from remote_signing.algorithms import algorithm_named, check_digests, digest_named, resolve_scheme
from remote_signing.errors import (
    ChallengeInvalid,
    EvidenceInsufficient,
    FactorRevoked,
    InvalidInput,
    RecordRevoked,
    SadInvalid,
    TooManySignatures,
)
from remote_signing.identifiers import is_id
from remote_signing.sam import sad
from remote_signing.sam.arguments import (
    MOST_HASHES,
    binary,
    optional_text,
    raw_digests,
    text,
    texts,
)
from remote_signing.sam.factors import EvidenceCheck, Question, read_evidence
from remote_signing.sam.sealed import Credential, SimFactor, open_sealed
from remote_signing.sap import ChallengeRequest, b64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remote_signing.clock import Clock
    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.config import SamConfig
    from remote_signing.sam.hsm import Node
    from remote_signing.sam.revocation import RevocationList

_LONGEST_TEXT = 4000
_LONGEST_CHALLENGE = 400_000  # base64 of one with a thousand hashes
_LONGEST_CONSENT_MS = 24 * 60 * 60 * 1000
_FEWEST, _MOST_TOGETHER = 2, 50
_TOGETHER_DOMAIN = b"remote-signing/together/v1"
_REMEMBERED = 32  # SADs and keys


@dataclass(frozen=True, slots=True)
class _Key:
    """What using a key needs of its credential: nothing of the factors."""

    credential_id: str
    algorithm: str
    wrapped: bytes
    public: bytes


class Activation:
    """The verbs ``challenge``, ``activate`` and ``sign`` of one worker."""

    def __init__(self, config: SamConfig, evidence: EvidenceCheck, clock: Clock) -> None:
        self._sad_lifetime_ms = config.sad_lifetime_ms
        self._evidence = evidence
        self._node = evidence.node
        self._journal = evidence.journal
        self._revoked = evidence.revoked
        self._clock = clock
        # What was opened lately. The same octets are the same SAD and the same key, so of the many
        # uses of one consent only the first asks the HSM to open them. What may have changed since
        # (time, revocation, uses) is not in them, and is looked at each time.
        self._opened_sad = lru_cache(_REMEMBERED)(lambda token: sad.open_sad(self._node, token))
        self._opened_key = lru_cache(_REMEMBERED)(lambda sealed: _open_key(self._node, sealed))
        self.verbs: Mapping[str, Callable[[Arguments], Answer]] = {
            "challenge": self._challenge,
            "present": self._present,
            "activate": self._activate,
            "activate_all": self._activate_all,
            "sign": self._sign,
        }

    def _challenge(self, arguments: Arguments) -> Answer:
        request = _challenge_request(arguments)
        if request.expires_at_ms > self._clock.now_ms() + _LONGEST_CONSENT_MS:
            raise InvalidInput("expires too late", parameter="expires_at_ms")
        if request.hashes:
            check_digests(digest_named(request.hash_algorithm), request.hashes)
        bound = sad.Bound.from_request(request, self._clock.now_ms())
        return {
            "challenge": b64(sad.seal_challenge(self._node, bound)),
            "digest": b64(bound.digest()),
            "verification_code": bound.verification_code(),
        }

    def _present(self, arguments: Arguments) -> Answer:
        """What a SIM of the credential is asked to sign. Nothing is kept of it."""
        credential = open_live(self._node, self._revoked, arguments)
        bound = open_bound(self._node, arguments, credential, self._clock.now_ms())
        factor = credential.factor(text(arguments, "factor_id"))
        if not isinstance(factor, SimFactor):
            raise EvidenceInsufficient("not a SIM of this credential")
        if factor.id in self._revoked:
            raise FactorRevoked("on the revocation list")
        display_text, labels = text(arguments, "display_text", 239), texts(arguments, "labels")
        structure = self._evidence.sim.structure(bound, factor, display_text, labels)
        return {
            "mode": factor.mode,
            "structure": b64(structure.encoded),
            "digest": b64(structure.digest),
            "message": structure.message,
            "verification_code": bound.verification_code(),
            "certificate": b64(factor.certificate),
            "is_enough": any(set(kinds) <= {factor.kind} for kinds in credential.consent),
        }

    def _activate(self, arguments: Arguments) -> Answer:
        """The SAD, when the evidence satisfies the sealed factors."""
        # Step 2c: the signer's own evidence, checked where the keys are.
        now_ms = self._clock.now_ms()
        credential = open_live(self._node, self._revoked, arguments)
        bound = open_answerable(self._node, arguments, credential, now_ms)
        question = Question(credential, bound.digest(), now_ms, bound)
        consent, (token,) = self._consent(arguments, question, [bound])
        return {"sad": token, **consent}

    def _activate_all(self, arguments: Arguments) -> Answer:
        """A SAD for each challenge, when one evidence satisfies the factors for all of them.

        The evidence is about the digest of the challenges' digests, so it is for exactly these, in
        this order. Each SAD is as narrow as if it had been asked for alone. A SIM, which names one
        activation in what it signs, cannot answer this.
        """
        now_ms = self._clock.now_ms()
        credential = open_live(self._node, self._revoked, arguments)
        bounds = open_together(self._node, arguments, credential, now_ms)
        members = tuple(bound.digest().hex() for bound in bounds)
        # Every member's digest covers a nonce of the SAM, so theirs does.
        question = Question(credential, together(members), now_ms, members=members, has_nonce=True)
        consent, sads = self._consent(arguments, question, bounds)
        return {"sads": sads, "challenges": [bound.added() for bound in bounds], **consent}

    def _consent(
        self, arguments: Arguments, question: Question, bounds: list[sad.Bound]
    ) -> tuple[Answer, list[str]]:
        """What the evidence gives, and a SAD for each of ``bounds``."""
        verified = self._evidence.verify(read_evidence(arguments.get("evidence")), question)
        expires_at_ms = question.now_ms + self._sad_lifetime_ms
        given = (verified.digest.hex(), expires_at_ms, verified.factor_ids)
        rule_since_ms = question.credential.rule_since_ms
        sads = [sad.Sad(bound, *given, rule_since_ms) for bound in bounds]
        answer: Answer = {
            "expires_at_ms": expires_at_ms,
            "evidence_digest": b64(verified.digest),
            "evidence_statement": b64(verified.statement),
            **verified.code,
        }
        return answer, [b64(sad.seal_sad(self._node, each)) for each in sads]

    def _sign(self, arguments: Arguments) -> Answer:
        """Only what the SAD covers reaches the key, for as long as it takes."""
        # Step 4c: does the signer's consent cover exactly this?
        key = self._opened_key(binary(arguments, "sealed"))
        _check_live(key.credential_id, self._revoked)
        consent = self._opened_sad(binary(arguments, "sad"))
        sad.check_time(consent, self._clock.now_ms())
        _check_bound(consent.bound, key.credential_id, arguments)
        if any(factor_id in self._revoked for factor_id in consent.factor_ids):
            raise SadInvalid("given with a factor that was removed")
        if consent.rule_since_ms < self._revoked.rule_since(key.credential_id):
            raise SadInvalid("given by a rule of consent that was replaced")
        algorithm = algorithm_named(key.algorithm)
        no_params = arguments.get("sign_algo_params") is None
        scheme = resolve_scheme(
            algorithm,
            text(arguments, "sign_algo"),
            optional_text(arguments, "hash_algorithm_oid"),
            None if no_params else binary(arguments, "sign_algo_params"),
        )
        values = raw_digests(arguments)
        sad.check_use(consent, values, scheme.digest.name)
        check_digests(scheme.digest, values)
        if not consent.bound.hashes:
            self._journal.use_sad(
                consent.bound.nonce,
                {f"{scheme.digest.name}:{value.hex()}" for value in values},
                consent.bound.count,
                consent.expires_at_ms,
            )
        # Step 4d: unwrap, sign, verify, destroy.
        with self._node.activate(key.wrapped, algorithm, key.public) as active:
            signatures = active.sign_many(scheme, values)
        return {"signatures": [b64(value) for value in signatures], "node": self._node.name}


def together(members: Sequence[str]) -> bytes:
    """What a bound factor signs for several challenges at once: SHA-256 over all their digests.

    ``members``: the digests in hexadecimal, in order.
    """
    return hashlib.sha256(_TOGETHER_DOMAIN + strict_json.canonical(list(members))).digest()


def open_live(node: Node, revoked: RevocationList, arguments: Arguments) -> Credential:
    """The credential sealed in ``arguments``; ``RecordRevoked`` when it was destroyed."""
    credential = open_sealed(node, binary(arguments, "sealed"))
    _check_live(credential.credential_id, revoked)
    return credential


def _open_key(node: Node, sealed: bytes) -> _Key:
    found = open_sealed(node, sealed)
    return _Key(found.credential_id, found.algorithm, found.wrapped_key, found.public_key)


def _check_live(credential_id: str, revoked: RevocationList) -> None:
    if credential_id in revoked:
        raise RecordRevoked("credential was destroyed")


def open_bound(node: Node, arguments: Arguments, credential: Credential, now_ms: int) -> sad.Bound:
    """The challenge sealed in ``arguments``, when it is for ``credential`` and in its time."""
    bound = sad.open_challenge(node, binary(arguments, "challenge"), now_ms)
    if bound.credential_id != credential.credential_id:
        raise ChallengeInvalid("made for another credential")
    return bound


def open_answerable(
    node: Node, arguments: Arguments, credential: Credential, now_ms: int
) -> sad.Bound:
    """A challenge that this credential may be asked at all."""
    bound = open_bound(node, arguments, credential, now_ms)
    if bound.count > credential.multisign:
        raise TooManySignatures(f"{bound.count} of {credential.multisign}")
    # At SCAL1 there may be none. Where there are some, each is good for one signature, so more of
    # them than were counted would be more signatures than were asked for.
    if (bound.hashes or credential.scal == "2") and len(bound.hashes) != bound.count:
        raise ChallengeInvalid(f"{len(bound.hashes)} hashes for {bound.count} signatures")
    return bound


def open_together(
    node: Node, arguments: Arguments, credential: Credential, now_ms: int
) -> list[sad.Bound]:
    """The ``challenges`` of several activations, each as answerable as if it were alone."""
    tokens = texts(arguments, "challenges", _LONGEST_CHALLENGE)
    bounds = [open_answerable(node, {"challenge": token}, credential, now_ms) for token in tokens]
    if not _FEWEST <= len({bound.activation_id for bound in bounds}) == len(bounds):
        raise InvalidInput("not several activations", parameter="challenges")
    if len(bounds) > _MOST_TOGETHER:
        raise InvalidInput("too many at once", parameter="challenges")
    return bounds


def _check_bound(bound: sad.Bound, credential_id: str, arguments: Arguments) -> None:
    if (
        bound.credential_id != credential_id
        or bound.activation_id != arguments.get("activation_id")
        or bound.client_id != arguments.get("client_id")
    ):
        raise SadInvalid("for another credential, activation or client")


def _challenge_request(arguments: Arguments) -> ChallengeRequest:
    credential_id, activation_id = (
        text(arguments, "credential_id"),
        text(arguments, "activation_id"),
    )
    if not (is_id(credential_id) and is_id(activation_id)):
        raise InvalidInput("not an id", parameter="credential_id")
    count, expires_at_ms = arguments.get("count"), arguments.get("expires_at_ms")
    if type(count) is not int or not 1 <= count <= MOST_HASHES:
        raise InvalidInput("count", parameter="count")
    if type(expires_at_ms) is not int:
        raise InvalidInput("expires_at_ms", parameter="expires_at_ms")
    return ChallengeRequest(
        credential_id=credential_id,
        activation_id=activation_id,
        client_id=text(arguments, "client_id"),
        hash_algorithm=text(arguments, "hash_algorithm"),
        hashes=raw_digests(arguments),
        count=count,
        display_text=text(arguments, "display_text", _LONGEST_TEXT),
        expires_at_ms=expires_at_ms,
    )
