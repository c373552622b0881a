"""Signatures that an XML document has already: another one beside them must leave them valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.documents.xmldsig import DS, XPATH, tag

if TYPE_CHECKING:
    from lxml.etree import _Element as Element
    from lxml.etree import _ElementTree as ElementTree

_FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"
_WHOLE = {"", "#xpointer(/)"}
_IDS = ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id")


def check(document: ElementTree[Element]) -> None:
    """Raise ``DocumentUnusable`` where a new last child of the root would break a signature.

    That is so for one that covers the whole root, unless a filter takes all signatures out of it,
    as ours does.
    """
    root = document.getroot()
    if root.tag == tag("Signature"):
        raise DocumentUnusable("root is ds:Signature", reason="the XML is itself a signature")
    for signature in root.iter(tag("Signature")):
        for reference in signature.iterfind(f"{tag('SignedInfo')}/{tag('Reference')}"):
            if _covers(reference.get("URI"), root) and not _leaves_signatures_out(reference):
                raise DocumentUnusable(
                    f"reference {reference.get('URI')!r:.80}",
                    reason="a signature in the XML forbids another one",
                )


def _covers(uri: str | None, root: Element) -> bool:
    """Whether what ``uri`` leads to has the end of the root in it; a doubtful one has."""
    if uri is None or (uri and not uri.startswith("#")):
        return False
    if uri in _WHOLE:
        return True
    if uri.startswith("#xpointer("):
        name = uri.removeprefix("#xpointer(id(").removesuffix("))").strip("'\"")
        return name == uri or name in _ids(root)
    return uri[1:] in _ids(root)


def _ids(root: Element) -> set[str]:
    return {value for name in _IDS if (value := root.get(name)) is not None}


def _leaves_signatures_out(reference: Element) -> bool:
    return any(
        "".join((filtering.text or "").split()) in _filters(transform.get("Algorithm"), filtering)
        for transform in reference.iterfind(f"{tag('Transforms')}/{tag('Transform')}")
        for filtering in transform
    )


def _filters(algorithm: str | None, filtering: Element) -> set[str]:
    """The texts of ``filtering`` that are known to leave every signature out."""
    prefixes = [prefix for prefix, uri in filtering.nsmap.items() if uri == DS and prefix]
    if algorithm == XPATH:
        return {f"not(ancestor-or-self::{each}:Signature)" for each in prefixes}
    if algorithm == _FILTER2 and filtering.get("Filter") == "subtract":
        return {f"{way}{each}:Signature" for each in prefixes for way in ("//", "/descendant::")}
    return set()
