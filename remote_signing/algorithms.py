"""Algorithms: digests, signature schemes and key types with their OIDs, lengths and mechanisms.

Nothing else in the project knows an OID, a digest length or a mechanism name. A new algorithm
joins by one entry in :data:`DIGESTS` or :data:`ALGORITHMS`.

``SignatureScheme`` says how a digest of one ``signHash`` call is signed; :func:`resolve_scheme`
makes it from ``signAlgo``, ``hashAlgorithmOID`` and ``signAlgoParams`` (CSC API v2 cl. 11.10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives import hashes

from remote_signing.errors import (
    AlgorithmParametersInvalid,
    AlgorithmUnsupported,
    DigestLengthInvalid,
)
from remote_signing.pss import PssParameters, read_pss_parameters

Padding = Literal["pkcs1", "pss", "ecdsa"]


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest algorithm: ``length`` in bytes, ``hash`` for the software verification.

    ``digest_info`` is the DER in front of the digest in a PKCS#1 v1.5 block (RFC 8017 cl. 9.2).
    ``mechanism`` and ``mgf`` are PKCS#11 names for PSS; None where tokens have no PSS with it.
    """

    name: str
    oid: str
    length: int
    hash: hashes.HashAlgorithm
    digest_info: bytes
    mechanism: str | None = None
    mgf: str | None = None


def _digest_info(last_arc: int, length: int) -> bytes:
    """DigestInfo of the NIST hash 2.16.840.1.101.3.4.2.``last_arc`` with NULL parameters."""
    oid = bytes.fromhex("0609608648016503040200")[:-1] + bytes([last_arc])
    algorithm = b"\x30\x0d" + oid + b"\x05\x00"
    return bytes([0x30, len(algorithm) + 2 + length]) + algorithm + bytes([0x04, length])


_NIST_HASH = "2.16.840.1.101.3.4.2."
DIGESTS: dict[str, Digest] = {
    digest.name: digest
    for digest in (
        Digest(
            "sha256", _NIST_HASH + "1", 32, hashes.SHA256(), _digest_info(1, 32), "SHA256", "SHA256"
        ),
        Digest(
            "sha384", _NIST_HASH + "2", 48, hashes.SHA384(), _digest_info(2, 48), "SHA384", "SHA384"
        ),
        Digest(
            "sha512", _NIST_HASH + "3", 64, hashes.SHA512(), _digest_info(3, 64), "SHA512", "SHA512"
        ),
        Digest("sha512-256", _NIST_HASH + "6", 32, hashes.SHA512_256(), _digest_info(6, 32)),
        Digest("sha3-256", _NIST_HASH + "8", 32, hashes.SHA3_256(), _digest_info(8, 32)),
        Digest("sha3-384", _NIST_HASH + "9", 48, hashes.SHA3_384(), _digest_info(9, 48)),
        Digest("sha3-512", _NIST_HASH + "10", 64, hashes.SHA3_512(), _digest_info(10, 64)),
    )
}
_DIGEST_BY_OID = {digest.oid: digest for digest in DIGESTS.values()}


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """How one digest is signed. ``salt_length`` (bytes) is for PSS only."""

    padding: Padding
    digest: Digest
    salt_length: int = 0


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A key type of credentials: its size in bits and, for EC keys, the curve.

    ``sign_oids`` is ``key.algo`` of CSC ``credentials/info``: every accepted ``signAlgo``, the
    generic OID first, then those that name the digest, in a stable order.
    """

    name: str
    kind: Literal["rsa", "ec"]
    bits: int
    sign_oids: tuple[str, ...]
    curve: str | None = None
    curve_oid: str | None = None


RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
RSASSA_PSS = "1.2.840.113549.1.1.10"
EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_RSA_WITH = {
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "2.16.840.1.101.3.4.3.14": "sha3-256",
    "2.16.840.1.101.3.4.3.15": "sha3-384",
    "2.16.840.1.101.3.4.3.16": "sha3-512",
}
_ECDSA_WITH = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    "2.16.840.1.101.3.4.3.10": "sha3-256",
    "2.16.840.1.101.3.4.3.11": "sha3-384",
    "2.16.840.1.101.3.4.3.12": "sha3-512",
}
_RSA_OIDS = (RSA_ENCRYPTION, *_RSA_WITH, RSASSA_PSS)
_EC_OIDS = (EC_PUBLIC_KEY, *_ECDSA_WITH)

ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("rsa2048", "rsa", 2048, _RSA_OIDS),
        Algorithm("rsa3072", "rsa", 3072, _RSA_OIDS),
        Algorithm("rsa4096", "rsa", 4096, _RSA_OIDS),
        Algorithm("p256", "ec", 256, _EC_OIDS, "secp256r1", "1.2.840.10045.3.1.7"),
        Algorithm("p384", "ec", 384, _EC_OIDS, "secp384r1", "1.3.132.0.34"),
        Algorithm("p521", "ec", 521, _EC_OIDS, "secp521r1", "1.3.132.0.35"),
    )
}


def algorithm_named(name: str) -> Algorithm:
    """The key type called ``name``; ``AlgorithmUnsupported`` when there is none."""
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise AlgorithmUnsupported(f"no key algorithm {name!r}", parameter="algorithm")
    return algorithm


def digest_named(name: str) -> Digest:
    """The digest called ``name``; ``AlgorithmUnsupported`` when there is none."""
    digest = DIGESTS.get(name)
    if digest is None:
        raise AlgorithmUnsupported(f"no digest {name!r}", parameter="hashAlgorithmOID")
    return digest


def digest_by_oid(oid: str) -> Digest:
    """The digest of ``hashAlgorithmOID``; SHA-1 and SHA-224 are refused (TS 119 312)."""
    digest = _DIGEST_BY_OID.get(oid)
    if digest is None:
        raise AlgorithmUnsupported(f"no digest with OID {oid!r}", parameter="hashAlgorithmOID")
    return digest


def check_digests(digest: Digest, values: tuple[bytes, ...]) -> None:
    """Refuse a value that does not have the length of ``digest``.

    Tokens sign any length, even none (measured on SoftHSM), so this check stands in front of them.
    """
    for value in values:
        if len(value) != digest.length:
            raise DigestLengthInvalid(f"{len(value)} bytes for {digest.name}")


def implied_digest(sign_algo: str) -> Digest | None:
    """The digest that ``signAlgo`` fixes by itself, or None where another member must name it."""
    name = _RSA_WITH.get(sign_algo) or _ECDSA_WITH.get(sign_algo)
    return DIGESTS[name] if name else None


def known_sign_algorithm(sign_algo: str) -> bool:
    """Whether any key type accepts ``signAlgo``."""
    return sign_algo in _RSA_OIDS or sign_algo in _EC_OIDS


def resolve_scheme(
    algorithm: Algorithm,
    sign_algo: str,
    hash_algorithm_oid: str | None,
    sign_algo_params: bytes | None,
) -> SignatureScheme:
    """What ``signAlgo`` with its companions means for a key of type ``algorithm``.

    ``sign_algo_params`` is the DER of ``RSASSA-PSS-params`` (RFC 4055 cl. 3.1), for PSS only. A
    ``hashAlgorithmOID`` beside a ``signAlgo`` that fixes the digest is ignored, as CSC says.
    Errors: ``AlgorithmUnsupported`` (parameter ``signAlgo`` or ``hashAlgorithmOID``) and
    ``AlgorithmParametersInvalid``.
    """
    if sign_algo not in algorithm.sign_oids:
        raise AlgorithmUnsupported(f"{sign_algo!r} for {algorithm.name}", parameter="signAlgo")
    if sign_algo == RSASSA_PSS:
        return _resolve_pss(algorithm, hash_algorithm_oid, sign_algo_params)
    padding: Padding = "ecdsa" if algorithm.kind == "ec" else "pkcs1"
    implied = implied_digest(sign_algo)
    if implied is not None:
        return SignatureScheme(padding, implied)
    if hash_algorithm_oid is None:
        raise AlgorithmUnsupported("digest not named", parameter="hashAlgorithmOID", missing=True)
    return SignatureScheme(padding, digest_by_oid(hash_algorithm_oid))


def _resolve_pss(
    algorithm: Algorithm, hash_algorithm_oid: str | None, sign_algo_params: bytes | None
) -> SignatureScheme:
    if sign_algo_params is None:
        if hash_algorithm_oid is None:
            raise AlgorithmParametersInvalid("PSS without parameters and digest", missing=True)
        digest = digest_by_oid(hash_algorithm_oid)
        parameters = PssParameters(digest.oid, digest.oid, digest.length)
    else:
        parameters = read_pss_parameters(sign_algo_params)
        digest = digest_by_oid(parameters.digest_oid)
    _check_pss(algorithm, digest, parameters, hash_algorithm_oid)
    return SignatureScheme("pss", digest, parameters.salt_length)


def _check_pss(
    algorithm: Algorithm, digest: Digest, parameters: PssParameters, hash_algorithm_oid: str | None
) -> None:
    if digest.mgf is None:
        raise AlgorithmUnsupported(f"PSS with {digest.name}", parameter="hashAlgorithmOID")
    if hash_algorithm_oid is not None and hash_algorithm_oid != digest.oid:
        raise AlgorithmParametersInvalid("parameters name another digest than hashAlgorithmOID")
    if parameters.mgf_digest_oid != digest.oid:
        raise AlgorithmParametersInvalid("mask generation with another digest")
    # EMSA-PSS (RFC 8017 cl. 9.1.1): the block holds digest, salt and two bytes.
    longest = (algorithm.bits - 1 + 7) // 8 - digest.length - 2
    if not digest.length <= parameters.salt_length <= longest:
        raise AlgorithmParametersInvalid(f"salt of {parameters.salt_length} bytes")
