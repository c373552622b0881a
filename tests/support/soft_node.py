"""A node in software for unit tests: the interface of ``sam.hsm.Node`` without a token.

What needs PKCS#11 (wrapping, sessions, faults) is tested on SoftHSM under tests/integration.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from remote_signing.errors import HsmUnavailable, SealBroken
from remote_signing.sam.cluster import attested

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from remote_signing.algorithms import Algorithm, SignatureScheme

_PUBLIC = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class Generated:
    wrapped: bytes
    public_key: bytes


class ActiveKey:
    def __init__(self, key: PrivateKeyTypes) -> None:
        self._key = key

    def private_key_for_csr(self) -> PrivateKeyTypes:
        return self._key

    def sign(self, scheme: SignatureScheme, digest: bytes) -> bytes:
        return self.sign_many(scheme, [digest])[0]

    def sign_many(self, scheme: SignatureScheme, digests: Sequence[bytes]) -> list[bytes]:
        prehashed = utils.Prehashed(scheme.digest.hash)
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return [self._key.sign(value, ec.ECDSA(prehashed)) for value in digests]
        assert isinstance(self._key, rsa.RSAPrivateKey)
        assert scheme.padding == "pkcs1"
        return [self._key.sign(value, padding.PKCS1v15(), prehashed) for value in digests]


@dataclass
class SoftNode:
    name: str = "soft"
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    attest_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    issuing_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP384R1())
    )
    keys: dict[bytes, PrivateKeyTypes] = field(default_factory=dict)
    count: int = 0
    certified: int = 0
    broken: bool = False

    def seal(self, domain: bytes, plaintext: bytes, associated: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(self._key(domain)).encrypt(nonce, plaintext, associated)

    def unseal(self, domain: bytes, sealed: bytes, associated: bytes) -> bytes:
        try:
            return AESGCM(self._key(domain)).decrypt(sealed[:12], sealed[12:], associated)
        except Exception as error:
            raise SealBroken("soft node") from error

    def mac(self, domain: bytes, data: bytes) -> bytes:
        return hmac.digest(self.secret, len(domain).to_bytes(2) + domain + data, "sha256")

    def attest(self, domain: bytes, data: bytes) -> bytes:
        return self.attest_key.sign(attested(domain, data), ec.ECDSA(hashes.SHA256()))

    def attest_public_key(self) -> bytes:
        return self.attest_key.public_key().public_bytes(*_PUBLIC)

    def authority_key(self, _label: str) -> ec.EllipticCurvePrivateKey:
        self.certified += 1
        return self.issuing_key

    def counter(self) -> int:
        return self.count

    def raise_counter(self, value: int) -> None:
        self.count = max(self.count, value)

    def generate(self, algorithm: Algorithm) -> Generated:
        key: PrivateKeyTypes = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm.kind == "ec"
            else rsa.generate_private_key(65537, algorithm.bits)
        )
        wrapped = secrets.token_bytes(16)
        self.keys[wrapped] = key
        return Generated(wrapped, key.public_key().public_bytes(*_PUBLIC))

    @contextmanager
    def activate(
        self, wrapped: bytes, _algorithm: Algorithm, _public_key: bytes
    ) -> Iterator[ActiveKey]:
        yield ActiveKey(self.keys[wrapped])

    def canary(self) -> None:
        if self.broken:
            raise HsmUnavailable("told to be broken")

    def _key(self, domain: bytes) -> bytes:
        return hashlib.sha256(self.secret + domain).digest()
