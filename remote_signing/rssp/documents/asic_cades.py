"""ASiC-E with CAdES (ETSI EN 319 162-1 cl. 4.4.4): a signature of a list of digests.

B-LTA is a time stamp over a second list, of every file with the signature among them (cl. A.7).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from remote_signing.rssp.documents import asic, cades
from remote_signing.rssp.documents.model import Prepared, Unsealed

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.rssp.documents.model import Ending, Recipe

SIGNATURE: Final = ("signature.p7s", "application/pkcs7-signature")
STAMP: Final = ("timestamp.tst", "application/vnd.etsi.timestamp-token")
MANIFEST: Final = "ASiCManifest.xml"
ARCHIVE: Final = "ASiCArchiveManifest.xml"

stamped = cades.stamped
result = asic.result


def prepare(recipe: Recipe, path: Path) -> Prepared:
    """The signed attributes over the list; ``path`` is the folder of the documents."""
    manifest = asic.signature_manifest(SIGNATURE, recipe.digest, asic.digests(recipe, path))
    made = cades.prepare_digest(recipe, hashlib.new(recipe.digest, manifest).digest())
    (path / MANIFEST).write_bytes(manifest)
    return Prepared(made.attributes, made.dtbs_r, path)


def finish(recipe: Recipe, prepared: Prepared, ending: Ending) -> Unsealed | None:
    """Write the container; for B-LTA first the list of everything, which is to be stamped."""
    assert prepared.path is not None  # noqa: S101 - there are always documents
    folder = prepared.path
    (folder / SIGNATURE[0]).write_bytes(cades.finish_digest(recipe, prepared, ending))
    if not recipe.reaches("B-LTA"):
        _write(recipe, folder, MANIFEST, SIGNATURE[0])
        return None
    kinds = ((MANIFEST, "text/xml"), SIGNATURE)
    further = [
        (asic.in_meta(name), kind, hashlib.new(recipe.digest, _read(folder, name)).digest())
        for name, kind in kinds
    ]
    everything = [*asic.digests(recipe, folder), *further]
    content = asic.signature_manifest(STAMP, recipe.digest, everything)
    (folder / ARCHIVE).write_bytes(content)
    return Unsealed(hashlib.new(recipe.digest, content).digest(), recipe.digest)


def seal(recipe: Recipe, prepared: Prepared, _unsealed: Unsealed, stamp: bytes) -> None:
    """Write the container with the time stamp over everything in it."""
    assert prepared.path is not None  # noqa: S101 - as above
    (prepared.path / STAMP[0]).write_bytes(stamp)
    _write(recipe, prepared.path, MANIFEST, SIGNATURE[0], ARCHIVE, STAMP[0])


def enveloped(_recipe: Recipe) -> bool:
    """True: the documents are in the container."""
    return True


def _read(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


def _write(recipe: Recipe, folder: Path, *meta: str) -> None:
    asic.write(recipe, folder, [(name, _read(folder, name)) for name in meta])
