"""ASiC-E containers (ETSI EN 319 162-1): a ZIP file of documents and one signature of all of them.

The documents of a container lie in a folder as ``0``, ``1`` and so on; ``Recipe.names`` are their
names. The same recipe and files give the same container, byte by byte.
"""

from __future__ import annotations

import shutil
import unicodedata
import zipfile
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from lxml import etree

from remote_signing.rssp.documents import xmldsig
from remote_signing.rssp.documents.media_types import media_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from remote_signing.rssp.documents.model import Recipe

MEDIA_TYPE: Final = "application/vnd.etsi.asic-e+zip"
NAMESPACE: Final = "http://uri.etsi.org/02918/v1.2.1#"
_MIMETYPE = "mimetype"
_META = "META-INF"
_LONGEST_NAME = 200  # bytes in UTF-8
_NEVER = frozenset('/\\:*?"<>|')  # what some system takes for more than a part of a name
_DEVICES = frozenset({"con", "prn", "aux", "nul"})
_RESULT = ".asice"


def fit_names(names: Sequence[str]) -> bool:
    """Whether each is a file's name on every system, and no two are the same on any."""
    seen = {name.casefold() for name in names}
    return len(seen) == len(names) and all(map(_is_fit, names))


def _is_fit(name: str) -> bool:
    stem = name.casefold().partition(".")[0]
    return (
        0 < len(name.encode("utf-8", "replace")) <= _LONGEST_NAME
        and name.isprintable()
        and unicodedata.is_normalized("NFC", name)
        and _NEVER.isdisjoint(name)
        and name[0] not in " ."
        and name[-1] not in " ."
        and name.casefold() not in {_MIMETYPE, _META.casefold()}
        and stem not in _DEVICES
    )


def uri_of(name: str) -> str:
    """How a signature refers to a document: relative to the container's root."""
    return quote(name, safe="")


def documents(recipe: Recipe, folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and file of each."""
    for number, name in enumerate(recipe.names):
        yield name, folder / str(number)


def result(_recipe: Recipe, folder: Path) -> Path:
    """Beside the folder."""
    return folder.with_suffix(_RESULT)


def write(recipe: Recipe, folder: Path, meta: Sequence[tuple[str, bytes]]) -> None:
    """The container with ``meta`` in META-INF. Nothing is squeezed, so nothing can be a bomb."""
    with zipfile.ZipFile(result(recipe, folder), "w", zipfile.ZIP_STORED) as container:
        # First and plain (cl. A.1), so that the kind of file can be told from its first bytes.
        container.writestr(_entry(recipe, _MIMETYPE), MEDIA_TYPE)
        for name, path in documents(recipe, folder):
            with path.open("rb") as source, container.open(_entry(recipe, name), "w") as out:
                shutil.copyfileobj(source, out, 256 * 1024)
        for name, content in meta:
            container.writestr(_entry(recipe, f"{_META}/{name}"), content)


def _entry(recipe: Recipe, name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, recipe.claimed.timetuple()[:6])
    made.external_attr = 0o644 << 16
    made.create_system = 3  # Unix, wherever this runs
    return made


def signature_manifest(
    signature: tuple[str, str], algorithm: str, digests: Sequence[tuple[str, str, bytes]]
) -> bytes:
    """``ASiCManifest`` (cl. A.4): what a signature or time stamp covers that is not in XML itself.

    ``signature`` is its name in META-INF and its media type; ``digests`` are URI, media type and
    digest of each file.
    """
    root = etree.Element(_asic("ASiCManifest"), nsmap={"asic": NAMESPACE, "ds": xmldsig.DS})
    name, kind = signature
    xmldsig.add(root, _asic("SigReference"), MimeType=kind, URI=f"{_META}/{name}")
    for uri, mime, digest in digests:
        covered = xmldsig.add(root, _asic("DataObjectReference"), MimeType=mime, URI=uri)
        xmldsig.add_digest(covered, algorithm, digest)
    return xmldsig.DECLARATION + etree.tostring(root)


def digests(recipe: Recipe, folder: Path) -> list[tuple[str, str, bytes]]:
    """URI, media type and digest of each document."""
    return [
        (uri_of(name), media_type(name), xmldsig.file_digest(path, recipe.digest))
        for name, path in documents(recipe, folder)
    ]


def in_meta(name: str) -> str:
    """The URI of a file in META-INF."""
    return f"{_META}/{name}"


def _asic(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
