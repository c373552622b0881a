"""Check values: nodes show that they hold the same keys, without any key leaving.

SoftHSM gives no CKA_CHECK_VALUE for most keys, and only three bytes of one. Each value here is the
first eight bytes of SHA-256 over something that only the key can make, always the same:

    wrapping key     a fixed, public key wrapped (AES key wrap is deterministic)
    sealing key      a fixed text in GCM, under a nonce that is used for nothing else
    HMAC key         the HMAC of a fixed text
    key pair         its public key; a test signature shows that the private one belongs to it
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, cast

from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass

from remote_signing.algorithms import DIGESTS, SignatureScheme
from remote_signing.sam.hsm.faults import faults
from remote_signing.sam.hsm.templates import WRAP

if TYPE_CHECKING:
    import pkcs11

    from remote_signing.sam.hsm.session import TokenSession
    from remote_signing.sam.hsm.signing import ActiveKey
    from remote_signing.sam.hsm.templates import (
        ClusterKey,
        SealingKey,
        SigningKey,
        Templates,
        WrappingKey,
    )

_TEXT = b"remote-signing/check-value/v1"
_FIXED_KEY = hashlib.sha256(_TEXT).digest()
# Random nonces meet this one as rarely as each other.
_RESERVED_NONCE = b"\xff" * 12
_LENGTH = 8
_ECDSA = SignatureScheme("ecdsa", DIGESTS["sha256"])


def short(value: bytes) -> str:
    """A check value of ``value``: 16 hexadecimal digits."""
    return hashlib.sha256(value).digest()[:_LENGTH].hex()


def wrapping_key_value(session: TokenSession, templates: Templates, key: WrappingKey) -> str:
    """The check value of a key that wraps."""
    template: dict[Attribute, Any] = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.TOKEN: False,
        **templates.leaving(),
        Attribute.VALUE: _FIXED_KEY,
    }
    with faults("wrapping the fixed key"):
        fixed = session.raw.create_object(template)
        try:
            return short(key.wrap_key(cast("pkcs11.Key", fixed), mechanism=WRAP))
        finally:
            fixed.destroy()


def secret_key_value(
    session: TokenSession, templates: Templates, key: ClusterKey, found: pkcs11.Key
) -> str:
    """The check value of a secret key of the cluster."""
    if key.use & MechanismFlag.WRAP:
        return wrapping_key_value(session, templates, cast("WrappingKey", found))
    with faults(f"check value of {key.label}"):
        if key.kind == "hmac":
            mac = cast("SigningKey", found)
            return short(mac.sign(_TEXT, mechanism=Mechanism.SHA256_HMAC))
        sealing = cast("SealingKey", found)
        parameters = GCMParams(_RESERVED_NONCE)
        return short(
            sealing.encrypt(_TEXT, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
        )


def key_pair_value(public_key: bytes, active: ActiveKey) -> str:
    """The check value of a key pair; ``SignatureFault`` when private and public do not match."""
    prove(active)
    return short(public_key)


def prove(active: ActiveKey) -> None:
    """Sign random data and verify it in software."""
    active.sign(_ECDSA, secrets.token_bytes(_ECDSA.digest.length))
