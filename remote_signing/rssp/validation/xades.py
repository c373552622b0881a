"""XML signatures (XAdES, ETSI EN 319 132-1), in a document, around one, or beside it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lxml import etree

from remote_signing.rssp.validation import raw_signature, xml_tree, xmldsig
from remote_signing.rssp.validation.cms import inner_values
from remote_signing.rssp.validation.model import (
    BROKEN,
    Document,
    Found,
    Material,
    Octets,
    Problem,
    Scope,
    Stamp,
    sha256,
    unusable,
)
from remote_signing.rssp.validation.xml_tree import DS, Unsafe
from remote_signing.rssp.validation.xmldsig import DIGESTS, References, child, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lxml.etree import _Element as Element
    from lxml.etree import _ElementTree as ElementTree

    from remote_signing.rssp.validation.file_content import FileContent
    from remote_signing.rssp.validation.xmldsig import Outside, Reference

_XADES: Final = "{http://uri.etsi.org/01903/v1.3.2#}"
_XADES141: Final = "{http://uri.etsi.org/01903/v1.4.1#}"
_SIGNED: Final = "http://uri.etsi.org/01903#SignedProperties"
_DEFAULT: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_SIGNATURE_STAMP, _ARCHIVE_STAMP = f"{_XADES}SignatureTimeStamp", f"{_XADES141}ArchiveTimeStamp"
_OTHER_STAMPS = {
    f"{_XADES}ArchiveTimeStamp",  # the first one, known and not judged
    f"{_XADES}SigAndRefsTimeStamp",
    f"{_XADES141}SigAndRefsTimeStampV2",
}
_MOST_STAMPS = 40
_LONGEST_TIME = 40


class OneFile:
    """The file beside a detached signature, whatever the signature calls it."""

    def __init__(self, content: FileContent | None) -> None:
        self._content = content

    def find(self, name: str) -> bytes | None:  # noqa: ARG002 - as Outside
        """As :class:`.xmldsig.Outside`."""
        return None if self._content is None else self._content.path.read_bytes()


def read(data: bytes, content: FileContent | None, most: int) -> Document:
    """The signatures in an XML document; ``content`` is what a detached one is over.

    Raises ``DocumentUnusable``: ``damaged``, ``xml_with_dtd``, ``too_many_signatures``,
    ``content_missing``.
    """
    tree = xml_tree.parse(data)
    found = signatures(tree, OneFile(content), most, "")
    if content is None and any(_lacks_content(each) for each in found):
        raise unusable("content_missing")
    return Document("XML", tuple(found))


def _lacks_content(found: Found) -> bool:
    return found.problem is not None and found.problem.reason == "reference_missing"


def signatures(tree: ElementTree[Element], outside: Outside, most: int, prefix: str) -> list[Found]:
    """Each signature of ``tree``, named by ``prefix`` and its number."""
    elements = xml_tree.signatures(tree)
    if len(elements) > most:
        raise unusable("too_many_signatures")
    ids = xml_tree.ids(tree)
    return [
        _signature(tree, each, ids, outside, f"{prefix}{number}")
        for number, each in enumerate(elements, 1)
    ]


def _signature(
    tree: ElementTree[Element],
    element: Element,
    ids: dict[str, Element | None],
    outside: Outside,
    name: str,
) -> Found:
    try:
        return _Reader(tree, element, ids, outside).found(name)
    except Unsafe:
        return Found(name, "XAdES", problem=Problem("GENERIC", "reference_unsafe"))
    except (*BROKEN, etree.LxmlError):
        return Found(name, "XAdES", problem=Problem("FORMAT_FAILURE", "malformed"))


class _Reader:
    """Of one signature. What it raises is in :data:`.model.BROKEN`, or ``Unsafe``."""

    def __init__(
        self,
        tree: ElementTree[Element],
        element: Element,
        ids: dict[str, Element | None],
        outside: Outside,
    ) -> None:
        self._element = element
        self._references = References(tree, element, ids, outside)
        self._value = decoded(child(element, "SignatureValue"))
        self._certificates = [
            decoded(each) for each in element.findall(f"{{{DS}}}KeyInfo//{{{DS}}}X509Certificate")
        ]
        self._properties = _one(element, f"{{{DS}}}Object/{_XADES}QualifyingProperties")

    def found(self, name: str) -> Found:
        """The facts."""
        method = xmldsig.method_of(self._element)
        references, problem = self._references.check()
        signed = self._signed(references)
        certificate, is_bound = self._certificate(signed)
        found = Found(
            name,
            "XML" if signed is None else "XAdES",
            value=self._value,
            certificate=certificate,
            bound=is_bound,
            claimed=_claimed(signed),
            scopes=tuple(each.scope for each in references if each.scope is not None),
        )
        if method is None:
            return replace(found, problem=problem or Problem("GENERIC", "not_supported"))
        weakest = self._references.weakest()
        digest = weakest if weakest in {"sha1", "sha224"} else method.digest
        if certificate is not None:
            info = xmldsig.signed_info(self._element)
            problem = problem or raw_signature.check(method, certificate, self._value, info)
        return replace(
            found,
            problem=problem or _partial(found.scopes),
            digest=digest,
            scheme=method.scheme,
            material=self._material(),
            stamps=tuple(self._stamps(references)),
        )

    def _signed(self, references: Sequence[Reference]) -> Element | None:
        """The signed properties, if it is those of this very signature that are signed."""
        if self._properties is None:
            return None
        own = _one(self._properties, f"{_XADES}SignedProperties")
        target = self._properties.get("Target", "")
        if own is None or target != f"#{self._element.get('Id', '')}":
            return None
        is_signed = any(each.kind == _SIGNED and each.element is own for each in references)
        return own if is_signed else None

    def _certificate(self, signed: Element | None) -> tuple[bytes | None, bool]:
        """The signer's certificate, and whether it is among what is signed."""
        for each in self._certificates if signed is not None else ():
            if _names(signed, each):
                return each, True
        named = signed is not None and _identities(signed)
        if named or not self._certificates:
            return None, False
        return self._certificates[0], False

    def _material(self) -> Material:
        """Certificates and status in the unsigned properties."""
        found = {
            name: tuple(
                decoded(each)
                for holder in self._unsigned()
                for each in holder.iter(f"{_XADES}Encapsulated{name}")
            )
            for name in ("X509Certificate", "OCSPValue", "CRLValue")
        }
        certificates = (*self._certificates, *found["X509Certificate"])
        return Material(certificates, found["OCSPValue"], found["CRLValue"])

    def _unsigned(self) -> list[Element]:
        if self._properties is None:
            return []
        path = f"{_XADES}UnsignedProperties/{_XADES}UnsignedSignatureProperties"
        holder = _one(self._properties, path)
        return [] if holder is None else [each for each in holder if isinstance(each.tag, str)]

    def _stamps(self, references: Sequence[Reference]) -> Iterator[Stamp]:
        """From the inside out, which is their order."""
        covers = {sha256(self._value)}
        before: list[Element] = []
        covered = set(covers) | {sha256(each) for each in self._certificates}
        number = 0
        for each in self._unsigned():
            if each.tag in {_SIGNATURE_STAMP, _ARCHIVE_STAMP, *_OTHER_STAMPS}:
                for token in each.findall(f"{_XADES}EncapsulatedTimeStamp"):
                    number += 1
                    if number > _MOST_STAMPS:
                        raise ValueError("so many time stamps")
                    der = decoded(token)
                    yield self._stamp(each, der, references, before, covers, covered)
                    covered |= inner_values(der)
            covered |= _inside(each)
            before.append(each)

    def _stamp(  # noqa: PLR0913, PLR0917 - what a time stamp covers depends on all of it
        self,
        element: Element,
        token: bytes,
        references: Sequence[Reference],
        before: Sequence[Element],
        covers: set[bytes],
        covered: set[bytes],
    ) -> Stamp:
        how = element.find(f"{{{DS}}}CanonicalizationMethod")
        algorithm = _DEFAULT if how is None else how.get("Algorithm", "")
        try:
            if element.tag == _SIGNATURE_STAMP:
                value = xml_tree.canonical(child(self._element, "SignatureValue"), algorithm)
                return Stamp("signature", token, Octets(value), frozenset(covers))
            if element.tag == _ARCHIVE_STAMP:
                over = Octets(self._archived(references, before, algorithm))
                return Stamp("archive", token, over, frozenset(covered))
        except Unsafe:
            pass
        return Stamp("archive", token, None)

    def _archived(
        self, references: Sequence[Reference], before: Sequence[Element], algorithm: str
    ) -> bytes:
        """What ArchiveTimeStamp is over (cl. 5.5.2.2)."""
        info = self._element.findall(f"{{{DS}}}KeyInfo")
        own = [child(self._element, name) for name in ("SignedInfo", "SignatureValue")]
        holder = None if self._properties is None else self._properties.getparent()
        objects = [e for e in self._element.findall(f"{{{DS}}}Object") if e is not holder]
        elements = (*own, *info, *before, *objects)
        parts = [xml_tree.canonical(each, algorithm) for each in elements]
        return b"".join([*(each.octets for each in references), *parts])


def _one(element: Element, path: str) -> Element | None:
    """The only element on ``path``; None when there is none. ``ValueError``: several."""
    found = element.findall(path)
    if len(found) > 1:
        raise ValueError(f"{len(found)} times {path[-40:]}")
    return found[0] if found else None


def _identities(signed: Element | None) -> list[Element]:
    """SigningCertificate(V2): digests of certificates, the signer's first."""
    if signed is None:
        return []
    place = f"{_XADES}SignedSignatureProperties/{_XADES}SigningCertificate"
    return [
        *signed.findall(f"{place}V2/{_XADES}Cert/{_XADES}CertDigest"),
        *signed.findall(f"{place}/{_XADES}Cert/{_XADES}CertDigest"),
    ]


def _names(signed: Element | None, certificate: bytes) -> bool:
    """Whether the first identity is that of ``certificate`` (DER)."""
    for each in _identities(signed)[:1]:
        algorithm = DIGESTS.get(child(each, "DigestMethod").get("Algorithm", ""), "")
        digest = hashlib.new(algorithm, certificate).digest() if algorithm else b""
        return digest == decoded(child(each, "DigestValue"))
    return False


def _claimed(signed: Element | None) -> datetime | None:
    if signed is None:
        return None
    path = f"{_XADES}SignedSignatureProperties/{_XADES}SigningTime"
    text = (signed.findtext(path) or "").strip()
    try:
        moment = datetime.fromisoformat(text[:_LONGEST_TIME])
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _partial(scopes: Sequence[Scope]) -> Problem | None:
    """A signature of nothing but its own properties, or of parts, is none of the document."""
    if not scopes:
        return Problem("SIG_CONSTRAINTS_FAILURE", "not_whole_document")
    if any(each.whole for each in scopes):
        return None
    return Problem("SIG_CONSTRAINTS_FAILURE", "not_whole_document")


def _inside(element: Element) -> set[bytes]:
    """Digests of certificates and status in an unsigned property."""
    names = ("X509Certificate", "OCSPValue", "CRLValue")
    return {
        sha256(decoded(each))
        for name in names
        for each in element.iter(f"{_XADES}Encapsulated{name}")
    }
