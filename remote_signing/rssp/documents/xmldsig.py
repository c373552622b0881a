"""XML signatures (W3C XML Signature 1.1): names, algorithms, references, canonical form."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, cast

from asn1crypto import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from remote_signing.errors import AlgorithmParametersInvalid, DocumentUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lxml.etree import _Element as Element
    from lxml.etree import _ElementTree as ElementTree

    from remote_signing.rssp.documents.model import Recipe

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
ENVELOPED: Final = DS + "enveloped-signature"
BASE64: Final = DS + "base64"
OBJECT: Final = DS + "Object"
XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
NO_SIGNATURE: Final = "not(ancestor-or-self::ds:Signature)"
"""The XPath filter that leaves every signature in a document out of what is signed."""

DIGEST_METHODS: Final = {
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
}
_METHODS = {
    "pkcs1": "http://www.w3.org/2001/04/xmldsig-more#rsa-{}",
    "ecdsa": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-{}",
    # RFC 9231 cl. 2.3.10: MGF1 with the same digest, a salt of the digest's length.
    "pss": "http://www.w3.org/2007/05/xmldsig-more#{}-rsa-MGF1",
}
_PIECE = 3 * 64 * 1024  # bytes whose base64 needs no padding


class Hash(Protocol):
    """What hashlib gives."""

    def update(self, data: bytes, /) -> None:
        """More of what is hashed."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A ``ds:Reference``. ``uri`` None: the receiver knows what it is.

    ``transforms`` are algorithms, the XPath one being :data:`NO_SIGNATURE`; ``mime`` is the type of
    what is signed, which XAdES tells.
    """

    uri: str | None
    digest: bytes
    transforms: tuple[str, ...] = ()
    kind: str | None = None
    id: str | None = None
    mime: str | None = None


def tag(name: str) -> str:
    """``{namespace}name`` of XML Signature."""
    return f"{{{DS}}}{name}"


def add(
    parent: Element,
    name: str,
    text: str | None = None,
    /,
    nsmap: dict[str | None, str] | None = None,
    **attributes: str | None,
) -> Element:
    """A new child of ``parent``; attributes that are None are left out."""
    given = {key: value for key, value in attributes.items() if value is not None}
    made = etree.SubElement(parent, name, given, nsmap=nsmap)
    made.text = text
    return made


def canonical(element: Element) -> bytes:
    """Exclusive canonical form without comments: independent of where the element stands."""
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def add_digest(parent: Element, algorithm: str, digest: bytes) -> None:
    """``ds:DigestMethod`` and ``ds:DigestValue``."""
    add(parent, tag("DigestMethod"), Algorithm=DIGEST_METHODS[algorithm])
    add(parent, tag("DigestValue"), text_of(digest))


def add_signed_info(signature: Element, recipe: Recipe, references: Sequence[Reference]) -> Element:
    """``ds:SignedInfo`` as the last child of ``signature``."""
    info = add(signature, tag("SignedInfo"))
    add(info, tag("CanonicalizationMethod"), Algorithm=EXCLUSIVE)
    add(info, tag("SignatureMethod"), Algorithm=signature_method(recipe))
    for each in references:
        made = add(info, tag("Reference"), Id=each.id, Type=each.kind, URI=each.uri)
        if each.transforms:
            transforms = add(made, tag("Transforms"))
            for algorithm in each.transforms:
                transform = add(transforms, tag("Transform"), Algorithm=algorithm)
                if algorithm == XPATH:
                    add(transform, tag("XPath"), NO_SIGNATURE)
        add_digest(made, recipe.digest, each.digest)
    return info


def signature_method(recipe: Recipe) -> str:
    """The algorithm's URI. ``AlgorithmParametersInvalid`` for a salt that XML has no name for."""
    scheme = recipe.scheme
    if scheme.padding == "pss" and scheme.salt_length != scheme.digest.length:
        raise AlgorithmParametersInvalid(f"XML signature with a salt of {scheme.salt_length}")
    return _METHODS[scheme.padding].format(recipe.digest)


def signature_value(recipe: Recipe, signature: bytes) -> bytes:
    """``signature`` as XML has it: of ECDSA both numbers, each as long as the curve's order."""
    if recipe.scheme.padding != "ecdsa":
        return signature
    bits = cast("int", x509.Certificate.load(recipe.certificate).public_key.bit_size)
    length = (bits + 7) // 8
    return b"".join(part.to_bytes(length) for part in decode_dss_signature(signature))


def file_digest(path: Path, algorithm: str) -> bytes:
    """Of a whole file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).digest()


def hash_without_signatures(tree: ElementTree[Element], into: Hash) -> None:
    """What :data:`NO_SIGNATURE` and inclusive C14N make of ``tree``, which loses its signatures.

    Raises ``DocumentUnusable`` for a relative namespace name, which C14N 1.0 does not know.
    """
    for each in list(tree.iter(tag("Signature"))):
        if next(each.iterancestors(tag("Signature")), None) is None:
            _remove(each)
    # Whoever reads the document may take prefixes in texts for what they are bound to; inclusive
    # C14N has all bindings signed.
    try:
        tree.write_c14n(cast("Any", _Into(into)), with_comments=False)
    except etree.C14NError as error:
        raise DocumentUnusable(f"C14N: {error}", reason="the XML has no canonical form") from error


def _remove(element: Element) -> None:
    """Without the text behind it, which lxml takes for a part of it."""
    parent = element.getparent()
    assert parent is not None  # noqa: S101 - callers refuse a document that is a signature
    before = element.getprevious()
    if element.tail and before is not None:
        before.tail = (before.tail or "") + element.tail
    elif element.tail:
        parent.text = (parent.text or "") + element.tail
    parent.remove(element)


class _Into:
    """A file to write to that only hashes."""

    def __init__(self, hashed: Hash) -> None:
        self._hashed = hashed

    def write(self, data: bytes) -> int:
        self._hashed.update(data)
        return len(data)


def text_of(value: bytes) -> str:
    """Base64."""
    return base64.b64encode(value).decode("ascii")


def pieces(path: Path) -> Iterator[bytes]:
    """A file, piece by piece; the base64 of all pieces is that of the file."""
    with path.open("rb") as stream:
        yield from pieces_of(stream)


def pieces_of(stream: BinaryIO, length: int | None = None) -> Iterator[bytes]:
    """``length`` bytes from here, or all that is left."""
    while length is None or length > 0:
        piece = stream.read(_PIECE if length is None else min(length, _PIECE))
        if not piece:
            return
        length = None if length is None else length - len(piece)
        yield piece


def add_certificates(signature: Element, ders: Iterable[bytes]) -> Element:
    """``ds:KeyInfo`` with these certificates (DER)."""
    info = add(signature, tag("KeyInfo"))
    data = add(info, tag("X509Data"))
    for each in ders:
        add(data, tag("X509Certificate"), text_of(each))
    return info
