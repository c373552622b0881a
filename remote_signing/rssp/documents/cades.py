"""CAdES (ETSI EN 319 122-1) of a file, or of its digest alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from asn1crypto import cms as asn1

from remote_signing.rssp.documents import cms
from remote_signing.rssp.documents.model import Prepared, Unsealed

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.rssp.documents.model import Ending, Recipe

RESULT = ".p7m"
"""What the name of the file with the signature ends with, beside the document's."""


def prepare(recipe: Recipe, path: Path) -> Prepared:
    """The file's digest is the content's."""
    made = cms.prepare(recipe, _digest(path, recipe.digest))
    return Prepared(made.attributes, made.dtbs_r, path)


def finish(recipe: Recipe, prepared: Prepared, ending: Ending) -> Unsealed | None:
    """Write the signature beside the file; for B-LTA, what is to be stamped."""
    assert prepared.path is not None  # noqa: S101 - of a document there is always a file
    attached = prepared.path.read_bytes() if recipe.envelope == "Attached" else None
    message = cms.signed_data(recipe, prepared, ending, attached)
    if recipe.reaches("B-LT"):
        cms.add_material(message, ending.material)
    result(prepared.path).write_bytes(message.dump())
    if not recipe.reaches("B-LTA"):
        return None
    covered, index = cms.archive_input(message, _digest(prepared.path, "sha256"))
    return Unsealed(hashlib.sha256(covered).digest(), index=index)


def seal(path: Path, unsealed: Unsealed, stamp: bytes) -> None:
    """Add the archive time stamp to the signature."""
    message = asn1.ContentInfo.load(result(path).read_bytes())
    cms.add_archive_stamp(message, stamp, unsealed.index)
    result(path).write_bytes(message.dump())


def _digest(path: Path, algorithm: str) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).digest()


def result(path: Path) -> Path:
    """Where the signature of the document at ``path`` is."""
    return path.with_suffix(RESULT)
