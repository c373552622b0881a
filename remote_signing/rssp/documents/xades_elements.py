"""The elements of a XAdES signature (ETSI EN 319 132-1), around a signature value made elsewhere.

Nothing is random here: a template depends on the recipe and on what is referred to alone.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, cast

from lxml import etree

from remote_signing.rssp.documents import xmldsig
from remote_signing.rssp.documents.xmldsig import DS, EXCLUSIVE, Reference, add, canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lxml.etree import _Element as Element

    from remote_signing.rssp.documents.model import Material, Recipe
    from remote_signing.rssp.documents.xmldsig import Hash

XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
XADES141: Final = "http://uri.etsi.org/01903/v1.4.1#"
SIGNED_PROPERTIES: Final = "http://uri.etsi.org/01903#SignedProperties"
# Signed properties of CSC's signed_props, in the order of the schema.
OF_SIGNATURE: Final = (
    "SignaturePolicyIdentifier",
    "SignatureProductionPlaceV2",
    "SignerRoleV2",
)


def tag(name: str) -> str:
    """``{namespace}name`` of XAdES."""
    return f"{{{XADES}}}{name}"


def token(recipe: Recipe, *contents: bytes) -> str:
    """What makes the Ids of a signature unlike those of others in the same document."""
    parts = (recipe.certificate, str(recipe.claimed_ms).encode("ascii"), *contents)
    digests = b"".join(hashlib.sha256(each).digest() for each in parts)
    return hashlib.sha256(digests).hexdigest()[:32]


def template(recipe: Recipe, ids: str, references: Sequence[Reference]) -> Element:
    """``ds:Signature`` with an empty value; ``ids`` as :func:`token` made it."""
    signature = etree.Element(xmldsig.tag("Signature"), {"Id": f"id-{ids}"}, nsmap={"ds": DS})
    numbered = [
        Reference(each.uri, each.digest, each.transforms, each.kind, f"r{number}-{ids}", each.mime)
        for number, each in enumerate(references, 1)
    ]
    properties = _signed_properties(signature, recipe, ids, numbered)
    own = Reference(
        uri=f"#xades-{ids}",
        digest=hashlib.new(recipe.digest, canonical(properties)).digest(),
        transforms=(EXCLUSIVE,),
        kind=SIGNED_PROPERTIES,
    )
    info = xmldsig.add_signed_info(signature, recipe, [*numbered, own])
    signature.insert(0, info)
    signature.insert(1, add(signature, xmldsig.tag("SignatureValue"), Id=f"value-{ids}"))
    chain = dict.fromkeys([recipe.certificate, *recipe.chain[:-1]])
    signature.insert(2, xmldsig.add_certificates(signature, chain))
    return signature


def child(signature: Element, *names: str) -> Element:
    """The element at the end of this path of XML Signature names."""
    path = "/".join(map(xmldsig.tag, names))
    return cast("Element", signature.find(path))


def dtbs(signature: Element) -> bytes:
    """What the key signs the digest of."""
    return canonical(child(signature, "SignedInfo"))


def put_value(signature: Element, recipe: Recipe, value: bytes) -> Element:
    """Fill in the signature (DER for ECDSA); the element that the time stamp of B-T is over."""
    place = child(signature, "SignatureValue")
    place.text = xmldsig.text_of(xmldsig.signature_value(recipe, value))
    return place


def add_signature_stamp(signature: Element, stamp: bytes) -> None:
    """``SignatureTimeStamp`` (cl. 5.3) with a TimeStampToken."""
    _add_stamp(_unsigned(signature), tag("SignatureTimeStamp"), stamp)


def add_material(signature: Element, material: Material) -> None:
    """``CertificateValues`` and ``RevocationValues`` (cl. 5.4): what level B-LT asks for."""
    place = _unsigned(signature)
    values = add(place, tag("CertificateValues"))
    for each in dict.fromkeys(material.certificates):
        add(values, tag("EncapsulatedX509Certificate"), xmldsig.text_of(each))
    revocation = add(place, tag("RevocationValues"))
    for holder, name, ders in (
        ("CRLValues", "EncapsulatedCRLValue", material.crls),
        ("OCSPValues", "EncapsulatedOCSPValue", material.ocsp),
    ):
        if ders:
            inner = add(revocation, tag(holder))
            for each in ders:
                add(inner, tag(name), xmldsig.text_of(each))


def archive_digest(
    signature: Element,
    algorithm: str,
    documents: Callable[[Hash], None],
    objects: Iterable[bytes] = (),
) -> bytes:
    """What ``ArchiveTimeStamp`` is over (cl. 5.5.2.2), of everything before it.

    ``documents`` hashes what the references lead to, after their transforms; ``objects`` is the
    canonical form of each ``ds:Object`` beside that of the qualifying properties.
    """
    hashed = hashlib.new(algorithm)
    documents(hashed)
    hashed.update(canonical(_found(signature, "SignedProperties")))
    for name in ("SignedInfo", "SignatureValue", "KeyInfo"):
        hashed.update(canonical(child(signature, name)))
    for each in _unsigned(signature):
        hashed.update(canonical(each))
    for part in objects:
        hashed.update(part)
    return hashed.digest()


def add_archive_stamp(signature: Element, stamp: bytes) -> None:
    """``ArchiveTimeStamp`` (cl. 5.5.2) with a TimeStampToken."""
    _add_stamp(_unsigned(signature), f"{{{XADES141}}}ArchiveTimeStamp", stamp)


def _signed_properties(
    signature: Element, recipe: Recipe, ids: str, references: Sequence[Reference]
) -> Element:
    holder = add(
        add(signature, xmldsig.tag("Object")),
        tag("QualifyingProperties"),
        nsmap={"xades": XADES},
        Target=f"#id-{ids}",
    )
    properties = add(holder, tag("SignedProperties"), Id=f"xades-{ids}")
    _of_signature(add(properties, tag("SignedSignatureProperties")), recipe)
    _of_documents(add(properties, tag("SignedDataObjectProperties")), recipe, references)
    return properties


def _of_signature(place: Element, recipe: Recipe) -> None:
    add(place, tag("SigningTime"), recipe.claimed.strftime("%Y-%m-%dT%H:%M:%SZ"))
    certificate = add(add(place, tag("SigningCertificateV2")), tag("Cert"))
    digest = hashlib.new(recipe.digest, recipe.certificate).digest()
    xmldsig.add_digest(add(certificate, tag("CertDigest")), recipe.digest, digest)
    for name in OF_SIGNATURE:
        if name in recipe.texts:
            place.append(etree.fromstring(recipe.texts[name]))


def _of_documents(place: Element, recipe: Recipe, references: Sequence[Reference]) -> None:
    for each in references:
        told = add(place, tag("DataObjectFormat"), ObjectReference=f"#{each.id}")
        add(told, tag("MimeType"), each.mime)
    if "CommitmentTypeIndication" in recipe.texts:
        place.append(etree.fromstring(recipe.texts["CommitmentTypeIndication"]))


def _unsigned(signature: Element) -> Element:
    """``UnsignedSignatureProperties``, made when it is not there yet."""
    holder = _found(signature, "QualifyingProperties")
    for name in ("UnsignedProperties", "UnsignedSignatureProperties"):
        inner = holder.find(tag(name))
        holder = add(holder, tag(name)) if inner is None else inner
    return holder


def _found(signature: Element, name: str) -> Element:
    """Of our own properties: those of the signed document are in objects behind them, or base64."""
    return next(signature.iter(tag(name)))


def _add_stamp(place: Element, name: str, stamp: bytes) -> None:
    made = add(place, name, nsmap={"xades141": XADES141} if XADES141 in name else None)
    add(made, xmldsig.tag("CanonicalizationMethod"), Algorithm=EXCLUSIVE)
    add(made, tag("EncapsulatedTimeStamp"), xmldsig.text_of(stamp))
