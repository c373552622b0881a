"""XAdES signatures that the service made, with the time stamps and status that their level has."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from asn1crypto import tsp
from lxml import etree

from remote_signing.rssp.documents.model import LEVELS
from tests.support.xml_judges import (
    canonical,
    found,
    schema_mistakes,
    signatures,
    signxml_accepts,
    xmlsec_says,
)

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

    from remote_signing.rssp.documents.model import Level

CONTENT = '<VanBan xmlns="urn:vn:van-ban"><NoiDung>Bổ nhiệm</NoiDung></VanBan>'.encode()
NAME = "van-ban.xml"
"""How a signature that stands alone refers to :data:`CONTENT`."""
_PROPERTIES = (
    *("SignatureTimeStamp", "CertificateValues", "RevocationValues"),
    "ArchiveTimeStamp",
)
_UP_TO = dict(zip(LEVELS, (0, 1, 3, 4), strict=True))


def accepted(root: bytes, content: bytes, level: Level, digest: str = "sha256") -> None:
    """All judges say yes to the only signature in ``content``, with ``root`` as anchor (DER)."""
    documents = {NAME: CONTENT}
    assert schema_mistakes(content) == []
    assert xmlsec_says(content, root, documents) == "+"
    (signature,) = signatures(content)
    certificate = found(signature, "ds:KeyInfo/ds:X509Data/ds:X509Certificate")[0]
    assert signxml_accepts(content, base64.b64decode(certificate.text or ""), documents)
    held = found(signature, ".//xades:UnsignedSignatureProperties/*")
    assert [etree.QName(each).localname for each in held] == list(_PROPERTIES[: _UP_TO[level]])
    if level != "B-B":
        value = canonical(found(signature, "ds:SignatureValue")[0])
        assert imprint(signature, "SignatureTimeStamp") == hashlib.new(digest, value).digest()
    if level == "B-LTA":
        assert imprint(signature, "ArchiveTimeStamp") == archived(signature, CONTENT, digest)
    counts = [
        len(found(signature, f".//xades:Encapsulated{kind}"))
        for kind in ("X509Certificate", "OCSPValue", "CRLValue")
    ]
    assert counts == ([5, 2, 2] if level in {"B-LT", "B-LTA"} else [0, 0, 0])


def imprint(signature: Element, name: str) -> bytes:
    """What the time stamp in this property is over."""
    (held,) = found(signature, f".//*[local-name()='{name}']/xades:EncapsulatedTimeStamp")
    return stamped(base64.b64decode(held.text or ""))


def stamped(token: bytes) -> bytes:
    """The digest in a TimeStampToken."""
    info: Any = tsp.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed
    digest: bytes = info["message_imprint"]["hashed_message"].native
    return digest


def archived(signature: Element, documents: bytes, digest: str) -> bytes:
    """EN 319 132-1 cl. 5.5.2.2; ``documents`` is what the references lead to, one after another.

    Canonical forms are made by another implementation than the service's.
    """
    hashed = hashlib.new(digest, documents)
    parts = found(signature, ".//xades:SignedProperties")
    for name in ("SignedInfo", "SignatureValue", "KeyInfo"):
        parts += found(signature, f"ds:{name}")
    parts += found(signature, ".//xades:UnsignedSignatureProperties/*[not(self::xades141:*)]")
    parts += found(signature, "ds:Object[not(xades:QualifyingProperties)]")
    for part in parts:
        hashed.update(canonical(part))
    return hashed.digest()
