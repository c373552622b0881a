"""XML read within bounds, and the tree of TS 102 204 over it.

Refused before anything is looked at: more than 1 MiB, another encoding than UTF-8, a document type
declaration (so no entity of its own, internal or external), depth beyond 32, more than 20,000
elements. Nothing is ever fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from sim_adapter.errors import BodyTooLarge, InvalidInput
from sim_adapter.mss.model import Data
from sim_adapter.mss.tree import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lxml.etree import _Element as Element

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_ELEMENTS = 20_000
_XML = "http://www.w3.org/XML/1998/namespace"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
# Attributes of tool kits, without meaning for the types used here. xsi:nil is not among them.
_HARMLESS = frozenset({f"{{{_XML}}}lang", f"{{{_XSI}}}type", f"{{{_XSI}}}schemaLocation"})


def parse(body: bytes) -> Element:
    """The root element of ``body``; ``InvalidInput`` (``BodyTooLarge``) for what is refused."""
    if len(body) > MAX_BYTES:
        raise BodyTooLarge(f"{len(body)} bytes of XML")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"XML is not UTF-8: {error}") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InvalidInput("XML with a document type declaration")
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever the declaration claims
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidInput(f"not XML: {error}") from None
    _check_shape(root)
    return root


def _check_shape(root: Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise InvalidInput("XML with a document type declaration")
    level, total = [root], 0
    for _ in range(MAX_DEPTH):
        total += len(level)
        if total > MAX_ELEMENTS:
            raise InvalidInput(f"more than {MAX_ELEMENTS} elements")
        level = [child for element in level for child in element]
        if not level:
            return
    raise InvalidInput(f"XML nested deeper than {MAX_DEPTH}")


def tag_of(name: str) -> str:
    """``fi:PKCS1`` as ``{namespace}PKCS1``; without a prefix in the namespace of TS 102 204."""
    prefix, _, local = name.rpartition(":")
    return f"{{{NAMESPACES[prefix or 'mss']}}}{local}"


def tag(element: Element) -> str:
    """``{namespace}name``."""
    return str(element.tag)


def local_name(element: Element) -> str:
    """The tag without its namespace."""
    return etree.QName(element).localname


def namespace(element: Element) -> str:
    """The tag's namespace, empty for none."""
    return etree.QName(element).namespace or ""


class XmlSource:
    """:class:`sim_adapter.mss.tree.Source` over an element.

    ``unqualified`` also takes elements in no namespace, which one tool kit (node ``soap``) sends.
    """

    def __init__(self, element: Element, *, unqualified: bool = False) -> None:
        self._element = element
        self._unqualified = unqualified
        self._left = list(element)
        self._attributes = {
            str(key): str(value) for key, value in element.attrib.items() if key not in _HARMLESS
        }
        if self._left and any(text.strip() for text in _texts_between(element)):
            raise InvalidInput(f"text between the elements of {tag(element)}")

    def attribute(self, name: str) -> str | None:
        """See :class:`Source`."""
        return self._attributes.pop(name, None)

    def flag(self, name: str) -> bool | None:
        """See :class:`Source`."""
        value = self.attribute(name)
        if value not in {None, "true", "false", "0", "1"}:
            raise InvalidInput(f"{name} is no truth value")
        return None if value is None else value in {"true", "1"}

    def text(self, name: str) -> str | None:
        """See :class:`Source`."""
        found = self._one(name)
        return None if found is None else _plain(found).strip()

    def texts(self, name: str) -> list[str]:
        """See :class:`Source`."""
        return [_plain(element).strip() for element in self._take(name)]

    def wrapped(self, name: str) -> str | None:
        """See :class:`Source`."""
        return self.text(name)

    def child(self, name: str) -> XmlSource | None:
        """See :class:`Source`."""
        found = self._one(name)
        return None if found is None else XmlSource(found, unqualified=self._unqualified)

    def children(self, name: str) -> Sequence[XmlSource]:
        """See :class:`Source`."""
        return [XmlSource(element, unqualified=self._unqualified) for element in self._take(name)]

    def services(self) -> Sequence[XmlSource]:
        """See :class:`Source`."""
        container = self.child("AdditionalServices")
        if container is None:
            return []
        services = container.children("Service")
        container.done()
        return services

    def uris(self, name: str) -> list[str]:
        """See :class:`Source`."""
        return [_uri(source) for source in self.children(name)]

    def data(self, name: str) -> Data | None:
        """See :class:`Source`."""
        found = self._one(name)
        if found is None:
            return None
        return Data(_plain(found), found.get("MimeType"), found.get("Encoding"))

    def skip(self, name: str) -> None:
        """See :class:`Source`."""
        self._take(name)

    def done(self) -> None:
        """See :class:`Source`."""
        left = [tag(element) for element in self._left] + list(self._attributes)
        if left:
            raise InvalidInput(f"{tag(self._element)}: unexpected {left[0][:100]}")

    def _one(self, name: str) -> Element | None:
        found = self._take(name)
        if len(found) > 1:
            raise InvalidInput(f"{tag(self._element)}: {name} twice")
        return found[0] if found else None

    def _take(self, name: str) -> list[Element]:
        tags = {tag_of(name)} | ({name.rpartition(":")[2]} if self._unqualified else set())
        found = [element for element in self._left if element.tag in tags]
        self._left = [element for element in self._left if element.tag not in tags]
        return found


class XmlSink:
    """:class:`sim_adapter.mss.tree.Sink` over an element."""

    def __init__(self, element: Element) -> None:
        self._element = element

    def attribute(self, name: str, value: str | None) -> None:
        """See :class:`Sink`."""
        if value is not None:
            self._element.set(name, value)

    def flag(self, name: str, value: bool | None) -> None:  # noqa: FBT001 - the value to write
        """See :class:`Sink`."""
        self.attribute(name, None if value is None else str(value).lower())

    def text(self, name: str, value: str | None) -> None:
        """See :class:`Sink`."""
        if value is not None:
            etree.SubElement(self._element, tag_of(name)).text = value

    def texts(self, name: str, values: Sequence[str]) -> None:
        """See :class:`Sink`."""
        for value in values:
            self.text(name, value)

    def wrapped(self, name: str, value: str | None) -> None:
        """See :class:`Sink`."""
        self.text(name, value)

    def child(self, name: str) -> XmlSink:
        """See :class:`Sink`."""
        return XmlSink(etree.SubElement(self._element, tag_of(name)))

    def item(self, name: str) -> XmlSink:
        """See :class:`Sink`."""
        return self.child(name)

    def service(self) -> XmlSink:
        """See :class:`Sink`."""
        container = self._element.find(tag_of("AdditionalServices"))
        if container is None:
            container = etree.SubElement(self._element, tag_of("AdditionalServices"))
        return XmlSink(container).child("Service")

    def uris(self, name: str, values: Sequence[str]) -> None:
        """See :class:`Sink`."""
        for value in values:
            self.child(name).text("mssURI", value)

    def data(self, name: str, value: Data | None) -> None:
        """See :class:`Sink`."""
        if value is not None:
            element = etree.SubElement(self._element, tag_of(name))
            element.text = value.value
            sink = XmlSink(element)
            sink.attribute("MimeType", value.mime_type)
            sink.attribute("Encoding", value.encoding)


def _texts_between(element: Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        yield child.tail or ""


def _plain(element: Element) -> str:
    if len(element):
        raise InvalidInput(f"{tag(element)} holds elements, not text")
    return element.text or ""


def _uri(source: XmlSource) -> str:
    value = source.text("mssURI")
    source.skip("DigestAlgAndValue")
    source.done()
    if value is None:
        raise InvalidInput("an mssURIType without mssURI")
    return value
