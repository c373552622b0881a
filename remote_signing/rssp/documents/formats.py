"""The formats that are made. Another one is a module with these functions, and an entry here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from remote_signing.rssp.documents import asic_cades, asic_xades, cades, jades, pades, xades

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.rssp.documents.model import Ending, Format, Prepared, Recipe, Unsealed


class Stages(Protocol):
    """What a module has that signs files.

    ``prepare``, ``finish`` and ``seal`` touch files of strangers and are called in worker processes
    only; the others get nothing but digests, signatures and time stamps.
    """

    def prepare(self, recipe: Recipe, path: Path) -> Prepared:
        """Fix what is signed of the document at ``path``. Raises ``DocumentUnusable``."""

    def stamped(self, recipe: Recipe, prepared: Prepared, signature: bytes) -> bytes:
        """What the time stamp of B-T is over, whose digest ``recipe.digest`` makes."""

    def finish(self, recipe: Recipe, prepared: Prepared, ending: Ending) -> Unsealed | None:
        """Write the :func:`result`; for B-LTA, what is to be stamped. Raises as ``prepare``."""

    def seal(self, recipe: Recipe, prepared: Prepared, unsealed: Unsealed, stamp: bytes) -> None:
        """Add the time stamp of B-LTA to the :func:`result`."""

    def result(self, recipe: Recipe, path: Path) -> Path:
        """Where the signed document is, or the signature where it stands alone."""

    def enveloped(self, recipe: Recipe) -> bool:
        """Whether the result has the document in it (``DocumentWithSignature`` of CSC)."""


class FormatStages(Stages, Protocol):
    """What a format's module has, which signs digests too."""

    def prepare_digest(self, recipe: Recipe, sdr: bytes) -> Prepared:
        """As ``prepare``, of a document whose digest ``sdr`` is all that is known."""

    def finish_digest(self, recipe: Recipe, prepared: Prepared, ending: Ending) -> bytes:
        """The signature of a digest, up to B-LT."""

    def property_text(self, name: str, value: bytes | None, *, has_document: bool) -> str | None:
        """An entry of CSC's ``signed_props`` as ``Recipe.texts`` has it; None for a bad one."""


FORMATS: Final[dict[Format, FormatStages]] = {"C": cades, "P": pades, "X": xades, "J": jades}
"""By ``signature_format`` of CSC."""

CONTAINERS: Final[dict[Format, Stages]] = {"C": asic_cades, "X": asic_xades}
"""Of several documents: how each format makes an ASiC-E container."""


def stages(recipe: Recipe) -> Stages:
    """How files are signed after this recipe."""
    return CONTAINERS[recipe.format] if recipe.names else FORMATS[recipe.format]
