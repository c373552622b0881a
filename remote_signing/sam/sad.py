"""Challenges and signature activation data (SAD): what the signer is asked, and said yes to.

Both are sealed by a key in the HSM and carried by the rssp, so the SAM keeps no state of its own
for a running activation and any SAM host can take the next step. EN 419 241-2 asks that the SAD
binds the data to be signed, the authenticated signer and the signing key: here the ordered hash
list with its algorithm, the evidence digest, and the credential.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, cast

from remote_signing import strict_json
from remote_signing.errors import (
    ChallengeExpired,
    ChallengeInvalid,
    HashNotAuthorised,
    SadExpired,
    SadInvalid,
    SealBroken,
    TooManySignatures,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote_signing.sam.hsm import Node
    from remote_signing.sap import ChallengeRequest

_CHALLENGE = b"challenge"
_SAD = b"sad"
_DIGEST_DOMAIN = b"remote-signing/challenge/v1\0"


@dataclass(frozen=True, slots=True)
class Bound:
    """What an activation is about. ``hashes`` (hex) is empty only at SCAL1; times are ms."""

    activation_id: str
    credential_id: str
    client_id: str
    hash_algorithm: str
    hashes: tuple[str, ...]
    count: int
    display_sha256: str
    nonce: str
    not_before_ms: int
    expires_at_ms: int

    @classmethod
    def from_request(cls, request: ChallengeRequest, now_ms: int) -> Bound:
        """Bind what ``request`` names to a fresh 256-bit nonce."""
        return cls(
            activation_id=request.activation_id,
            credential_id=request.credential_id,
            client_id=request.client_id,
            hash_algorithm=request.hash_algorithm,
            hashes=tuple(value.hex() for value in request.hashes),
            count=request.count,
            display_sha256=hashlib.sha256(request.display_text.encode()).hexdigest(),
            nonce=secrets.token_hex(32),
            not_before_ms=now_ms,
            expires_at_ms=request.expires_at_ms,
        )

    def members(self) -> dict[str, object]:
        """What is sealed and hashed of it."""
        return {name: getattr(self, name) for name in _NAMES}

    def digest(self) -> bytes:
        """SHA-256 that a bound factor (passkey, SIM) signs. Its nonce makes it unpredictable."""
        return hashlib.sha256(_DIGEST_DOMAIN + strict_json.canonical(self.members())).digest()

    def added(self) -> dict[str, object]:
        """What the SAM added to the request: with it, anybody can compute :meth:`digest`."""
        return {
            "nonce": self.nonce,
            "display_sha256": self.display_sha256,
            "not_before_ms": self.not_before_ms,
            "expires_at_ms": self.expires_at_ms,
        }

    def verification_code(self) -> str:
        """Four digits that portal and phone show side by side."""
        return f"{int.from_bytes(hashlib.sha256(self.digest()).digest()[-2:]) % 10_000:04d}"


_NAMES = tuple(field.name for field in fields(Bound))


@dataclass(frozen=True, slots=True)
class Sad:
    """The signer's consent to ``bound``, valid until ``expires_at_ms``.

    ``factor_ids`` are those that gave it, ``rule_since_ms`` says by which rule they were enough:
    when one is removed, or the rule replaced, the consent goes with it.
    """

    bound: Bound
    evidence_digest: str
    expires_at_ms: int
    factor_ids: tuple[str, ...]
    rule_since_ms: int = 0


def seal_challenge(node: Node, bound: Bound) -> bytes:
    """The challenge token that comes back with the evidence."""
    return node.seal(_CHALLENGE, strict_json.canonical(bound.members()), b"")


def open_challenge(node: Node, token: bytes, now_ms: int) -> Bound:
    """The challenge in ``token``; ``ChallengeInvalid``, ``ChallengeExpired``."""
    try:
        bound = _bound(strict_json.loads_object(node.unseal(_CHALLENGE, token, b"")))
    except SealBroken as error:
        raise ChallengeInvalid("not sealed by this cluster") from error
    if bound.expires_at_ms <= now_ms:
        raise ChallengeExpired("challenge")
    return bound


def seal_sad(node: Node, sad: Sad) -> bytes:
    """The SAD as the rssp keeps it."""
    members = {
        "bound": sad.bound.members(),
        "evidence_digest": sad.evidence_digest,
        "expires_at_ms": sad.expires_at_ms,
        "factor_ids": sad.factor_ids,
        "rule_since_ms": sad.rule_since_ms,
    }
    return node.seal(_SAD, strict_json.canonical(members), b"")


def open_sad(node: Node, token: bytes) -> Sad:
    """The SAD in ``token``, whether or not its time is over; ``SadInvalid``."""
    try:
        members = strict_json.loads_object(node.unseal(_SAD, token, b""))
    except SealBroken as error:
        raise SadInvalid("not sealed by this cluster") from error
    return Sad(
        bound=_bound(cast("dict[str, strict_json.JsonValue]", members["bound"])),
        evidence_digest=cast("str", members["evidence_digest"]),
        expires_at_ms=cast("int", members["expires_at_ms"]),
        factor_ids=tuple(cast("list[str]", members["factor_ids"])),
        rule_since_ms=cast("int", members.get("rule_since_ms", 0)),
    )


def check_time(sad: Sad, now_ms: int) -> None:
    """``SadExpired`` when the time of ``sad`` is over."""
    if sad.expires_at_ms <= now_ms:
        raise SadExpired("SAD")


def check_use(sad: Sad, hashes: Sequence[bytes], hash_algorithm: str) -> None:
    """Refuse hashes that ``sad`` does not cover, each occurrence counted.

    Without authorised hashes (SCAL1) only the count binds, and the SAM's journal keeps it over
    all calls. Which occurrences of authorised hashes an earlier call has used is the rssp's
    record; here one call can never exceed what was consented to.
    """
    bound = sad.bound
    if not hashes or len(hashes) > bound.count:
        raise TooManySignatures(f"{len(hashes)} of {bound.count}")
    if not bound.hashes:
        return
    if hash_algorithm != bound.hash_algorithm:
        raise HashNotAuthorised("authorised under another digest algorithm")
    if Counter(value.hex() for value in hashes) - Counter(bound.hashes):
        raise HashNotAuthorised("not among the authorised hashes, or not so often")


def _bound(members: dict[str, strict_json.JsonValue]) -> Bound:
    return Bound(
        activation_id=cast("str", members["activation_id"]),
        credential_id=cast("str", members["credential_id"]),
        client_id=cast("str", members["client_id"]),
        hash_algorithm=cast("str", members["hash_algorithm"]),
        hashes=tuple(cast("list[str]", members["hashes"])),
        count=cast("int", members["count"]),
        display_sha256=cast("str", members["display_sha256"]),
        nonce=cast("str", members["nonce"]),
        # Absent in what was sealed before SIMs were asked; such a challenge is never put to one.
        not_before_ms=cast("int", members.get("not_before_ms", 0)),
        expires_at_ms=cast("int", members["expires_at_ms"]),
    )
