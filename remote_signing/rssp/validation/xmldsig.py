"""XML Signature (RFC 3275, XML Signature 1.1), the part of it that signed documents need.

What is signed must be told without any doubt, so there is a short list of transforms and nothing
beyond: another one, XPath and XSLT above all, could select anything.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote

from remote_signing.rssp.validation import xml_tree
from remote_signing.rssp.validation.model import Octets, Problem, Scope
from remote_signing.rssp.validation.raw_signature import Method
from remote_signing.rssp.validation.xml_tree import DS, SIGNATURE, Unsafe

if TYPE_CHECKING:
    from lxml.etree import _Element as Element
    from lxml.etree import _ElementTree as ElementTree

_MORE, _NEW = "http://www.w3.org/2001/04/xmldsig-more#", "http://www.w3.org/2007/05/xmldsig-more#"
_ENC = "http://www.w3.org/2001/04/xmlenc#"
DIGESTS: Final = {
    f"{DS}sha1": "sha1",
    f"{_MORE}sha224": "sha224",
    f"{_ENC}sha256": "sha256",
    f"{_MORE}sha384": "sha384",
    f"{_ENC}sha512": "sha512",
    **{f"{_NEW}sha3-{bits}": f"sha3_{bits}" for bits in (256, 384, 512)},
}
_SHA = ("1", "224", "256", "384", "512")
METHODS: Final = {
    f"{DS}rsa-sha1": Method("rsassa_pkcs1v15", "sha1"),
    **{f"{_MORE}rsa-sha{n}": Method("rsassa_pkcs1v15", f"sha{n}") for n in _SHA[1:]},
    **{f"{_MORE}ecdsa-sha{n}": Method("ecdsa", f"sha{n}") for n in _SHA},
    **{f"{_NEW}sha{n}-rsa-MGF1": Method("rsassa_pss", f"sha{n}") for n in _SHA[2:]},
    **{f"{_NEW}ecdsa-sha3-{n}": Method("ecdsa", f"sha3_{n}") for n in (256, 384, 512)},
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519": Method("ed25519", "sha512"),
}
_ENVELOPED: Final = f"{DS}enveloped-signature"
_BASE64: Final = f"{DS}base64"
_XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_NO_SIGNATURE: Final = re.compile(r"\s*not\(\s*ancestor-or-self::([\w.-]+):Signature\s*\)\s*")
_MOST_REFERENCES = 1000
_MOST_TRANSFORMS = 3


class Outside(Protocol):
    """Where references to other files lead: names to files of a container, or a file beside."""

    def find(self, name: str) -> bytes | None:
        """The file; None when there is none of this name."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What one ``ds:Reference`` leads to. ``element``: the part of the document, if it is one."""

    kind: str
    octets: bytes
    scope: Scope | None
    element: Element | None = None


def child(element: Element, *names: str) -> Element:
    """The only descendant on this path. ``ValueError`` when it is missing or there are several."""
    for name in names:
        (element,) = element.findall(f"{{{DS}}}{name}")
    return element


def decoded(element: Element) -> bytes:
    """The base64 in an element."""
    return base64.b64decode("".join((element.text or "").split()), validate=True)


def method_of(signature: Element) -> Method | None:
    """The algorithm; None for one that is not known here."""
    return METHODS.get(child(signature, "SignedInfo", "SignatureMethod").get("Algorithm", ""))


def signed_info(signature: Element) -> bytes:
    """What the key signed. Raises ``Unsafe``."""
    info = child(signature, "SignedInfo")
    how = child(info, "CanonicalizationMethod")
    return xml_tree.canonical(info, how.get("Algorithm", ""), _prefixes(how))


class References:
    """The references of one signature in ``tree``; ``ids`` as :func:`.xml_tree.ids` gives them."""

    def __init__(
        self,
        tree: ElementTree[Element],
        signature: Element,
        ids: dict[str, Element | None],
        outside: Outside,
    ) -> None:
        self._tree, self._signature, self._ids = tree, signature, ids
        self._outside = outside

    def check(self) -> tuple[list[Reference], Problem | None]:
        """All of them, with the first thing that is wrong with one."""
        listed = child(self._signature, "SignedInfo").findall(f"{{{DS}}}Reference")
        if not 0 < len(listed) <= _MOST_REFERENCES:
            return [], Problem("FORMAT_FAILURE", "malformed")
        found: list[Reference] = []
        for each in listed:
            try:
                reference = self._resolved(each)
            except Unsafe:
                return found, Problem("GENERIC", "reference_unsafe")
            if reference is None:
                return found, Problem("SIGNED_DATA_NOT_FOUND", "reference_missing")
            algorithm = DIGESTS.get(child(each, "DigestMethod").get("Algorithm", ""))
            if algorithm is None:
                return found, Problem("GENERIC", "not_supported")
            if Octets(reference.octets).digest(algorithm) != decoded(child(each, "DigestValue")):
                return found, Problem("HASH_FAILURE", "content_changed")
            found.append(reference)
        return found, None

    def weakest(self) -> str:
        """The name of the weakest digest of any reference, which is the signature's strength."""
        order = list(DIGESTS.values())
        listed = child(self._signature, "SignedInfo").findall(f"{{{DS}}}Reference")
        names = [DIGESTS.get(child(e, "DigestMethod").get("Algorithm", ""), "") for e in listed]
        return min((each for each in names if each), key=order.index, default="")

    def _resolved(self, reference: Element) -> Reference | None:
        uri, kind = reference.get("URI"), reference.get("Type", "")
        if kind == f"{DS}Manifest":
            raise Unsafe("what a manifest lists need not be there")
        steps = _transforms(reference)
        if uri == "":
            return Reference(kind, self._whole(steps), Scope(""), self._tree.getroot())
        if uri is not None and uri.startswith("#"):
            return self._part(uri[1:], kind, steps)
        if steps:
            raise Unsafe("transforms of another file")
        name = "" if uri is None else unquote(uri)
        data = self._outside.find(name)
        return None if data is None else Reference(kind, data, Scope(name))

    def _part(self, name: str, kind: str, steps: list[_Step]) -> Reference | None:
        if name not in self._ids:
            return None
        element = self._ids[name]
        if element is None:
            raise Unsafe("two elements have this Id")
        if element is self._tree.getroot():
            return Reference(kind, self._whole(steps), Scope(""), element)
        scope = self._scope(element)
        if [step.algorithm for step in steps] == [_BASE64]:
            if len(element):
                raise Unsafe("base64 with elements in it")
            return Reference(kind, decoded(element), scope, element)
        how = _only_canonical(steps)
        return Reference(
            kind, xml_tree.canonical(element, how.algorithm, how.prefixes), scope, element
        )

    def _scope(self, element: Element) -> Scope | None:
        """Of a part that is content: of the signature's own parts there is nothing to tell."""
        inside = element is self._signature or self._signature in element.iterancestors()
        if inside:
            is_object = element.tag == f"{{{DS}}}Object"
            return Scope("") if is_object else None
        return Scope(str(element.tag).rpartition("}")[2], whole=False)

    def _whole(self, steps: list[_Step]) -> bytes:
        everything = list(self._tree.iter(SIGNATURE))
        leave_out: set[int] = set()
        while steps and steps[0].algorithm in {_ENVELOPED, _XPATH}:
            step, steps = steps[0], steps[1:]
            if step.algorithm == _XPATH:
                leave_out |= {n for n, e in enumerate(everything) if _is_outermost(e)}
            elif self._signature is self._tree.getroot():
                raise Unsafe("the signature is the document")
            else:
                leave_out.add(everything.index(self._signature))
        how = _only_canonical(steps)
        tree = xml_tree.without(self._tree, sorted(leave_out))
        return xml_tree.canonical(tree, how.algorithm, how.prefixes)


@dataclass(frozen=True, slots=True)
class _Step:
    algorithm: str
    prefixes: list[str] | None = None


_DEFAULT = _Step("http://www.w3.org/TR/2001/REC-xml-c14n-20010315")


def _only_canonical(steps: list[_Step]) -> _Step:
    """What is left is at most one canonicalisation."""
    if len(steps) > 1 or any(step.algorithm not in xml_tree.CANONICAL for step in steps):
        raise Unsafe("another transform, or another order of them")
    return steps[0] if steps else _DEFAULT


def _transforms(reference: Element) -> list[_Step]:
    listed = reference.findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
    if len(listed) > _MOST_TRANSFORMS:
        raise Unsafe("so many transforms")
    for each in listed:
        if each.get("Algorithm") == _XPATH and not _leaves_signatures_out(each):
            raise Unsafe("an XPath filter that is not the usual one")
    return [_Step(each.get("Algorithm", ""), _prefixes(each)) for each in listed]


def _leaves_signatures_out(transform: Element) -> bool:
    """Exactly ``not(ancestor-or-self::ds:Signature)``, with whatever prefix stands for ds."""
    filters = transform.findall(f"{{{DS}}}XPath")
    match = _NO_SIGNATURE.fullmatch(filters[0].text or "") if len(filters) == 1 else None
    return match is not None and filters[0].nsmap.get(match[1]) == DS


def _prefixes(element: Element) -> list[str] | None:
    found = element.find(f"{{{xml_tree.EXCLUSIVE}}}InclusiveNamespaces")
    return None if found is None else (found.get("PrefixList") or "").split()


def _is_outermost(element: Element) -> bool:
    return next(element.iterancestors(SIGNATURE), None) is None
