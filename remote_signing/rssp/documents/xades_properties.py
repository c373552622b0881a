"""``signed_props`` of a XAdES signature: elements of ETSI EN 319 132-1 cl. 5.2, read and made anew.

A value is the property's own element in the namespace of XAdES 1.3.2; only what is named here may
be in it, each part with a text. What a signature gets is written by us, never copied.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lxml import etree

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.documents import xml_reading, xmldsig
from remote_signing.rssp.documents.xades_elements import XADES

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_LONGEST = 8 * 1024  # bytes of a property
_LONGEST_TEXT = 500
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$^_.+-]{0,60}/[A-Za-z0-9][A-Za-z0-9!#$^_.+-]{0,80}"
)


class Unfit(Exception):
    """A property is not what its rule says."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What an element may have in it: a text where ``parts`` is empty.

    ``parts`` are in the schema's order. ``least`` and ``most``: how often it may be there.
    ``attributes`` may be there, each with one of its values.
    """

    name: str
    parts: tuple[Rule, ...] = ()
    least: int = 1
    most: int = 1
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    namespace: str = XADES
    bare: bool = False  # neither parts nor a text


_QUALIFIER = ("Qualifier", ("OIDAsURI", "OIDAsURN"))
_TEXT = Rule("Description", least=0)
_PLACE = ("City", "StreetAddress", "StateOrProvince", "PostalCode", "CountryName")
_DIGEST = (
    Rule(
        "DigestMethod",
        attributes=(("Algorithm", tuple(xmldsig.DIGEST_METHODS.values())),),
        namespace=xmldsig.DS,
        bare=True,
    ),
    Rule("DigestValue", namespace=xmldsig.DS),
)


def _identified(name: str) -> Rule:
    """An ObjectIdentifier of the schema: an OID as URI or URN, or another URI."""
    return Rule(name, (Rule("Identifier", attributes=(_QUALIFIER,)), _TEXT))


RULES: Final = {
    rule.name: rule
    for rule in (
        Rule(
            "SignerRoleV2",
            (Rule("ClaimedRoles", (Rule("ClaimedRole", most=10),)),),
        ),
        Rule("SignatureProductionPlaceV2", tuple(Rule(name, least=0) for name in _PLACE)),
        Rule(
            "CommitmentTypeIndication",
            (_identified("CommitmentTypeId"), Rule("AllSignedDataObjects", bare=True)),
        ),
        Rule(
            "SignaturePolicyIdentifier",
            (
                Rule(
                    "SignaturePolicyId",
                    (_identified("SigPolicyId"), Rule("SigPolicyHash", _DIGEST)),
                ),
            ),
        ),
    )
}


def property_text(name: str, value: bytes | None, *, has_document: bool) -> str | None:  # noqa: ARG001 - as others
    """The element as it is signed; of ``DataObjectFormat`` the media type. None for a bad one."""
    if value is None or len(value) > _LONGEST:
        return None
    try:
        if name == "DataObjectFormat":
            return _media_type(value)
        rule = RULES[name]
        made = _made(_root(value), rule)
    except (Unfit, DocumentUnusable, KeyError):
        return None
    return xmldsig.canonical(made).decode("utf-8")


def _root(value: bytes) -> Element:
    stream = io.BytesIO(value)
    xml_reading.find_root_end(stream)
    return xml_reading.tree(stream).getroot()


def _media_type(value: bytes) -> str:
    """A media type without parameters."""
    text = value.decode("ascii", "replace")
    if _MEDIA_TYPE.fullmatch(text) is None:
        raise Unfit("no media type")
    return text


def _made(given: Element, rule: Rule) -> Element:
    """``given`` written anew after its rule. Raises ``Unfit``."""
    made = etree.Element(
        f"{{{rule.namespace}}}{rule.name}", nsmap={"xades": XADES, "ds": xmldsig.DS}
    )
    if given.tag != made.tag:
        raise Unfit(f"{given.tag!r:.80}")
    _take_attributes(given, made, rule)
    if rule.parts:
        _take_parts(given, made, rule)
    elif len(given):
        raise Unfit("elements where a text belongs")
    elif not rule.bare:
        made.text = _text(given)
    return made


def _take_attributes(given: Element, made: Element, rule: Rule) -> None:
    allowed = dict(rule.attributes)
    for name, value in given.items():
        if value not in allowed.get(name, ()):
            raise Unfit(f"attribute {name!r:.80}")
        made.set(name, value)
    if rule.bare and len(given.attrib) != len(allowed):
        raise Unfit("an attribute is missing")


def _take_parts(given: Element, made: Element, rule: Rule) -> None:
    """Each part as often as it may be there, in the order of the schema, and nothing else."""
    left = list(given)
    if any(text and text.strip() for text in (given.text, *(each.tail for each in left))):
        raise Unfit("text between elements")
    for part in rule.parts:
        count = 0
        while left and left[0].tag == f"{{{part.namespace}}}{part.name}" and count < part.most:
            made.append(_made(left.pop(0), part))
            count += 1
        if count < part.least:
            raise Unfit(f"no {part.name}")
    if left or not len(made):
        raise Unfit("more, or nothing at all")


def _text(given: Element) -> str:
    text = (given.text or "").strip()
    if not text or len(text) > _LONGEST_TEXT or not text.isprintable():
        raise Unfit("not a text")
    return text
