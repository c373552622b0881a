"""Keys in memory or in a file, for client assertions and DPoP proofs: the extra ``keys``.

    python -m remote_signing.client.keys portal.pem

writes the key set (JWK) that the service's operator registers.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from remote_signing.client.identity import b64url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.client.identity import SigningKey

_CURVES: dict[str, tuple[str, str, hashes.HashAlgorithm]] = {
    "secp256r1": ("ES256", "P-256", hashes.SHA256()),
    "secp384r1": ("ES384", "P-384", hashes.SHA384()),
    "secp521r1": ("ES512", "P-521", hashes.SHA512()),
}


@dataclass(frozen=True, slots=True)
class EcKey:
    """P-256, P-384 or P-521."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new key with P-256."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def algorithm(self) -> str:
        """``ES256``, ``ES384`` or ``ES512``."""
        return _CURVES[self.private.curve.name][0]

    @property
    def public_jwk(self) -> Mapping[str, str]:
        """RFC 7518 cl. 6.2: coordinates have the curve's full length."""
        point = self.private.public_key().public_numbers()
        crv = _CURVES[self.private.curve.name][1]
        size = self._size
        x, y = (b64url(value.to_bytes(size)) for value in (point.x, point.y))
        return {"kty": "EC", "crv": crv, "x": x, "y": y}

    def sign(self, data: bytes) -> bytes:
        """RFC 7518 cl. 3.4."""
        digest = _CURVES[self.private.curve.name][2]
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(self._size) + s.to_bytes(self._size)

    @property
    def _size(self) -> int:
        return (self.private.curve.key_size + 7) // 8


@dataclass(frozen=True, slots=True)
class RsaKey:
    """RSASSA-PSS with SHA-256, the only RSA that FAPI 2.0 leaves."""

    private: rsa.RSAPrivateKey = field(repr=False)
    algorithm: str = "PS256"

    @property
    def public_jwk(self) -> Mapping[str, str]:
        """RFC 7518 cl. 6.3."""
        numbers = self.private.public_key().public_numbers()
        n, e = (b64url(v.to_bytes((v.bit_length() + 7) // 8)) for v in (numbers.n, numbers.e))
        return {"kty": "RSA", "n": n, "e": e}

    def sign(self, data: bytes) -> bytes:
        """RFC 7518 cl. 3.5: the salt is as long as the digest."""
        digest = hashes.SHA256()
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return self.private.sign(data, pss, digest)


def read_key(path: Path, password: bytes | None = None) -> EcKey | RsaKey:
    """The private key in a PEM file. ``ValueError`` when it is none of the kinds above."""
    private = load_pem_private_key(path.read_bytes(), password)
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _CURVES:
        return EcKey(private)
    if isinstance(private, rsa.RSAPrivateKey):
        return RsaKey(private)
    raise ValueError(f"{path}: neither RSA nor ECDSA with P-256, P-384 or P-521")


def key_set(key: SigningKey) -> dict[str, list[dict[str, str]]]:
    """The public half as a JWK set (RFC 7517 cl. 5), to be registered with the service."""
    return {"keys": [{**key.public_jwk, "use": "sig", "alg": key.algorithm}]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(key_set(read_key(Path(sys.argv[1])))) + "\n")
