"""XML from strangers: read within bounds, and brought into the form that is hashed.

No document type, no entity, nothing fetched. What a signature refers to by an Id is looked up here,
never by a library that takes the first of two (signature wrapping): an Id that is there twice leads
nowhere.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import TYPE_CHECKING, Final, cast

from lxml import etree

from remote_signing.rssp.validation.model import unusable

if TYPE_CHECKING:
    from lxml.etree import _Element as Element
    from lxml.etree import _ElementTree as ElementTree

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
SIGNATURE: Final = f"{{{DS}}}Signature"
_XML: Final = "{http://www.w3.org/XML/1998/namespace}"
_IDS: Final = ("Id", "ID", "id", f"{_XML}id")
_MOST_ELEMENTS = 1_000_000
_DEEPEST = 256  # canonicalisation is recursive
_TOO_DEEP = f"boolean({'/*' * (_DEEPEST + 1)})"

EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_INCLUSIVE: Final = (
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/2006/12/xml-c14n11",
)
COMMENTS: Final = "WithComments"
CANONICAL: Final = frozenset(
    name + end
    for name, ends in (
        (EXCLUSIVE, ("", COMMENTS)),
        (_INCLUSIVE[0], ("", f"#{COMMENTS}")),
        (_INCLUSIVE[1], ("", f"#{COMMENTS}")),
    )
    for end in ends
)


class Unsafe(Exception):
    """What is referred to cannot be told for certain, or not in a way that is supported."""


def parse(data: bytes) -> ElementTree[Element]:
    """The document. Raises ``DocumentUnusable``: ``damaged``, ``too_heavy``, ``xml_with_dtd``."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=True,  # a document inside a signature is one long text; the bounds are ours
        remove_blank_text=False,
    )
    # Before the parser: with it, declarations would be read already.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or _is_wide(data):
        raise unusable("xml_with_dtd")
    try:
        tree = cast("ElementTree[Element]", etree.ElementTree(etree.fromstring(data, parser)))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise unusable("damaged", str(error)) from error
    if tree.docinfo.doctype:
        raise unusable("xml_with_dtd")
    if tree.xpath(f"count(//*) > {_MOST_ELEMENTS}") or tree.xpath(_TOO_DEEP):
        raise unusable("too_heavy")
    return tree


def _is_wide(data: bytes) -> bool:
    """UTF-16 and UTF-32, in which a document type would not be seen by the test above."""
    return b"\0" in data[:64]


def ids(tree: ElementTree[Element]) -> dict[str, Element | None]:
    """Elements by Id; None where two have the same."""
    found: dict[str, Element | None] = {}
    counted: Counter[str] = Counter()
    for element in tree.iter(etree.Element):
        for each in {str(element.attrib[name]) for name in _IDS if name in element.attrib}:
            counted[each] += 1
            found[each] = element if counted[each] == 1 else None
    return found


def signatures(tree: ElementTree[Element]) -> list[Element]:
    """Those that are not part of another one."""
    return [
        each for each in tree.iter(SIGNATURE) if next(each.iterancestors(SIGNATURE), None) is None
    ]


def canonical(
    element: Element | ElementTree[Element], algorithm: str, inclusive: list[str] | None = None
) -> bytes:
    """``element`` and what is in it. Raises ``Unsafe`` for an algorithm that is not known here."""
    if algorithm not in CANONICAL:
        raise Unsafe(algorithm)
    exclusive = algorithm.startswith(EXCLUSIVE)
    if not exclusive and _inherits(element):
        raise Unsafe("attributes of xml: would have to be inherited")
    made: bytes = etree.tostring(
        element,
        method="c14n",
        exclusive=exclusive,
        with_comments=algorithm.endswith(COMMENTS),
        inclusive_ns_prefixes=inclusive if exclusive else None,
    )
    return made


def _inherits(element: Element | ElementTree[Element]) -> bool:
    """In inclusive C14N of a part, xml:lang and such come from above, and lxml lets them lie."""
    if not isinstance(element, etree._Element):  # noqa: SLF001 - lxml's only name for it
        return False
    return any(
        str(name).startswith(_XML) for above in element.iterancestors() for name in above.attrib
    )


def without(tree: ElementTree[Element], places: list[int]) -> ElementTree[Element]:
    """A copy of ``tree`` without the signatures at these places among all signatures."""
    made = copy.deepcopy(tree)
    all_of_them = list(made.iter(SIGNATURE))
    for place in places:
        _remove(all_of_them[place])
    return made


def _remove(element: Element) -> None:
    """Without the text behind it, which lxml takes for a part of it."""
    parent = element.getparent()
    if parent is None:
        raise Unsafe("the document is the signature itself")
    before = element.getprevious()
    if element.tail and before is not None:
        before.tail = (before.tail or "") + element.tail
    elif element.tail:
        parent.text = (parent.text or "") + element.tail
    parent.remove(element)
