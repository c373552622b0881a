"""What the stages of a signed document give each other. Everything here can be pickled."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from remote_signing.algorithms import SignatureScheme  # noqa: TC001 - unpickled by name

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.rssp.documents.appearance import Appearance

Format: TypeAlias = Literal["C", "P", "X", "J"]
Level: TypeAlias = Literal["B-B", "B-T", "B-LT", "B-LTA"]

LEVELS: tuple[Level, ...] = ("B-B", "B-T", "B-LT", "B-LTA")
ENVELOPES: dict[Format, tuple[str, ...]] = {
    "C": ("Attached", "Detached", "Parallel"),
    "P": ("Certification", "Revision"),
    "X": ("Enveloped", "Enveloping", "Detached"),
    "J": ("Attached", "Detached", "Parallel"),
}
"""``signed_envelope_property`` of each format, the standard's default first."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one signature is made, all of it: the same recipe and file give the same DTBS/R.

    ``certificate`` and ``chain`` (issuer first, root last) are DER; ``claimed_ms`` is the time that
    the signature claims, in whole seconds; ``texts`` are further signed properties by the name
    that CSC has for them, each in the form of its format (``property_text``). ``reference_uri`` is
    how a signature that stands alone names its document; ``names`` are those of the documents in a
    container.
    """

    format: Format
    level: Level
    envelope: str
    scheme: SignatureScheme
    certificate: bytes
    chain: tuple[bytes, ...]
    claimed_ms: int
    texts: dict[str, str] = field(default_factory=dict)
    reference_uri: str | None = None
    names: tuple[str, ...] = ()
    appearance: Appearance | None = None

    @property
    def digest(self) -> str:
        """The name of the digest algorithm, of content and of DTBS/R."""
        return self.scheme.digest.name

    @property
    def claimed(self) -> datetime:
        """``claimed_ms`` as a date."""
        return datetime.fromtimestamp(self.claimed_ms // 1000, UTC)

    def reaches(self, level: Level) -> bool:
        """Whether the signature has what ``level`` asks for."""
        return LEVELS.index(self.level) >= LEVELS.index(level)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that waits for its signature.

    ``attributes`` is what ``dtbs_r`` is the digest of: in CMS the signed attributes (DER of the
    SET); of a JWS the protected header, which the payload follows; in XML the whole signature
    without its value, of which it is ``ds:SignedInfo``. ``hole`` is where a PDF's CMS goes (offsets
    of the first and after the last byte), and where a signature goes into an XML document; ``path``
    is None for a signature from a digest.
    """

    attributes: bytes
    dtbs_r: bytes
    path: Path | None = None
    hole: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that a validator needs later (DER): certificates, OCSPResponses, CRLs."""

    certificates: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """What a signature is finished with. ``stamp`` is a TimeStampToken, from B-T on."""

    signature: bytes
    stamp: bytes | None = None
    material: Material = field(default_factory=Material)


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What still wants the time stamp of B-LTA: over ``digest``, to go to ``hole``.

    ``algorithm`` is the digest's; ``index`` the ats-hash-index-v3 (DER) of a CAdES signature.
    """

    digest: bytes
    algorithm: str
    hole: tuple[int, int] = (0, 0)
    index: bytes = b""
