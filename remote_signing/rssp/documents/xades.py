"""XAdES (ETSI EN 319 132-1) of a file, or of its digest alone.

``Enveloped`` puts the signature at the end of an XML document's root and leaves every other byte as
it was; ``Enveloping`` puts the file into the signature as base64, whatever it is; ``Detached`` is
the signature alone.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO, cast

from lxml import etree

from remote_signing.rssp.documents import (
    earlier_signatures,
    xades_elements,
    xades_properties,
    xml_reading,
    xmldsig,
)
from remote_signing.rssp.documents.media_types import media_type
from remote_signing.rssp.documents.model import Prepared, Unsealed
from remote_signing.rssp.documents.xmldsig import BASE64, ENVELOPED, INCLUSIVE, XPATH, Reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.etree import _Element as Element

    from remote_signing.rssp.documents.model import Ending, Recipe
    from remote_signing.rssp.documents.xmldsig import Hash

_RESULT = ".xades"
_UNSEALED = ".unsealed"
_END = b"</ds:Signature>"

property_text = xades_properties.property_text


def prepare(recipe: Recipe, path: Path) -> Prepared:
    """A signature that lacks its value.

    Raises ``DocumentUnusable`` (public ``reason``) for what is to be enveloped and is no XML within
    the bounds, or has a signature that another one would break.
    """
    if recipe.envelope == "Enveloped":
        return _prepare_enveloped(recipe, path)
    digest = xmldsig.file_digest(path, recipe.digest)
    if recipe.envelope == "Detached":
        return _prepared(recipe, digest, _detached(recipe, digest), path)
    ids = xades_elements.token(recipe, digest)
    inner = Reference(f"#object-{ids}", digest, (BASE64,), xmldsig.OBJECT, mime=_mime(recipe))
    return _prepared(recipe, digest, inner, path)


def prepare_digest(recipe: Recipe, sdr: bytes) -> Prepared:
    """A detached signature of the document whose digest this is."""
    return _prepared(recipe, sdr, _detached(recipe, sdr))


def stamped(recipe: Recipe, prepared: Prepared, signature: bytes) -> bytes:
    """The canonical form of ``ds:SignatureValue`` (cl. 5.3)."""
    element = etree.fromstring(prepared.attributes)
    return xmldsig.canonical(xades_elements.put_value(element, recipe, signature))


def finish(recipe: Recipe, prepared: Prepared, ending: Ending) -> Unsealed | None:
    """Write the result; for B-LTA keep the signature, and tell what is to be stamped."""
    assert prepared.path is not None  # noqa: S101 - of a document there is always a file
    element = finished(recipe, prepared, ending)
    if not recipe.reaches("B-LTA"):
        _write(recipe, prepared, element)
        return None
    covered = xades_elements.archive_digest(
        element,
        recipe.digest,
        lambda hashed: _hash_document(recipe, cast("Path", prepared.path), hashed),
        _object(recipe, prepared, namespace=True),
    )
    prepared.path.with_suffix(_UNSEALED).write_bytes(xmldsig.canonical(element))
    return Unsealed(covered, recipe.digest)


def seal(recipe: Recipe, prepared: Prepared, _unsealed: Unsealed, stamp: bytes) -> None:
    """Write the result with the archive time stamp."""
    assert prepared.path is not None  # noqa: S101 - as above
    element = etree.fromstring(prepared.path.with_suffix(_UNSEALED).read_bytes())
    xades_elements.add_archive_stamp(element, stamp)
    _write(recipe, prepared, element)


def finish_digest(recipe: Recipe, prepared: Prepared, ending: Ending) -> bytes:
    """The signature as a document of its own."""
    return xmldsig.DECLARATION + xmldsig.canonical(finished(recipe, prepared, ending))


def result(_recipe: Recipe, path: Path) -> Path:
    """Beside the document at ``path``."""
    return path.with_suffix(_RESULT)


def enveloped(recipe: Recipe) -> bool:
    """Whether document and signature are one."""
    return recipe.envelope != "Detached"


def finished(recipe: Recipe, prepared: Prepared, ending: Ending) -> Element:
    """The signature with value, time stamp and validation data, as far as the level goes."""
    element = etree.fromstring(prepared.attributes)
    xades_elements.put_value(element, recipe, ending.signature)
    if ending.stamp is not None:
        xades_elements.add_signature_stamp(element, ending.stamp)
    if recipe.reaches("B-LT"):
        xades_elements.add_material(element, ending.material)
    return element


def _prepared(
    recipe: Recipe, content: bytes, reference: Reference, path: Path | None = None, place: int = 0
) -> Prepared:
    """``content`` is a digest that makes the signature's Ids its own."""
    element = xades_elements.template(recipe, xades_elements.token(recipe, content), [reference])
    dtbs_r = hashlib.new(recipe.digest, xades_elements.dtbs(element)).digest()
    return Prepared(xmldsig.canonical(element), dtbs_r, path, (place, place))


def _detached(recipe: Recipe, digest: bytes) -> Reference:
    return Reference(recipe.reference_uri, digest, mime=_mime(recipe))


def _mime(recipe: Recipe) -> str:
    told = recipe.texts.get("DataObjectFormat")
    return told or media_type(recipe.reference_uri or "")


def _prepare_enveloped(recipe: Recipe, path: Path) -> Prepared:
    with path.open("r+b") as stream:
        place = _room(stream)
        tree = xml_reading.tree(stream)
    earlier_signatures.check(tree)
    hashed = hashlib.new(recipe.digest)
    xmldsig.hash_without_signatures(tree, hashed)
    mime = recipe.texts.get("DataObjectFormat", "text/xml")
    whole = Reference("", hashed.digest(), (ENVELOPED, XPATH, INCLUSIVE), mime=mime)
    # The file's own digest makes Ids that are unlike those of a signature that is in it already.
    return _prepared(recipe, xmldsig.file_digest(path, "sha256"), whole, path, place)


def _room(stream: BinaryIO) -> int:
    """The offset of the root's end tag, which is written where the root is ``<root/>``."""
    place, name = xml_reading.find_root_end(stream)
    stream.seek(place)
    if stream.read(2) == b"</":
        return place
    stream.seek(place)
    rest = stream.read()
    stream.seek(place - 2)
    stream.write(b"></" + name.encode() + b">" + rest)
    return place - 1


def _hash_document(recipe: Recipe, path: Path, hashed: Hash) -> None:
    """What the reference leads to, after its transforms."""
    if recipe.envelope == "Enveloped":
        with path.open("rb") as stream:
            xmldsig.hash_without_signatures(xml_reading.tree(stream), hashed)
        return
    for piece in xmldsig.pieces(path):
        hashed.update(piece)


def _object(recipe: Recipe, prepared: Prepared, *, namespace: bool) -> Iterator[bytes]:
    """``ds:Object`` with the file in it, in canonical form; nothing unless it is enveloping."""
    if recipe.envelope != "Enveloping":
        return
    assert prepared.path is not None  # noqa: S101 - there is no enveloping signature of a digest
    element = etree.fromstring(prepared.attributes)
    uri = xades_elements.child(element, "SignedInfo", "Reference").get("URI", "")
    declared = f' xmlns:ds="{xmldsig.DS}"' if namespace else ""
    told = f'Encoding="{BASE64}" Id="{uri[1:]}" MimeType="{_mime(recipe)}"'
    yield f"<ds:Object{declared} {told}>".encode("ascii")
    for piece in xmldsig.pieces(prepared.path):
        yield xmldsig.text_of(piece).encode("ascii")
    yield b"</ds:Object>"


def _write(recipe: Recipe, prepared: Prepared, element: Element) -> None:
    assert prepared.path is not None  # noqa: S101 - as above
    signature = xmldsig.canonical(element)
    with prepared.path.open("rb") as source, result(recipe, prepared.path).open("wb") as out:
        if recipe.envelope == "Enveloped":
            place = prepared.hole[0]
            out.writelines(xmldsig.pieces_of(source, place))
            out.write(signature)
            out.writelines(xmldsig.pieces_of(source))
        else:
            out.write(xmldsig.DECLARATION + signature.removesuffix(_END))
            out.writelines(_object(recipe, prepared, namespace=False))
            out.write(_END)
