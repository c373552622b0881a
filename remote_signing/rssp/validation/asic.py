"""ASiC containers (ETSI EN 319 162-1): a ZIP file of documents with their signatures."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote

from asn1crypto import cms as asn1

from remote_signing.rssp.validation import cms, xades, xml_tree
from remote_signing.rssp.validation.model import (
    BROKEN,
    Document,
    Found,
    Octets,
    Problem,
    Scope,
    Stamp,
    sha256,
    unusable,
)
from remote_signing.rssp.validation.xmldsig import DIGESTS, child, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element as Element

_ASIC: Final = "{http://uri.etsi.org/02918/v1.2.1#}"
_META: Final = "META-INF/"
_KINDS: Final = {
    b"application/vnd.etsi.asic-e+zip": "ASiC-E",
    b"application/vnd.etsi.asic-s+zip": "ASiC-S",
}
_MOST_ENTRIES = 1000
_LARGEST = (
    512 * 1024 * 1024
)  # bytes of all files together, as the container tells; it is held to it
_LONGEST_NAME = 1000
_ENCRYPTED = 0x1


class Container:
    """The files in a ZIP file, by name."""

    def __init__(self, stream: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(stream)
        except (*BROKEN, zipfile.BadZipFile) as error:
            raise unusable("damaged", str(error)) from error
        entries = [each for each in self._zip.infolist() if not each.is_dir()]
        self.names = [each.filename for each in entries]
        if any(each.flag_bits & _ENCRYPTED for each in entries):
            raise unusable("encrypted")
        if len(entries) > _MOST_ENTRIES or sum(each.file_size for each in entries) > _LARGEST:
            raise unusable("too_heavy")
        # Two files of one name: readers would differ in which of them was signed.
        if len({each.casefold() for each in self.names}) < len(entries):
            raise unusable("damaged", "a name comes twice")
        if not all(map(_is_safe, self.names)):
            raise unusable("damaged", "a name leads out of the container")

    def find(self, name: str) -> bytes | None:
        """As :class:`.xmldsig.Outside`. Raises ``DocumentUnusable``: ``damaged``."""
        if name not in self.names:
            return None
        try:
            return self._zip.read(name)
        except (*BROKEN, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise unusable("damaged", f"{type(error).__name__}: {error}") from error

    def get(self, name: str) -> bytes:
        """A file that is there."""
        return self.find(name) or b""

    def meta(self, beginning: str, ending: str) -> list[str]:
        """Names in META-INF, whose case and what is between do not count (cl. 4.4.3.2)."""
        return [
            name
            for name in self.names
            if name.startswith(_META)
            and name[len(_META) :].lower().startswith(beginning)
            and name.lower().endswith(ending)
        ]

    @property
    def documents(self) -> list[str]:
        """What is to be signed."""
        return [each for each in self.names if not each.startswith(_META) and each != "mimetype"]


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    bad = {"", ".", ".."} & set(parts) or "\\" in name or ":" in parts[0] or "\0" in name
    return not bad and len(name) <= _LONGEST_NAME


def read(stream: BinaryIO, most: int) -> Document:
    """The signatures in a container.

    Raises ``DocumentUnusable``: ``damaged``, ``encrypted``, ``too_heavy``, ``unknown_format``,
    ``too_many_signatures``.
    """
    container = Container(stream)
    kind = _KINDS.get(container.get("mimetype").strip())
    if kind is None and not any(each.startswith(_META) for each in container.names):
        raise unusable("unknown_format")
    found = [*_xades(container, most), *_cades(container, most)]
    if len(found) > most:
        raise unusable("too_many_signatures")
    signed = {scope.name for each in found for scope in each.scopes}
    left = [each for each in container.documents if each not in signed]
    return Document(kind or "ASiC", tuple(found), ("not_all_signed",) if left else ())


def _xades(container: Container, most: int) -> Iterator[Found]:
    for name in container.meta("signatures", ".xml"):
        tree = xml_tree.parse(container.get(name))
        yield from xades.signatures(tree, container, most, f"{name[len(_META) :]} ")


def _cades(container: Container, most: int) -> Iterator[Found]:
    manifests = _manifests(container)
    for name in container.meta("signature", ".p7s"):
        manifest = next((each for each in manifests if each.signature == name), None)
        shown = name[len(_META) :]
        if manifest is not None:
            yield from _of_manifest(container, name, manifest, manifests, most)
        elif len(container.documents) == 1:  # ASiC-S: of the only file
            only = container.documents[0]
            found = cms.read(container.get(name), Octets(container.get(only)), most)
            for each in found.signatures:
                yield replace(each, name=f"{shown} {each.name}", scopes=(Scope(only),))
        else:
            yield Found(shown, "CAdES", problem=_MISSING, scopes=())


_MISSING = Problem("SIGNED_DATA_NOT_FOUND", "reference_missing")


class _Manifest:
    """ASiCManifest or ASiCArchiveManifest: a signature or time stamp, and digests of files."""

    def __init__(self, container: Container, name: str) -> None:
        self.content = container.get(name)
        root = xml_tree.parse(self.content).getroot()
        (reference,) = root.findall(f"{_ASIC}SigReference")
        self.signature = unquote(reference.get("URI", ""))
        self.names: list[str] = []
        self.problem: Problem | None = None
        for each in root.findall(f"{_ASIC}DataObjectReference"):
            self._look(container, each)

    def _look(self, container: Container, reference: Element) -> None:
        name = unquote(reference.get("URI", ""))
        self.names.append(name)
        data = container.find(name)
        algorithm = DIGESTS.get(child(reference, "DigestMethod").get("Algorithm", ""))
        if data is None:
            self.problem = self.problem or _MISSING
        elif algorithm is None:
            self.problem = self.problem or Problem("GENERIC", "not_supported")
        elif hashlib.new(algorithm, data).digest() != decoded(child(reference, "DigestValue")):
            self.problem = Problem("HASH_FAILURE", "content_changed")


def _manifests(container: Container) -> list[_Manifest]:
    found = []
    for name in container.meta("asic", "manifest.xml") + container.meta("asicmanifest", ".xml"):
        try:
            found.append(_Manifest(container, name))
        except BROKEN as error:
            raise unusable("damaged", f"{name}: {error}") from error
    return found


def _of_manifest(
    container: Container, name: str, manifest: _Manifest, manifests: list[_Manifest], most: int
) -> Iterator[Found]:
    """A signature of a list of digests; its documents are what the list names."""
    data = container.get(name)
    archive = tuple(_archive_stamps(container, name, data, manifests))
    for each in cms.read(data, Octets(manifest.content), most).signatures:
        yield replace(
            each,
            name=f"{name[len(_META) :]} {each.name}",
            problem=each.problem or manifest.problem,
            scopes=tuple(Scope(document) for document in manifest.names),
            stamps=each.stamps + archive,
        )


def _archive_stamps(
    container: Container, name: str, data: bytes, manifests: list[_Manifest]
) -> Iterator[Stamp]:
    """A time stamp over a list that names the signature proves all that is in it (cl. A.7)."""
    for each in manifests:
        if name not in each.names or not each.signature.lower().endswith(".tst"):
            continue
        token = container.get(each.signature)
        over = None if each.problem else Octets(each.content)
        yield Stamp("archive", token, over, frozenset(_inside(data)))


def _inside(data: bytes) -> set[bytes]:
    try:
        signed = asn1.ContentInfo.load(data)["content"]
        found = set(cms.material_of(signed).digests())
        for info in signed["signer_infos"]:
            found.add(sha256(info["signature"].native))
            for attribute in info["unsigned_attrs"] or ():
                for value in attribute["values"]:
                    found |= cms.inner_values(value.dump())
    except BROKEN:
        return set()
    return found
