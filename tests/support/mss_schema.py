"""The schemas of TS 102 204 as a judge of what we emit, and zeep as a client not of our making."""

from __future__ import annotations

import importlib.resources
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zeep
from lxml import etree
from zeep.transports import Transport

from sim_adapter.mss.model import MSS

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

FOLDER = Path(str(importlib.resources.files("sim_adapter"))) / "mssp" / "schema"
WSDL = FOLDER / "etsi204-kiuru.wsdl"
_XML_XSD = ("http://www.w3.org/2001/xml.xsd", "https://www.w3.org/2001/xml.xsd")
_ENVELOPE = "{http://www.w3.org/2003/05/soap-envelope}"
_XS = "{http://www.w3.org/2001/XMLSchema}"
_BINDING = "{http://uri.etsi.org/TS102204/etsi204-kiuru.wsdl}"


class _Local(etree.Resolver):
    """Nothing is fetched: the one schema that is named by its address is beside the others."""

    def resolve(self, url: str | None, _public_id: str | None, context: Any) -> Any:
        if url in _XML_XSD:
            return self.resolve_filename(str(FOLDER / "schema" / "w3" / "xml.xsd"), context)
        return None


@cache
def _schema(name: str) -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True, load_dtd=False)
    parser.resolvers.add(_Local())
    document = etree.parse(str(FOLDER / "schema" / name), parser)
    for wildcard in document.iter(f"{_XS}any"):
        _make_deterministic(wildcard)
    return etree.XMLSchema(document)


def _make_deterministic(wildcard: Element) -> None:
    """Drop the extensions that are named beside a wildcard which takes them too.

    libxml2 refuses such a pair (XML Schema 1.0 cl. 3.8.6, unique particle attribution). The
    wildcard is lax, so it still holds those elements against their own declarations.
    """
    parent = wildcard.getparent()
    if parent is not None and wildcard.get("namespace") == "##other":
        for element in parent.findall(f"{_XS}element"):
            if not (element.get("ref") or "mss:").startswith("mss:"):
                parent.remove(element)


def errors(body: bytes) -> list[str]:
    """What the schemas say against a SOAP message: envelope, and the message in its accessor."""
    envelope = etree.fromstring(body)
    found = _against("w3/soap-envelope.xsd", envelope)
    inside = envelope.find(f"{_ENVELOPE}Body")
    assert inside is not None
    if inside[0].tag == f"{_ENVELOPE}Fault":
        return found
    accessor = inside[0][0]
    assert etree.QName(accessor).namespace is None, "accessors are in no namespace"
    # The schema declares an element for each type.
    accessor.tag = f"{{{MSS}}}{etree.QName(accessor).localname}"
    return found + _against("methics/MSS-plus-Mobile-Ink.xsd", accessor)


def _against(name: str, element: Element) -> list[str]:
    schema = _schema(name)
    schema.validate(etree.fromstring(etree.tostring(element)))
    return [str(error) for error in schema.error_log]


class _LocalTransport(Transport):
    def load(self, url: str) -> Any:
        if url in _XML_XSD:
            return (FOLDER / "schema" / "w3" / "xml.xsd").read_bytes()
        return _transport.load(self, url)


_zeep: Any = zeep  # it has no types
_transport: Any = Transport
_local_transport: Any = _LocalTransport


def zeep_client() -> Any:
    """A client of the WSDL. The xenc schema has an entity, which only this loading allows."""
    settings = _zeep.Settings(strict=False, forbid_entities=False)
    transport = _local_transport(timeout=60)
    return _zeep.Client(str(WSDL), transport=transport, settings=settings)


def zeep_port(client: Any, binding: str, url: str) -> Any:
    """``binding`` of the WSDL at ``url``."""
    return client.create_service(f"{_BINDING}{binding}", url)
