"""Officials add and remove passkeys, with evidence of the factors they have (docs/passkeys.md).

A change begins with a token: the SAM's nonce for one factor id of one credential, for five minutes.
To add a passkey, the authenticator answers the token's challenge, and the factors that were there
before consent to exactly this new key. It counts only after its cool-off, by the SAM's clock: the
time in which whoever holds the old factors hears of it. To remove one, the factors that stay
consent, so nobody removes what he cannot do without.

Each verb may be asked again when its answer was lost: evidence that was used for the same change is
the same evidence, and the factor's id is the token's.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final, cast

from remote_signing import strict_json
from remote_signing.errors import (
    ChallengeExpired,
    ChallengeInvalid,
    InvalidInput,
    PasskeyRefused,
    PasskeyUnknown,
    SealBroken,
)
from remote_signing.identifiers import is_id
from remote_signing.sam.activation import open_bound, open_live, open_together, together
from remote_signing.sam.arguments import text
from remote_signing.sam.factors import Question, read_evidence
from remote_signing.sam.passkeys import Place, name_of, read_made, user_handle
from remote_signing.sam.sealed import PasskeyFactor
from remote_signing.sap import b64, unb64
from remote_signing.webauthn import ALGORITHMS, spki

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.clock import Clock
    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.config import PasskeyConfig
    from remote_signing.sam.factors import EvidenceCheck, Verified
    from remote_signing.sam.sealed import Credential

MOST_PASSKEYS: Final = 8  # of one credential
_TOKEN_MS = 5 * 60 * 1000
_TOKEN = b"passkey-change"
_CHALLENGE_DOMAIN = b"remote-signing/passkey-change/v1\0"
_CONFIRM_DOMAIN = b"remote-signing/passkey-confirm/v1\0"
_BIND, _DROP = "bind", "drop"

Token = dict[str, "strict_json.JsonValue"]


class PasskeyEnrolment:
    """The verbs of one worker that are about passkeys."""

    def __init__(self, evidence: EvidenceCheck, clock: Clock) -> None:
        self._evidence = evidence
        self._node = evidence.node
        self._revoked = evidence.revoked
        self._passkeys = evidence.passkeys
        self._clock = clock
        self.verbs: Mapping[str, Callable[[Arguments], Answer]] = {
            "ask_passkey": self._ask,
            "ask_passkey_all": self._ask_all,
            "begin_passkey": self._begin,
            "confirm_passkey": self._confirm,
            "bind_passkey": self._bind,
            "check_drop": self._check_drop,
            "drop_passkey": self._drop,
        }

    def _ask(self, arguments: Arguments) -> Answer:
        """What the passkeys of the credential are asked for a signature. Nothing is kept of it."""
        credential = self._live(arguments)
        bound = open_bound(self._node, arguments, credential, self._clock.now_ms())
        return self._question(credential, bound.digest())

    def _ask_all(self, arguments: Arguments) -> Answer:
        """The same for several challenges at once, which ``activate_all`` takes the answer to."""
        credential = self._live(arguments)
        bounds = open_together(self._node, arguments, credential, self._clock.now_ms())
        return self._question(credential, together([bound.digest().hex() for bound in bounds]))

    def _begin(self, arguments: Arguments) -> Answer:
        """A token for one change, and what goes with it to the browser."""
        credential, config = self._live(arguments), self._config()
        purpose, factor_id = text(arguments, "purpose"), text(arguments, "factor_id")
        if purpose == _BIND:
            self._check_bindable(credential, factor_id)
        elif purpose == _DROP:
            _passkey(credential, factor_id)
        else:
            raise InvalidInput("no such purpose", parameter="purpose")
        token: Token = {
            "credential_id": credential.credential_id,
            "factor_id": factor_id,
            "purpose": purpose,
            "nonce": secrets.token_hex(32),
            "expires_at_ms": self._clock.now_ms() + _TOKEN_MS,
        }
        return {
            "token": b64(self._node.seal(_TOKEN, strict_json.canonical(token), b"")),
            "challenge": b64(_challenge(token)),
            "rp_id": config.rp_id,
            "user_handle": b64(user_handle(credential.credential_id)),
            "algorithms": list(ALGORITHMS),
            "known": [name_of(each) for each in _passkeys(credential)],
            "expires_at_ms": token["expires_at_ms"],
        }

    def _confirm(self, arguments: Arguments) -> Answer:
        """What the passkeys there are sign to let in the new one that is shown."""
        credential = self._live(arguments)
        _, digest = self._taken(arguments, credential)
        return self._question(credential, digest)

    def _bind(self, arguments: Arguments) -> Answer:
        """The record with the new passkey, when the factors from before consent to it."""
        credential = self._live(arguments)
        factor, digest = self._taken(arguments, credential)
        verified = self._verify(arguments, credential, digest)
        successor = credential.successor(factors=(*credential.factors, factor))
        return {
            "sealed": b64(successor.seal(self._node)),
            "version": successor.version,
            "factor_id": factor.id,
            "passkey_id": b64(factor.credential_id),
            "public_key": b64(spki(factor.public_key)),
            "aaguid": b64(factor.aaguid),
            "is_eligible": factor.is_eligible,
            "usable_from_ms": factor.usable_from_ms,
            **verified.code,
        }

    def _check_drop(self, arguments: Arguments) -> Answer:
        """The code by which the factors that stay consent; nothing is removed by that."""
        _, _, verified = self._left(arguments)
        return dict(verified.code)

    def _drop(self, arguments: Arguments) -> Answer:
        """The record without the passkey, for ever, when the factors that stay consent."""
        gone, successor, verified = self._left(arguments)
        # On the list first: a crash in between leaves a record whose factor is refused.
        self._revoked.add([gone.id])
        self._passkeys.counters.forget(gone.id)
        sealed = b64(successor.seal(self._node))
        return {"sealed": sealed, "version": successor.version, **verified.code}

    def _left(self, arguments: Arguments) -> tuple[PasskeyFactor, Credential, Verified]:
        """The passkey that is to go, what stays without it, and how that consents."""
        credential = self._live(arguments)
        token = self._opened(arguments.get("token"), credential, _DROP)
        gone = _passkey(credential, cast("str", token["factor_id"]))
        kept = tuple(factor for factor in credential.factors if factor is not gone)
        successor = credential.successor(factors=kept)
        return gone, successor, self._verify(arguments, successor, _challenge(token))

    def _live(self, arguments: Arguments) -> Credential:
        return open_live(self._node, self._revoked, arguments)

    def _config(self) -> PasskeyConfig:
        if self._passkeys.config is None:
            raise PasskeyUnknown("this SAM is not configured for passkeys")
        return self._passkeys.config

    def _question(self, credential: Credential, digest: bytes) -> Answer:
        rp_id, now_ms = self._config().rp_id, self._clock.now_ms()
        asked = [
            name_of(each)
            for each in _passkeys(credential)
            if each.usable_from_ms <= now_ms
            and each.rp_id == rp_id
            and each.id not in self._revoked
        ]
        if not asked:
            raise PasskeyUnknown("no passkey of this credential counts now")
        return {"challenge": b64(digest), "rp_id": rp_id, "passkeys": asked}

    def _check_bindable(self, credential: Credential, factor_id: str) -> None:
        if self._config().registration == "order":
            raise PasskeyRefused("only the registration authority may", reason="by_order")
        if not any("passkey" in kinds for kinds in credential.consent):
            raise PasskeyRefused("the record's rule names no passkey", reason="by_rule")
        if len(_passkeys(credential)) >= MOST_PASSKEYS:
            raise PasskeyRefused("as many as there may be", reason="too_many")
        if not is_id(factor_id) or credential.factor(factor_id) or factor_id in self._revoked:
            raise InvalidInput("factor_id is not a new id", parameter="factor_id")

    def _opened(self, value: strict_json.JsonValue, credential: Credential, purpose: str) -> Token:
        """The token of such a change; ``ChallengeInvalid``, ``ChallengeExpired``."""
        try:
            opened = self._node.unseal(_TOKEN, unb64(value, "token"), b"")
        except SealBroken as error:
            raise ChallengeInvalid("a token that is not of this cluster") from error
        token = strict_json.loads_object(opened)
        if (token["credential_id"], token["purpose"]) != (credential.credential_id, purpose):
            raise ChallengeInvalid("a token for something else")
        if cast("int", token["expires_at_ms"]) <= self._clock.now_ms():
            raise ChallengeExpired("token of a passkey")
        return token

    def _taken(self, arguments: Arguments, credential: Credential) -> tuple[PasskeyFactor, bytes]:
        """The new passkey, and what the factors from before consent to: exactly it, and now."""
        given = arguments.get("passkey")
        if not isinstance(given, dict):
            raise InvalidInput("passkey is not an object", parameter="passkey")
        token = self._opened(given.get("token"), credential, _BIND)
        factor_id, challenge = cast("str", token["factor_id"]), _challenge(token)
        self._check_bindable(credential, factor_id)
        made = read_made(given)
        place = Place(factor_id, challenge, credential.scal, self._clock.now_ms())
        factor = self._passkeys.take(made, place)
        if any(factor.credential_id == each.credential_id for each in _passkeys(credential)):
            raise PasskeyRefused("is one of the credential's already", reason="known")
        said = [
            credential.version,
            challenge.hex(),
            hashlib.sha256(made.attestation_object).hexdigest(),
        ]
        return factor, hashlib.sha256(_CONFIRM_DOMAIN + strict_json.canonical(said)).digest()

    def _verify(self, arguments: Arguments, credential: Credential, digest: bytes) -> Verified:
        evidence = read_evidence(arguments.get("evidence"))
        question = Question(credential, digest, self._clock.now_ms(), has_nonce=True)
        return self._evidence.verify(evidence, question)


def _challenge(token: Token) -> bytes:
    return hashlib.sha256(_CHALLENGE_DOMAIN + strict_json.canonical(token)).digest()


def _passkeys(credential: Credential) -> list[PasskeyFactor]:
    return [factor for factor in credential.factors if isinstance(factor, PasskeyFactor)]


def _passkey(credential: Credential, factor_id: str) -> PasskeyFactor:
    factor = credential.factor(factor_id)
    if not isinstance(factor, PasskeyFactor):
        raise PasskeyUnknown("no such passkey of this credential")
    return factor
