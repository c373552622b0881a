"""XML of strangers, read within bounds: no document type, so no entity; nothing is ever fetched.

expat looks at a document first, piece by piece: it tells the bounds and where the root's end tag
is, before libxml2 makes a tree of it. A signature goes in front of that tag and every other byte
stays as it was.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, BinaryIO
from xml.parsers import expat

from lxml import etree

from remote_signing.errors import DocumentUnusable

if TYPE_CHECKING:
    from lxml.etree import _Element as Element
    from lxml.etree import _ElementTree as ElementTree

MAX_DEPTH = 200
MAX_PARTS = 2_000_000  # elements and attributes
MAX_ATTRIBUTES = 256  # of one element, declarations of namespaces among them
# libxml2's canonical form compares all declarations in scope with each other at each element, and
# its attributes: 3 ns each time, during which no signal is looked at.
MAX_COMPARISONS = 2_000_000_000
_PIECE = 1024 * 1024
_ENCODINGS = {None, "utf-8", "us-ascii"}
_NOT_UTF8 = "the XML is not UTF-8"


def find_root_end(stream: BinaryIO) -> tuple[int, str]:
    """The offset of the root's end tag, or behind ``<root/>``, and its name as it is written.

    Reads all of ``stream``. Raises ``DocumentUnusable`` (public ``reason``).
    """
    scan = _Scan()
    stream.seek(0)
    try:
        while piece := stream.read(_PIECE):
            scan.parser.Parse(piece, False)  # noqa: FBT003 - takes no keyword
        scan.parser.Parse(b"", True)  # noqa: FBT003 - as above
    except (expat.ExpatError, ValueError) as error:  # ValueError: an unknown encoding
        raise DocumentUnusable(f"expat: {error}", reason="the XML is damaged") from error
    stream.seek(scan.end - 2)
    around = stream.read(4)
    if around[2:] != b"</" and around[:2] != b"/>":
        raise DocumentUnusable("UTF-16", reason=_NOT_UTF8)
    return scan.end, scan.root


def tree(stream: BinaryIO) -> ElementTree[Element]:
    """The tree of what :func:`find_root_end` has let pass."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=True,  # for long texts: depth and entities were looked at
    )
    stream.seek(0)
    try:
        return etree.parse(stream, parser)
    except etree.XMLSyntaxError as error:
        # expat has found nothing wrong; where libxml2 names no line, its memory was at an end.
        if not error.lineno or error.code == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from error
        raise DocumentUnusable(f"libxml2: {error}", reason="the XML is damaged") from error


class _Scan:
    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.ordered_attributes = True
        self.parser.XmlDeclHandler = self._declaration
        self.parser.StartDoctypeDeclHandler = self._document_type
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.end, self.root = -1, ""
        self._depth = self._parts = self._comparisons = 0
        self._declared = [0]  # in scope, at each level

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if (encoding and encoding.lower()) not in _ENCODINGS:
            # A signature is written in UTF-8, and offsets are of bytes.
            raise DocumentUnusable(f"encoding {encoding!r:.40}", reason=_NOT_UTF8)

    @staticmethod
    def _document_type(*_parts: object) -> None:
        raise DocumentUnusable("DOCTYPE", reason="the XML has a document type declaration")

    def _start(self, _name: str, attributes: list[str]) -> None:
        self._depth += 1
        own = len(attributes) // 2
        self._parts += 1 + own
        names = sum(1 for name in attributes[::2] if name.startswith("xmlns"))
        self._declared.append(self._declared[-1] + names)
        self._comparisons += self._declared[-1] ** 2 + own**2
        found = (self._depth, own, self._parts, self._comparisons)
        if any(map(operator.gt, found, (MAX_DEPTH, MAX_ATTRIBUTES, MAX_PARTS, MAX_COMPARISONS))):
            raise DocumentUnusable(f"counts {found}", reason="the XML is too deep or too large")

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._declared.pop()
        if self._depth == 0:
            self.end, self.root = self.parser.CurrentByteIndex, name
