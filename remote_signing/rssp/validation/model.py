"""What the readers of formats tell the judge. Everything here can be pickled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from remote_signing.errors import DocumentUnusable

if TYPE_CHECKING:
    from datetime import datetime

Main: TypeAlias = Literal["TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE"]
Untyped: TypeAlias = Any
"""A value of asn1crypto, pyHanko or lxml, which have no types for what is inside."""
StampKind: TypeAlias = Literal["content", "signature", "archive", "document"]

# Raised by the libraries beneath on what a stranger has bent: their own errors are ValueErrors or
# named where they are caught; these come from deep inside their parsers.
BROKEN = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(RuntimeError, AssertionError, OSError, ArithmeticError, StopIteration),
)


def unusable(reason: str, cause: str = "") -> DocumentUnusable:
    """No report can be made; ``reason`` is a stable name (docs/validate.md)."""
    return DocumentUnusable(cause or reason, reason=reason)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a signature does not pass: a sub-indication of EN 319 102-1, and a name of our own."""

    sub: str
    reason: str

    @property
    def main(self) -> Main:
        """The indication that ``sub`` belongs to (EN 319 102-1 table 5 and 6)."""
        return "TOTAL-FAILED" if self.sub in _FAILURES else "INDETERMINATE"


_FAILURES = {"FORMAT_FAILURE", "HASH_FAILURE", "SIG_CRYPTO_FAILURE", "REVOKED", "NOT_YET_VALID"}


class Content(Protocol):
    """What a signature or a time stamp is over, as far as it can be had."""

    def digest(self, algorithm: str) -> bytes:
        """Its digest; ``algorithm`` is a name such as ``sha256``. ``ValueError``: unknown."""


@dataclass(frozen=True, slots=True)
class Octets:
    """Content that is in memory."""

    value: bytes

    def digest(self, algorithm: str) -> bytes:
        """As :class:`Content`."""
        return hashlib.new(hashlib_name(algorithm), self.value).digest()


def hashlib_name(algorithm: str) -> str:
    """The name that hashlib has for a digest. ``ValueError`` for one that is not computed here."""
    if algorithm.replace("-", "_") not in DIGESTS:
        raise ValueError(f"no digest {algorithm[:40]!r}")
    return algorithm.replace("-", "_")


STRONG = frozenset({"sha256", "sha384", "sha512", "sha512_256", "sha3_256", "sha3_384", "sha3_512"})
DIGESTS = STRONG | {"sha224", "sha1", "md5"}
"""Digests that are computed at all: what was signed with a weak one is still compared."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time stamp that a signature brings along.

    ``over`` is what its imprint must fit; None when that cannot be told, and then it proves
    nothing. ``covers`` are SHA-256 digests of what it proves to have existed: signature values,
    certificates, CRLs, OCSP responses (DER).
    """

    kind: StampKind
    token: bytes
    over: Content | None
    covers: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Material:
    """Certificates and their status that came with a signature (DER). Nothing of it is trusted."""

    certificates: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()

    def __add__(self, other: Material) -> Material:
        return Material(
            tuple(dict.fromkeys(self.certificates + other.certificates)),
            tuple(dict.fromkeys(self.ocsp + other.ocsp)),
            tuple(dict.fromkeys(self.crls + other.crls)),
        )

    def digests(self) -> frozenset[bytes]:
        """The SHA-256 digests of all of it, as ``Stamp.covers`` has them."""
        return frozenset(map(sha256, (*self.certificates, *self.ocsp, *self.crls)))


@dataclass(frozen=True, slots=True)
class Changes:
    """What was done to a PDF after it was signed.

    ``level``: ``none``, ``archive`` (validation data and time stamps), ``forms``, ``annotations``
    or ``other``; ``allowed`` is whether the signature lets that be done.
    """

    level: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """One thing that is signed. ``name`` is empty for the document itself."""

    name: str
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """One signature, as its format tells it, its cryptography already checked.

    ``value`` is the signature value, as time stamps cover it. ``bound``: the certificate is among
    what is signed, which makes it an AdES signature. ``stamps`` go from the inside out.
    """

    name: str
    format: str
    value: bytes = b""
    certificate: bytes | None = None
    material: Material = field(default_factory=Material)
    problem: Problem | None = None
    claimed: datetime | None = None
    digest: str = ""
    scheme: str = ""
    bound: bool = False
    stamps: tuple[Stamp, ...] = ()
    scopes: tuple[Scope, ...] = (Scope(""),)
    changes: Changes | None = None
    texts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A file with its signatures. ``warnings`` are names of our own (docs/validate.md)."""

    kind: str
    signatures: tuple[Found, ...] = ()
    warnings: tuple[str, ...] = ()


def sha256(value: bytes) -> bytes:
    """The digest by which proofs of existence are kept."""
    return hashlib.sha256(value).digest()
