"""Object identifiers on the wire, and which one signs a digest with a key (CSC API v2.2 cl. 9)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SHA256: Final = "2.16.840.1.101.3.4.2.1"
SHA384: Final = "2.16.840.1.101.3.4.2.2"
SHA512: Final = "2.16.840.1.101.3.4.2.3"
ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"

DIGESTS: Final = {"sha256": SHA256, "sha384": SHA384, "sha512": SHA512}
"""hashlib's name → OID."""

# Digest → with ECDSA, with RSA PKCS#1 v1.5; both name their digest.
_SIGNS: Final = {
    "sha256": (ECDSA_SHA256, "1.2.840.113549.1.1.11"),
    "sha384": ("1.2.840.10045.4.3.3", "1.2.840.113549.1.1.12"),
    "sha512": ("1.2.840.10045.4.3.4", "1.2.840.113549.1.1.13"),
}


def digest(name: str, data: bytes) -> bytes:
    """The digest of ``data``; ``ValueError`` for an algorithm that documents are not made with."""
    if name not in DIGESTS:
        raise ValueError(f"{name}: one of {', '.join(DIGESTS)}")
    return hashlib.new(name, data).digest()


def sign_algorithm(key_algorithms: Sequence[str], name: str) -> str:
    """Of what a credential's key can do, the algorithm that signs digests of that name."""
    found = next((oid for oid in _SIGNS.get(name, ()) if oid in key_algorithms), None)
    if found is None:
        raise ValueError(f"the key signs no digests of {name}")
    return found
