"""Keys in a token that ``cryptography``'s builders (certificates, requests, CRLs) can sign with.

The builders ask a key for its kind, its public key and ``sign(data, …)``. All else refuses: there
is nothing of the private key on this side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from remote_signing.algorithms import SignatureScheme, digest_named
from remote_signing.errors import AlgorithmUnsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
    from cryptography.utils import Buffer

    from remote_signing.algorithms import Padding

    SignDigest = Callable[[SignatureScheme, bytes], bytes]


def _stays(*_arguments: object, **_named: object) -> NoReturn:
    """Refuse: the key stays in its token."""
    raise TypeError("the private key stays in its token")


def _sign(
    sign_digest: SignDigest,
    scheme_padding: Padding,
    data: Buffer,
    algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
) -> bytes:
    if not isinstance(algorithm, hashes.HashAlgorithm):
        raise AlgorithmUnsupported("builders sign data, not digests")
    scheme = SignatureScheme(scheme_padding, digest_named(algorithm.name))
    hasher = hashes.Hash(algorithm)
    hasher.update(data)
    return sign_digest(scheme, hasher.finalize())


class EcKeyInToken(ec.EllipticCurvePrivateKey):
    """An EC key; ``sign_digest`` signs in the token and verifies."""

    def __init__(self, public: ec.EllipticCurvePublicKey, sign_digest: SignDigest) -> None:
        self._public = public
        self._sign_digest = sign_digest

    @property
    def curve(self) -> ec.EllipticCurve:
        """The key's curve."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Bits."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public key."""
        return self._public

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA over the hash of ``data``, DER."""
        return _sign(self._sign_digest, "ecdsa", data, signature_algorithm.algorithm)

    exchange = private_numbers = private_bytes = __copy__ = __deepcopy__ = _stays


class RsaKeyInToken(rsa.RSAPrivateKey):
    """An RSA key; ``sign_digest`` signs in the token and verifies."""

    def __init__(self, public: rsa.RSAPublicKey, sign_digest: SignDigest) -> None:
        self._public = public
        self._sign_digest = sign_digest

    @property
    def key_size(self) -> int:
        """Bits."""
        return self._public.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """The public key."""
        return self._public

    def sign(
        self,
        data: Buffer,
        padding: padding.AsymmetricPadding,
        algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
    ) -> bytes:
        """PKCS#1 v1.5 over the hash of ``data``."""
        if padding.name != "EMSA-PKCS1-v1_5":
            raise AlgorithmUnsupported(f"builders sign with PKCS#1 v1.5, not {padding.name}")
        return _sign(self._sign_digest, "pkcs1", data, algorithm)

    decrypt = private_numbers = private_bytes = __copy__ = __deepcopy__ = _stays
