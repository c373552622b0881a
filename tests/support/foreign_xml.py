"""XAdES signatures made step by step, without this project's code, good ones and twisted ones."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

if TYPE_CHECKING:
    from tests.support.foreign_pki import Holder

DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
ENVELOPED = f"{DS}enveloped-signature"

_REFERENCE = """
  <ds:Reference{kind} URI="{uri}"><ds:Transforms>{transforms}</ds:Transforms>
  <ds:DigestMethod Algorithm="{method}"/><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"""
_SIGNATURE = """<ds:Signature xmlns:ds="{ds}" Id="sig"><ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="{c14n}"/><ds:SignatureMethod Algorithm="{method}"/>
{references}</ds:SignedInfo><ds:SignatureValue>{value}</ds:SignatureValue>
<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>
</ds:KeyInfo><ds:Object><xades:QualifyingProperties xmlns:xades="{xades}" Target="{target}">
{properties}</xades:QualifyingProperties></ds:Object></ds:Signature>"""
_PROPERTIES = """<xades:SignedProperties xmlns:xades="{xades}" xmlns:ds="{ds}" Id="props">
<xades:SignedSignatureProperties><xades:SigningTime>2026-01-05T03:00:00Z</xades:SigningTime>
<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>
<ds:DigestMethod Algorithm="{method}"/><ds:DigestValue>{digest}</ds:DigestValue>
</xades:CertDigest></xades:Cert></xades:SigningCertificateV2>
</xades:SignedSignatureProperties></xades:SignedProperties>"""


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def c14n(data: bytes, *, exclusive: bool = False) -> bytes:
    root = etree.fromstring(data, etree.XMLParser(huge_tree=True))
    made: bytes = etree.tostring(root, method="c14n", exclusive=exclusive)
    return made


@dataclass
class Reference:
    """``octets`` are what is hashed."""

    uri: str
    octets: bytes
    transforms: tuple[str, ...] = ()
    kind: str = ""

    def text(self) -> str:
        steps = "".join(
            each if each.startswith("<") else f'<ds:Transform Algorithm="{each}"/>'
            for each in self.transforms
        )
        kind = f' Type="{self.kind}"' if self.kind else ""
        digest = b64(hashlib.sha256(self.octets).digest())
        return _REFERENCE.format(
            kind=kind, uri=self.uri, transforms=steps, method=SHA256, digest=digest
        )


@dataclass
class XmlPen:
    """Signs for ``holder``; each field may be bent."""

    holder: Holder
    method: str = ECDSA
    target: str = "#sig"
    certificate: bytes = b""  # in KeyInfo; empty: the holder's
    digest_of: bytes = b""  # the certificate that the signed properties name
    with_properties: bool = True
    further: list[Reference] = field(default_factory=list)

    def signature(self, *references: Reference) -> bytes:
        der = self.certificate or self.holder.der
        digest = b64(hashlib.sha256(self.digest_of or self.holder.der).digest())
        properties = _PROPERTIES.format(xades=XADES, ds=DS, method=SHA256, digest=digest)
        kind = "http://uri.etsi.org/01903#SignedProperties"
        octets = c14n(properties.encode(), exclusive=True)
        own = [Reference("#props", octets, (EXCLUSIVE,), kind)] if self.with_properties else []
        listed = "".join(each.text() for each in (*references, *own, *self.further))
        filled = _SIGNATURE.format(
            ds=DS,
            c14n=EXCLUSIVE,
            method=self.method,
            references=listed,
            value="",
            certificate=b64(der),
            xades=XADES,
            target=self.target,
            properties=properties,
        )
        root = etree.fromstring(filled.encode())
        info, value = (root.find(f"{{{DS}}}{name}") for name in ("SignedInfo", "SignatureValue"))
        assert info is not None
        assert value is not None
        signed = etree.tostring(info, method="c14n", exclusive=True)
        first, second = decode_dss_signature(
            self.holder.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        )
        value.text = b64(first.to_bytes(32) + second.to_bytes(32))
        return etree.tostring(root)

    def enveloped(self, document: bytes, transforms: tuple[str, ...] = (ENVELOPED,)) -> bytes:
        """``document``, which ends with its root's end tag, with the signature inside the root."""
        signature = self.signature(Reference("", c14n(document), transforms))
        start, _, end = document.rpartition(b"</")
        return start + signature + b"</" + end
