"""Officials choose their signing PIN: another one by the factors there are, or the first by order.

A choice has two steps, so that no crash leaves a credential without a PIN that works:

1. ``change_pin`` or ``choose_pin`` gives a record with the new PIN, which names the one that it
   replaces. Nothing is revoked: until that record is stored, the old one is good.
2. ``retire_pin``, asked with the stored record, puts the replaced PIN on the revocation list for
   ever. It may be asked as often as it takes. A new PIN that is used before that retires the old
   one by itself (:mod:`.factors`), whatever the rssp does. So ends a replaced rule of consent.

The first PIN needs both an order of the registration authority, which names the digest of a code,
and the code, which only the official was given; with it whatever else the record's rule asks for
beside a PIN. The order is about one PIN that is to be replaced: once that is retired, the order is
worth nothing, also for an older record.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from remote_signing import strict_json
from remote_signing.errors import EvidenceInsufficient, InvalidInput, OrderInvalid, PinRefused
from remote_signing.identifiers import is_id
from remote_signing.sam import orders, pin_rules
from remote_signing.sam.activation import open_live
from remote_signing.sam.arguments import binary, text
from remote_signing.sam.factors import (
    Question,
    pin_factor,
    pin_verifier,
    read_evidence,
    replaced,
)
from remote_signing.sam.sealed import PinFactor
from remote_signing.sap import b64
from remote_signing.sap_pins import code_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.clock import Clock
    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.config import SamConfig
    from remote_signing.sam.factors import EvidenceCheck
    from remote_signing.sam.sealed import Credential
    from remote_signing.sap import Evidence

_CHOICE = b"pin-choice"
_LONGEST_PIN = 64  # of what is looked at; the rules are narrower


class PinChoice:
    """The verbs of one worker by which a PIN is chosen."""

    def __init__(self, config: SamConfig, evidence: EvidenceCheck, clock: Clock) -> None:
        self._orders = orders.OrderBook(config.registration_keys)
        self._evidence = evidence
        self._node = evidence.node
        self._revoked = evidence.revoked
        self._clock = clock
        self.verbs: Mapping[str, Callable[[Arguments], Answer]] = {
            "change_pin": self._change,
            "choose_pin": self._choose,
            "retire_pin": self._retire,
        }

    def _change(self, arguments: Arguments) -> Answer:
        """A record with another PIN, by evidence of the factors there are, the PIN among them."""
        credential = open_live(self._node, self._revoked, arguments)
        evidence = read_evidence(arguments.get("evidence"))
        if not any(item["kind"] == "pin" for item in evidence):
            raise EvidenceInsufficient("a PIN is changed by who knows it")
        return self._replaced(arguments, credential, text(arguments, "factor_id"), evidence)

    def _choose(self, arguments: Arguments) -> Answer:
        """A record with the first PIN of the official's choice, by order and code.

        The code stands in the evidence for the PIN that is replaced.
        """
        order = self._orders.verified(arguments.get("order"), "choose_pin", self._clock.now_ms())
        credential = open_live(self._node, self._revoked, arguments)
        if order["credential_id"] != credential.credential_id:
            raise OrderInvalid("the order is for another credential")
        gone = credential.factor(orders.text(order, "replaces"))
        if not isinstance(gone, PinFactor) or gone.id in self._revoked:
            raise OrderInvalid("the PIN that was to be replaced is gone")
        owner, expected = credential.credential_id, orders.text(order, "code_sha256")
        stand_in = replace(gone, verifier=pin_verifier(self._node, owner, gone.id, expected))
        others = (each for each in credential.factors if each is not gone)
        asked = replace(credential, factors=(stand_in, *others))
        evidence = [
            _with_digest(item, owner) if item["factor_id"] == gone.id else item
            for item in read_evidence(arguments.get("evidence"))
        ]
        if not any(item["factor_id"] == gone.id for item in evidence):
            raise EvidenceInsufficient("an order alone chooses no PIN")
        factor_id = orders.text(order, "factor_id")
        return self._replaced(arguments, credential, factor_id, evidence, asked)

    def _replaced(
        self,
        arguments: Arguments,
        credential: Credential,
        factor_id: str,
        evidence: list[Evidence],
        asked: Credential | None = None,
    ) -> Answer:
        """The record with the new PIN; ``asked`` is what the evidence is judged by."""
        pin = text(arguments, "new_pin", _LONGEST_PIN)
        pin_rules.check(pin)
        if not is_id(factor_id) or credential.factor(factor_id) or factor_id in self._revoked:
            raise InvalidInput("factor_id is not a new id", parameter="factor_id")
        # Keyed, because PINs can be guessed. The same request again is the same question, and what
        # was typed for it is used up for nothing else.
        sealed = hashlib.sha256(binary(arguments, "sealed")).hexdigest()
        said = strict_json.canonical([sealed, factor_id, pin])
        digest = self._node.mac(_CHOICE, said)
        question = Question(asked or credential, digest, self._clock.now_ms())
        verified = self._evidence.verify(evidence, question)
        old = [factor for factor in credential.factors if isinstance(factor, PinFactor)]
        if any(self._is_pin(credential, factor, pin) for factor in old):
            raise PinRefused("the one there is", reason="same")
        owed = (each for factor in old for each in factor.replaces if each not in self._revoked)
        fresh = replace(
            pin_factor(self._node, credential.credential_id, factor_id, pin),
            replaces=(*(factor.id for factor in old), *owed),
        )
        kept = tuple(factor for factor in credential.factors if factor.kind != "pin")
        successor = credential.successor(factors=(fresh, *kept))
        return {
            "sealed": b64(successor.seal(self._node)),
            "version": successor.version,
            "factor_ids": [fresh.id],
            **verified.code,
        }

    def _is_pin(self, credential: Credential, factor: PinFactor, pin: str) -> bool:
        verifier = pin_verifier(self._node, credential.credential_id, factor.id, pin)
        return hmac.compare_digest(verifier, factor.verifier)

    def _retire(self, arguments: Arguments) -> Answer:
        """What the record's PIN and rule replaced is gone. Nothing else is asked: it says so."""
        credential = open_live(self._node, self._revoked, arguments)
        return {"number": self._revoked.add(replaced(credential, credential.factors))}


def _with_digest(item: Evidence, credential_id: str) -> Evidence:
    return cast("Evidence", {**item, "value": code_digest(credential_id, item["value"])})
