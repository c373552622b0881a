"""The signing key pair: made in the card, used in the card. Nothing here gives the key away."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from sim_adapter.ota.orders import KeyAlgorithm

_COORDINATE = 32
_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class KeyPair:
    """One key pair; ``sealable`` is for the card's own memory only."""

    def __init__(self, private: _PrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls, algorithm: KeyAlgorithm) -> KeyPair:
        """A new pair."""
        if algorithm is KeyAlgorithm.P256:
            return cls(ec.generate_private_key(ec.SECP256R1()))
        return cls(rsa.generate_private_key(65537, 2048))

    @classmethod
    def from_memory(cls, pkcs8: bytes) -> KeyPair:
        """The pair that the card's memory holds."""
        private = serialization.load_der_private_key(pkcs8, None)
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise TypeError("the card's memory holds another kind of key")
        return cls(private)

    def sealable(self) -> bytes:
        """PKCS#8, DER, for the sealed state file."""
        return self._private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, digest: bytes) -> bytes:
        """Sign a SHA-256 digest: r‖s for an elliptic curve, PKCS#1 v1.5 for RSA."""
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.sign(digest, padding.PKCS1v15(), Prehashed(SHA256()))
        der = self._private.sign(digest, ec.ECDSA(Prehashed(SHA256())))
        return b"".join(part.to_bytes(_COORDINATE, "big") for part in decode_dss_signature(der))
