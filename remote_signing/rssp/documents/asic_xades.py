"""ASiC-E with XAdES (ETSI EN 319 162-1 cl. 4.4.3): one signature that refers to each document."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from lxml import etree

from remote_signing.rssp.documents import asic, xades, xades_elements, xmldsig
from remote_signing.rssp.documents.media_types import media_type
from remote_signing.rssp.documents.model import Prepared, Unsealed
from remote_signing.rssp.documents.xmldsig import Reference

if TYPE_CHECKING:
    from pathlib import Path

    from lxml.etree import _Element as Element

    from remote_signing.rssp.documents.model import Ending, Recipe
    from remote_signing.rssp.documents.xmldsig import Hash

SIGNATURES: Final = "signatures.xml"
_UNSEALED = "unsealed"
_ODF = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"

stamped = xades.stamped
result = asic.result


def prepare(recipe: Recipe, path: Path) -> Prepared:
    """A signature that lacks its value; ``path`` is the folder of the documents."""
    references = [Reference(uri, each, mime=mime) for uri, mime, each in asic.digests(recipe, path)]
    ids = xades_elements.token(recipe, *(each.digest for each in references))
    element = xades_elements.template(recipe, ids, references)
    dtbs_r = hashlib.new(recipe.digest, xades_elements.dtbs(element)).digest()
    return Prepared(xmldsig.canonical(element), dtbs_r, path)


def finish(recipe: Recipe, prepared: Prepared, ending: Ending) -> Unsealed | None:
    """Write the container; for B-LTA keep the signature, and tell what is to be stamped."""
    assert prepared.path is not None  # noqa: S101 - there are always documents
    folder = prepared.path
    element = xades.finished(recipe, prepared, ending)
    if not recipe.reaches("B-LTA"):
        _write(recipe, folder, element)
        return None

    def hash_documents(hashed: Hash) -> None:
        for _, path in asic.documents(recipe, folder):
            for piece in xmldsig.pieces(path):
                hashed.update(piece)

    covered = xades_elements.archive_digest(element, recipe.digest, hash_documents)
    (folder / _UNSEALED).write_bytes(xmldsig.canonical(element))
    return Unsealed(covered, recipe.digest)


def seal(recipe: Recipe, prepared: Prepared, _unsealed: Unsealed, stamp: bytes) -> None:
    """Write the container, its signature with the archive time stamp."""
    assert prepared.path is not None  # noqa: S101 - as above
    element = etree.fromstring((prepared.path / _UNSEALED).read_bytes())
    xades_elements.add_archive_stamp(element, stamp)
    _write(recipe, prepared.path, element)


def enveloped(_recipe: Recipe) -> bool:
    """True: the documents are in the container."""
    return True


def _write(recipe: Recipe, folder: Path, element: Element) -> None:
    start = f'<asic:XAdESSignatures xmlns:asic="{asic.NAMESPACE}">'.encode("ascii")
    content = start + xmldsig.canonical(element) + b"</asic:XAdESSignatures>"
    meta = [("manifest.xml", _manifest(recipe)), (SIGNATURES, xmldsig.DECLARATION + content)]
    asic.write(recipe, folder, meta)


def _manifest(recipe: Recipe) -> bytes:
    """The list of files that OpenDocument has, which readers of such containers look for."""
    root = etree.Element(f"{{{_ODF}}}manifest", nsmap={"manifest": _ODF})
    root.set(f"{{{_ODF}}}version", "1.2")
    for path, kind in (
        *(("/", asic.MEDIA_TYPE),),
        *((name, media_type(name)) for name in recipe.names),
    ):
        entry = etree.SubElement(root, f"{{{_ODF}}}file-entry")
        entry.set(f"{{{_ODF}}}full-path", path)
        entry.set(f"{{{_ODF}}}media-type", kind)
    return xmldsig.DECLARATION + etree.tostring(root)
