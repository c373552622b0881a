"""Labels, attributes and mechanisms of every key the service uses.

Defaults are never relied on: python-pkcs11 lets RSA keys decrypt and unwrap, EC keys derive, AES
keys wrap and decrypt, and SoftHSM lets private keys recover; all may be switched on later unless
the key is not modifiable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.constants import DEFAULT

from remote_signing.algorithms import ALGORITHMS, Algorithm
from remote_signing.errors import HsmFault
from remote_signing.sam.hsm.faults import faults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class WrappingKey(pkcs11.WrapMixin, pkcs11.UnwrapMixin, pkcs11.Key):
        """The type of a key that wraps and unwraps."""

    class SealingKey(Protocol):
        """The type of a key that encrypts and decrypts whole texts."""

        def encrypt(self, data: bytes, **parameters: object) -> bytes:
            """The ciphertext."""
            ...

        def decrypt(self, data: bytes, **parameters: object) -> bytes:
            """The plaintext."""
            ...

    class SigningKey(pkcs11.SignMixin, pkcs11.Key):
        """The type of a key that signs, or computes an HMAC."""


Template = dict[Attribute, Any]

_STAYING: Final[Template] = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
}

KEK, SEAL, SAD, MAC = "rs-kek", "rs-seal", "rs-sad", "rs-mac"
CANARY, ATTEST = "rs-canary", "rs-attest"
CA_ROOT, CA_ISSUING = "rs-ca-root", "rs-ca-issuing"
TRANSPORT, COUNTER = "rs-transport", "rs-revocation-counter"

WRAP: Final = Mechanism.AES_KEY_WRAP_PAD
# SoftHSM 2.6.1 knows OAEP with SHA-1 only. OAEP does not need a hash without collisions.
OAEP_PARAMETERS: Final[Any] = (Mechanism.SHA_1, pkcs11.MGF.SHA1, None)
TRANSPORT_BITS = 3072

REQUIRED_MECHANISMS: Final = frozenset(
    {
        "AES_GCM",
        "AES_KEY_GEN",
        "AES_KEY_WRAP_PAD",
        "ECDSA",
        "EC_KEY_PAIR_GEN",
        "GENERIC_SECRET_KEY_GEN",
        "RSA_PKCS",
        "RSA_PKCS_KEY_PAIR_GEN",
        "RSA_PKCS_OAEP",
        "RSA_PKCS_PSS",
        "SHA256_HMAC",
    }
)

_CAPABILITIES: Final = (
    (Attribute.ENCRYPT, MechanismFlag.ENCRYPT),
    (Attribute.DECRYPT, MechanismFlag.DECRYPT),
    (Attribute.WRAP, MechanismFlag.WRAP),
    (Attribute.UNWRAP, MechanismFlag.UNWRAP),
    (Attribute.SIGN, MechanismFlag.SIGN),
    (Attribute.DERIVE, MechanismFlag.DERIVE),
)


@dataclass(frozen=True, slots=True)
class ClusterKey:
    """One key that every node of the cluster holds. ``algorithm`` is for key pairs."""

    label: str
    kind: Literal["aes", "hmac", "ec"]
    use: MechanismFlag
    algorithm: Algorithm | None = None

    @property
    def object_class(self) -> ObjectClass:
        """The class of the object that must stay secret."""
        return ObjectClass.PRIVATE_KEY if self.algorithm else ObjectClass.SECRET_KEY

    @property
    def key_type(self) -> KeyType:
        """The PKCS#11 key type."""
        return _KEY_TYPES[self.kind]


_KEY_TYPES: Final = {"aes": KeyType.AES, "hmac": KeyType.GENERIC_SECRET, "ec": KeyType.EC}
_WRAPPING = MechanismFlag.WRAP | MechanismFlag.UNWRAP
_SEALING = MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT
_P256, _P384 = ALGORITHMS["p256"], ALGORITHMS["p384"]

CLUSTER_KEYS: Final[Mapping[str, ClusterKey]] = {
    key.label: key
    for key in (
        ClusterKey(KEK, "aes", _WRAPPING),
        ClusterKey(SEAL, "aes", _SEALING),
        ClusterKey(SAD, "aes", _SEALING),
        ClusterKey(MAC, "hmac", MechanismFlag.SIGN),
        ClusterKey(CANARY, "ec", MechanismFlag.SIGN, _P256),
        ClusterKey(ATTEST, "ec", MechanismFlag.SIGN, _P256),
        ClusterKey(CA_ROOT, "ec", MechanismFlag.SIGN, _P384),
        ClusterKey(CA_ISSUING, "ec", MechanismFlag.SIGN, _P384),
    )
}


@dataclass(frozen=True, slots=True)
class Templates:
    """Attributes as one token understands them.

    ``copyable``: it knows CKA_COPYABLE (PKCS#11 2.40). ``trusted``: its KEK has CKA_TRUSTED, which
    only a security officer can set (SoftHSM lets nobody), so keys may insist on such a KEK.
    """

    copyable: bool
    trusted: bool = False

    def staying(self) -> Template:
        """For keys that never leave the token."""
        return self._fixed(_STAYING)

    def unwrapping(self) -> Template:
        """For a private key that unwraps and nothing else, and never leaves the token."""
        return self._fixed(_STAYING | {Attribute.SIGN_RECOVER: False})

    def leaving(self) -> Template:
        """For session keys that will leave, wrapped."""
        return self._fixed(_STAYING | {Attribute.EXTRACTABLE: True})

    def leaving_signing(self) -> Template:
        """For a new private key that signs and nothing else, and will leave, wrapped."""
        return self._fixed(_STAYING | self._signing() | {Attribute.EXTRACTABLE: True})

    def unwrapped_signing(self) -> Template:
        """For an unwrapped private key that signs and nothing else.

        python-pkcs11 names capabilities that a private key cannot have; DEFAULT takes them out.
        """
        public = (Attribute.ENCRYPT, Attribute.WRAP, Attribute.VERIFY)
        return self._fixed(_STAYING | self._signing() | dict.fromkeys(public, DEFAULT))

    def _signing(self) -> Template:
        return {Attribute.SIGN_RECOVER: False, Attribute.WRAP_WITH_TRUSTED: self.trusted}

    def _fixed(self, template: Template) -> Template:
        # In this order: SoftHSM takes no further attribute once a key is not modifiable.
        copyable = {Attribute.COPYABLE: False} if self.copyable else {}
        return {**template, **copyable, Attribute.MODIFIABLE: False}


def knows(found: pkcs11.Object, attribute: Attribute) -> bool:
    """Whether the token has a value for ``attribute``."""
    try:
        found[attribute]
    except pkcs11.PKCS11Error:
        return False
    return True


def is_true(found: pkcs11.Object, attribute: Attribute) -> bool:
    """Whether the token knows ``attribute`` and holds it true."""
    return knows(found, attribute) and found[attribute] is True


def check_attributes(found: pkcs11.Object, what: str, expected: Mapping[Attribute, bool]) -> None:
    """``HsmFault`` unless the key has these attributes; one that the token lacks is false."""
    with faults(f"reading {what}"):
        held = found.get_attributes(list(expected))
    wrong = [each.name for each, value in expected.items() if held.get(each, False) is not value]
    if wrong:
        raise HsmFault(f"{what} has other attributes than asked for: {', '.join(wrong)}")


def kept_attributes(key: ClusterKey) -> dict[Attribute, bool]:
    """What a cluster key in a token must look like."""
    uses = {attribute: bool(key.use & flag) for attribute, flag in _CAPABILITIES}
    return uses | {
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.MODIFIABLE: False,
    }


TRANSPORT_ATTRIBUTES: Final[Mapping[Attribute, bool]] = {
    Attribute.LOCAL: True,
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
    Attribute.UNWRAP: True,
    Attribute.DECRYPT: False,
    Attribute.SIGN: False,
    Attribute.SIGN_RECOVER: False,
}

GENERATED_ATTRIBUTES: Final[Mapping[Attribute, bool]] = {
    Attribute.LOCAL: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.TOKEN: False,
    Attribute.SIGN: True,
    Attribute.SIGN_RECOVER: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
    Attribute.MODIFIABLE: False,
}
