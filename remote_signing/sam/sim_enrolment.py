"""A SIM becomes a factor: what the registration authority's order must say, and what is checked.

The authority pins one certificate; what it says of the certificate is checked here once more, so
that no record is sealed whose factor could never consent. The embedded authority certifies a SIM's
key only when the SIM has signed for it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from remote_signing.clock import as_datetime
from remote_signing.errors import InvalidInput, OrderInvalid
from remote_signing.sam import consent_structure, orders
from remote_signing.sam.sealed import SIM_MODES, USUAL_CONSENT, SimFactor
from remote_signing.sam.sim_signature import RAW_FORMATS, load_key, verifies
from remote_signing.sam.sim_trust import LONGEST_CHAIN, Untrusted
from remote_signing.sap import unb64

if TYPE_CHECKING:
    from remote_signing.sam.orders import Members
    from remote_signing.sam.sealed import Consent
    from remote_signing.sam.sim_trust import SimTrust
    from remote_signing.strict_json import JsonValue

_KINDS = frozenset({"pin", "totp", "sim", "passkey"})
_MOST_SETS = 4
_LONGEST_CERTIFICATE = 8 * 1024
_LONGEST_SIGNATURE = 1024
_NONCE_DIGITS = 64


def sim_factor(item: Members, factor_id: str, trust: SimTrust | None, now_ms: int) -> SimFactor:
    """The factor that an order's ``item`` describes; ``OrderInvalid`` when it could not be used."""
    if trust is None:
        raise OrderInvalid("this SAM is not configured for SIM factors")
    mode, chain = item.get("mode"), item.get("chain")
    known = next((one for one in SIM_MODES if one == mode), None)
    if known is None:
        raise OrderInvalid("no such mode of a SIM")
    if not isinstance(chain, list) or len(chain) > LONGEST_CHAIN:
        raise OrderInvalid("chain is not a short list")
    certificate = _certificate(item.get("certificate"))
    factor = SimFactor(factor_id, certificate, tuple(_certificate(one) for one in chain), known)
    try:
        trust.path(factor.certificate, factor.chain, as_datetime(now_ms))
    except Untrusted as error:
        raise OrderInvalid(f"SIM certificate: {error}") from None
    return factor


def consent_rule(order: Members, scal: str) -> Consent | None:
    """Which sets of factors are enough, as the order says; None when it says nothing.

    At SCAL2 each set must hold one of the usual ones: a rule can ask for more, never for less.
    """
    rule = order.get("consent")
    if rule is None:
        return None
    if not isinstance(rule, list) or not 0 < len(rule) <= _MOST_SETS:
        raise OrderInvalid("consent is not a short list")
    sets = tuple(_kinds(kinds) for kinds in rule)
    usual = USUAL_CONSENT[scal]
    if not all(any(set(least) <= set(kinds) for least in usual) for kinds in sets):
        raise OrderInvalid("consent asks for less than the credential's assurance")
    return sets


def check_possession(order: Members, public_key: bytes, possession: JsonValue) -> None:
    """Refuse a key that no SIM has signed for, with the nonce and credential of this ``order``."""
    if order.get("public_key_sha256") != hashlib.sha256(public_key).hexdigest():
        raise OrderInvalid("the order is for another key")
    nonce = _nonce(orders.text(order, "possession_nonce"))
    if not isinstance(possession, dict) or set(possession) != {"format", "value"}:
        raise InvalidInput("possession", parameter="possession")
    signature = unb64(possession["value"], "possession")
    form = next((one for one in RAW_FORMATS if one == possession["format"]), None)
    if form is None or len(signature) > _LONGEST_SIGNATURE:
        raise InvalidInput("possession", parameter="possession")
    key = load_key(public_key)
    if key is None:
        raise InvalidInput("not a key that a SIM may sign with", parameter="public_key")
    said = consent_structure.possession(orders.text(order, "credential_id"), nonce, public_key)
    if not verifies(key, form, signature, said):
        raise OrderInvalid("the SIM has not signed for this key")


def _nonce(digits: str) -> bytes:
    if len(digits) != _NONCE_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise OrderInvalid("possession_nonce is not 64 hex digits")
    return bytes.fromhex(digits)


def _kinds(value: JsonValue) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise OrderInvalid("a set of factors is not a list")
    kinds = [kind for kind in value if isinstance(kind, str) and kind in _KINDS]
    if not kinds or len(set(kinds)) != len(value):
        raise OrderInvalid("a set of factors")
    return tuple(kinds)


def _certificate(value: JsonValue) -> bytes:
    try:
        encoded = unb64(value, "certificate")
    except InvalidInput as error:
        raise OrderInvalid("a certificate is not base64") from error
    if len(encoded) > _LONGEST_CERTIFICATE:
        raise OrderInvalid("a certificate is too long")
    return encoded
