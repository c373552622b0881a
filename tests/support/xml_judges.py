"""What foreign programs say of XML signatures: xmlsec, signxml, and the schemas of ETSI and W3C.

signxml passes over filters that it does not know, so it is right about a document that has one
signature only; xmlsec reads all of them.
"""

from __future__ import annotations

import importlib
import io
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from lxml import etree
from signxml.exceptions import SignXMLException
from signxml.xades.xades import XAdESSignatureConfiguration, XAdESVerifier

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
XADES141 = "http://uri.etsi.org/01903/v1.4.1#"
NAMESPACES = {"ds": DS, "xades": XADES, "xades141": XADES141}
xmlsec: Any = importlib.import_module("xmlsec")  # its stubs lack much of it
_served: dict[bytes, bytes] = {}
_open: dict[int, io.BytesIO] = {}


def signatures(content: bytes) -> list[Element]:
    """Every ``ds:Signature`` of a document, in its order."""
    return list(etree.fromstring(content).iter(f"{{{DS}}}Signature"))


def found(element: Element, path: str) -> list[Element]:
    """What an XPath with the prefixes ds, xades and xades141 leads to."""
    elements: list[Element] = element.xpath(path, namespaces=NAMESPACES)
    return elements


def xmlsec_says(content: bytes, trusted: bytes, documents: dict[str, bytes] | None = None) -> str:
    """One letter for each signature: + where value, references and path are good, else -.

    ``trusted`` is a certificate (DER); ``documents`` are those that are not in ``content``.
    """
    _serve_only(documents or {})
    root = etree.fromstring(content)
    xmlsec.tree.add_ids(root, ["Id"])
    verdict = ""
    for node in root.iter(f"{{{DS}}}Signature"):
        try:
            xmlsec.SignatureContext(_trusting(trusted)).verify(node)
        except xmlsec.Error:
            verdict += "-"
        else:
            verdict += "+"
    return verdict


@cache
def _trusting(certificate: bytes) -> Any:
    """Costs 30 ms each time."""
    manager = xmlsec.KeysManager()
    kinds = (xmlsec.KeyFormat.CERT_DER, xmlsec.KeyDataType.TRUSTED)
    manager.load_cert_from_memory(certificate, *kinds)
    return manager


def signxml_accepts(
    content: bytes, certificate: bytes, documents: dict[str, bytes] | None = None
) -> bool:
    """Whether value, references and the digest of ``certificate`` (DER) are good."""
    expected = XAdESSignatureConfiguration(location=".//", expect_references=True)
    try:
        XAdESVerifier().verify(
            content,
            x509_cert=x509.load_der_x509_certificate(certificate),
            uri_resolver=(documents or {}).get,
            expect_config=expected,
        )
    except (SignXMLException, InvalidSignature):
        return False
    return True


def schema_mistakes(content: bytes) -> list[str]:
    """What of the signatures in ``content`` is not as the schemas say."""
    schema = _schema()
    return [
        str(schema.error_log) for each in signatures(content) if not schema.validate(_alone(each))
    ]


def canonical(element: Element) -> bytes:
    """By another implementation than libxml2's; of our elements C14N 2.0 says the same as 1.0."""
    return ET.canonicalize(etree.tostring(_alone(element), with_tail=False)).encode()


def _alone(element: Element) -> Element:
    return etree.fromstring(etree.tostring(element, with_tail=False))


@cache
def _schema() -> etree.XMLSchema:
    place = files("signxml") / "xades" / "schemas" / "all.xsd"
    imported = {
        XADES141: "XAdES01903v141-201601.xsd",
        XADES: "XAdES01903v132-201601.xsd",
        DS: "../../schemas/xmldsig-core-schema.xsd",
    }
    lines = "".join(
        f'<xs:import namespace="{name}" schemaLocation="{file}"/>'
        for name, file in imported.items()
    )
    text = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{lines}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(text, base_url=str(place)))


def _serve_only(documents: dict[str, bytes]) -> None:
    _served.clear()
    _served.update({name.encode(): content for name, content in documents.items()})


def _open_served(name: bytes) -> int:
    number = len(_open) + 1
    _open[number] = io.BytesIO(_served[name])
    return number


def _read_served(number: int, buffer: memoryview) -> int:
    return _open[number].readinto(buffer)


def _close_served(number: int) -> None:
    _open.pop(number).close()


# xmlsec asks these for what a reference names; nothing is ever read from disk or network.
xmlsec.cleanup_callbacks()
xmlsec.register_callbacks(lambda name: name in _served, _open_served, _read_served, _close_served)
