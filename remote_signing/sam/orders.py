"""Registration-authority orders: who may have a credential, a certificate, another factor.

An order is canonical JSON signed with Ed25519 by a key whose public part is pinned in the SAM's
configuration, so that whoever takes over the rssp cannot enrol a phone of his own. An order is for
one credential, lives ten minutes at most (one that waits for an official to choose a PIN, two
weeks), and repeating it gains nothing: ids it names are used once (a removed factor's id is on the
revocation list for ever), ``if_version`` ties a change of factors to the record it was meant for,
and what would work twice is known by the order (:func:`fingerprint`): ``certify`` by the serial
number that it gives, ``unlock`` by the record that names it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from remote_signing import strict_json
from remote_signing.errors import InvalidInput, OrderExpired, OrderInvalid
from remote_signing.identifiers import is_id
from remote_signing.sap import unb64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.strict_json import JsonValue

_LONGEST_MS = 10 * 60 * 1000
# What waits for an official with a code. It changes nothing without that (:mod:`.pin_choice`).
_LONGEST_OF = {"choose_pin": 14 * 24 * 60 * 60 * 1000}
_CLOCK_SKEW_MS = 60 * 1000

Members = dict[str, "JsonValue"]


class OrderBook:
    """Checks orders against the pinned registration-authority keys (key id → raw public key)."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {name: Ed25519PublicKey.from_public_bytes(raw) for name, raw in keys.items()}

    def verified(self, order: object, kind: str, now_ms: int) -> Members:
        """The members of a valid order of that kind; ``OrderInvalid``, ``OrderExpired``."""
        if not isinstance(order, dict):
            raise OrderInvalid("no order")
        try:
            payload = unb64(order.get("payload"), "payload")
            signature = unb64(order.get("signature"), "signature")
            members = strict_json.loads_object(payload)
        except InvalidInput as error:
            raise OrderInvalid("malformed") from error
        self._check_signature(members.get("ra_key"), payload, signature)
        if members.get("kind") != kind:
            raise OrderInvalid(f"an order to {members.get('kind')}, not to {kind}")
        if not is_id(text(members, "credential_id")):
            raise OrderInvalid("credential_id is no id")
        _check_time(members, now_ms, _LONGEST_OF.get(kind, _LONGEST_MS))
        return members

    def _check_signature(self, name: JsonValue, payload: bytes, signature: bytes) -> None:
        key = self._keys.get(name) if isinstance(name, str) else None
        if key is None:
            raise OrderInvalid("not of a pinned registration authority")
        try:
            key.verify(signature, payload)
        except InvalidSignature:
            raise OrderInvalid("signature does not verify") from None


def fingerprint(order: object) -> str:
    """What a verified order is known by: the bytes that were signed, however they were written."""
    payload = unb64(cast("Members", order)["payload"], "payload")
    return hashlib.sha256(payload).hexdigest()[:32]


def text(members: Members, name: str, longest: int = 200) -> str:
    """A string member; ``OrderInvalid`` when missing, empty or too long."""
    value = members.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise OrderInvalid(f"{name} is not a string of 1 to {longest} characters")
    return value


def integer(members: Members, name: str, lowest: int, highest: int) -> int:
    """An integer member within bounds; ``OrderInvalid`` otherwise."""
    value = members.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise OrderInvalid(f"{name} is not an integer from {lowest} to {highest}")
    return value


def binary(members: Members, name: str) -> bytes:
    """A base64 member; ``OrderInvalid`` otherwise."""
    try:
        return unb64(members.get(name), name)
    except InvalidInput as error:
        raise OrderInvalid(f"{name} is not base64") from error


def _check_time(members: Members, now_ms: int, longest_ms: int) -> None:
    issued = integer(members, "issued_at_ms", 0, 2**52)
    expires = integer(members, "expires_at_ms", 0, 2**52)
    if not 0 < expires - issued <= longest_ms:
        raise OrderInvalid("lives longer than such an order may")
    if issued > now_ms + _CLOCK_SKEW_MS or expires <= now_ms:
        raise OrderExpired("outside its time")
