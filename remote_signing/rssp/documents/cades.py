"""CAdES (ETSI EN 319 122-1) of a file, or of its digest alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from asn1crypto import cms as asn1

from remote_signing.rssp.documents import cades_signed, cms
from remote_signing.rssp.documents.model import Prepared, Unsealed

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.rssp.documents.model import Ending, Recipe

RESULT = ".p7m"
"""What the name of the file with the signature ends with, beside the document's."""


def prepare(recipe: Recipe, path: Path) -> Prepared:
    """The file's digest is the content's; a Parallel signature's content is in the file, a CMS.

    Raises ``DocumentUnusable`` (public ``reason``) for a CMS that is none, or has nothing inside.
    """
    made = prepare_digest(recipe, _digest(recipe, path, recipe.digest))
    return Prepared(made.attributes, made.dtbs_r, path)


def prepare_digest(recipe: Recipe, sdr: bytes) -> Prepared:
    """The signed attributes over the content's digest; CAdES demands the time among them."""
    values = {name: bytes.fromhex(value) for name, value in recipe.texts.items()}
    return cms.prepare(recipe, sdr, with_time=True, further=cades_signed.attributes(values))


stamped = cms.stamped


def finish(recipe: Recipe, prepared: Prepared, ending: Ending) -> Unsealed | None:
    """Write the signature beside the file; for B-LTA, what is to be stamped."""
    assert prepared.path is not None  # noqa: S101 - of a document there is always a file
    message = _message(recipe, prepared, ending, prepared.path)
    if recipe.reaches("B-LT"):
        cms.add_material(message, ending.material)
    result(recipe, prepared.path).write_bytes(message.dump())
    if not recipe.reaches("B-LTA"):
        return None
    content = _digest(recipe, prepared.path, "sha256")
    covered, index = cms.archive_input(message, prepared, content)
    return Unsealed(hashlib.sha256(covered).digest(), "sha256", index=index)


def seal(recipe: Recipe, prepared: Prepared, unsealed: Unsealed, stamp: bytes) -> None:
    """Add the archive time stamp to the signature."""
    assert prepared.path is not None  # noqa: S101 - as above
    path = result(recipe, prepared.path)
    message = asn1.ContentInfo.load(path.read_bytes())
    cms.add_archive_stamp(message, prepared, stamp, unsealed.index)
    path.write_bytes(message.dump())


def finish_digest(recipe: Recipe, prepared: Prepared, ending: Ending) -> bytes:
    """The CMS without its content."""
    message = cms.signed_data(recipe, prepared, ending)
    if recipe.reaches("B-LT"):
        cms.add_material(message, ending.material)
    content: bytes = message.dump()
    return content


def result(_recipe: Recipe, path: Path) -> Path:
    """Beside the document at ``path``."""
    return path.with_suffix(RESULT)


def enveloped(recipe: Recipe) -> bool:
    """Whether the CMS has its content in it."""
    return recipe.envelope != "Detached"


def property_text(name: str, value: bytes | None, *, has_document: bool) -> str | None:  # noqa: ARG001 - as others
    """The value's DER in hexadecimal."""
    found = None if value is None else cades_signed.read(name, value)
    return None if found is None else found.hex()


def _message(recipe: Recipe, prepared: Prepared, ending: Ending, path: Path) -> Any:  # noqa: ANN401 - asn1crypto has no types
    if recipe.envelope == "Parallel":
        message, _ = cms.read(path.read_bytes())
        cms.add_signer(message, recipe, prepared, ending)
        return message
    attached = path.read_bytes() if recipe.envelope == "Attached" else None
    return cms.signed_data(recipe, prepared, ending, attached)


def _digest(recipe: Recipe, path: Path, algorithm: str) -> bytes:
    """The content's."""
    if recipe.envelope == "Parallel":
        _, content = cms.read(path.read_bytes())
        return hashlib.new(algorithm, content).digest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).digest()
