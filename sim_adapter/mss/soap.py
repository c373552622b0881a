"""SOAP 1.2, rpc/literal: envelope, operation wrapper, accessor, fault.

Written exactly as every known client parses it: wrapper and accessor in no namespace, what is in
the accessor qualified. Read with the variants that are known to be sent: wrapper and accessor in no
namespace, in the WSDL's or in TS 102 204's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lxml import etree

from sim_adapter.errors import InvalidInput
from sim_adapter.mss import codes, read
from sim_adapter.mss.model import FICOM, MSS, Fault, Message
from sim_adapter.mss.tree import NAMESPACES
from sim_adapter.mss.write import kind_of, write
from sim_adapter.mss.xml_tree import XmlSink, XmlSource, local_name, namespace, parse, tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element as Element

MEDIA_TYPE = "application/soap+xml"
ACCEPTED = (MEDIA_TYPE, "text/xml")
ENV = "http://www.w3.org/2003/05/soap-envelope"
_WSDL = "http://uri.etsi.org/TS102204/etsi204-kiuru.wsdl"
_RESULT = "{http://www.w3.org/2003/05/soap-rpc}result"
_WRAPPERS = frozenset({"", _WSDL, MSS})
_NSMAP = {"env": ENV, "mss": MSS, "fi": FICOM}
_CODE = re.compile(r"_([0-9]{1,5})", re.ASCII)
# The operation that a request belongs to, and what is answered.
OPERATIONS: Mapping[str, tuple[str, str]] = {
    "MSS_Signature": ("MSS_SignatureReq", "MSS_SignatureResp"),
    "MSS_StatusQuery": ("MSS_StatusReq", "MSS_StatusResp"),
    "MSS_Receipt": ("MSS_ReceiptReq", "MSS_ReceiptResp"),
    "MSS_ProfileQuery": ("MSS_ProfileReq", "MSS_ProfileResp"),
    "MSS_Registration": ("MSS_RegistrationReq", "MSS_RegistrationResp"),
    "MSS_Notification": ("MSS_StatusResp", "MSS_ReceiptReq"),
}


def operation_of(message: Message) -> str:
    """The operation whose request ``message`` is."""
    kind = kind_of(message)
    return next(name for name, (request, _) in OPERATIONS.items() if request == kind)


def read_request(body: bytes, *, unqualified: bool = False) -> tuple[str, Message]:
    """The operation and its request. ``unqualified`` is for tool kits that qualify nothing."""
    wrapper = _wrapper(_body(parse(body)))
    operation = local_name(wrapper)
    if operation not in OPERATIONS:
        raise InvalidInput(f"no operation {operation[:60]!r}")
    return operation, _accessor(wrapper, OPERATIONS[operation][0], unqualified=unqualified)


def read_answer(body: bytes, operation: str) -> Message | Fault:
    """The answer to a request of ``operation``, or the fault in its place."""
    inside = _body(parse(body))
    if inside.tag == f"{{{ENV}}}Fault":
        return _fault(inside)
    wrapper = _wrapper(inside)
    if local_name(wrapper) != f"{operation}Response":
        raise InvalidInput(f"no answer to {operation}")
    return _accessor(wrapper, OPERATIONS[operation][1], unqualified=False)


def write_request(message: Message) -> bytes:
    """``message`` in the wrapper of its operation."""
    return _write(operation_of(message), message)


def write_answer(operation: str, message: Message) -> bytes:
    """``message`` as the answer of ``operation``."""
    return _write(f"{operation}Response", message)


def write_fault(fault: Fault) -> bytes:
    """``fault`` with its number as subcode ``mss:_NNN``, a FiCom specifier nested in it."""
    envelope, body = _envelope()
    element = etree.SubElement(body, f"{{{ENV}}}Fault")
    row = codes.meaning_of(fault.code)
    code = etree.SubElement(element, f"{{{ENV}}}Code")
    first_digit = str(fault.code)[0]
    side = "Sender" if first_digit in "17" else "Receiver"
    etree.SubElement(code, f"{{{ENV}}}Value").text = f"env:{side}"
    subcode = _subcode(code, f"mss:_{fault.code}")
    if fault.specifier is not None:
        _subcode(subcode, f"fi:_{fault.specifier}")
    reason = etree.SubElement(element, f"{{{ENV}}}Reason")
    text = etree.SubElement(reason, f"{{{ENV}}}Text")
    text.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
    text.text = fault.reason or row.name
    if fault.detail:
        detail = etree.SubElement(element, f"{{{ENV}}}Detail")
        etree.SubElement(detail, f"{{{NAMESPACES['sim']}}}detail").text = fault.detail
    return _bytes(envelope)


def _write(wrapper_name: str, message: Message) -> bytes:
    envelope, body = _envelope()
    wrapper = etree.SubElement(body, wrapper_name)
    accessor = etree.SubElement(wrapper, kind_of(message))
    write(message, XmlSink(accessor))
    return _bytes(envelope)


def _envelope() -> tuple[Element, Element]:
    envelope = etree.Element(f"{{{ENV}}}Envelope", nsmap=_NSMAP)
    return envelope, etree.SubElement(envelope, f"{{{ENV}}}Body")


def _bytes(envelope: Element) -> bytes:
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def _subcode(code: Element, value: str) -> Element:
    subcode = etree.SubElement(code, f"{{{ENV}}}Subcode")
    etree.SubElement(subcode, f"{{{ENV}}}Value").text = value
    return subcode


def _body(envelope: Element) -> Element:
    """What is in the Body: exactly one element."""
    if envelope.tag != f"{{{ENV}}}Envelope":
        raise InvalidInput("not a SOAP 1.2 envelope")
    parts = list(envelope)
    if parts and parts[0].tag == f"{{{ENV}}}Header":
        _check_header(parts.pop(0))
    if len(parts) != 1 or parts[0].tag != f"{{{ENV}}}Body" or len(parts[0]) != 1:
        raise InvalidInput("an envelope without exactly one body with one element")
    return parts[0][0]


def _check_header(header: Element) -> None:
    """A block that must be understood is not: nothing here signs messages or routes them on."""
    for block in header:
        if block.get(f"{{{ENV}}}mustUnderstand", "false") in {"1", "true"}:
            raise InvalidInput(f"header {tag(block)} must be understood")


def _wrapper(element: Element) -> Element:
    if namespace(element) not in _WRAPPERS:
        raise InvalidInput(f"wrapper {tag(element)} of a foreign namespace")
    return element


def _accessor(wrapper: Element, kind: str, *, unqualified: bool) -> Message:
    inside = [element for element in wrapper if element.tag != _RESULT]  # rpc:result names the part
    if len(inside) != 1 or local_name(inside[0]) != kind:
        raise InvalidInput(f"{tag(wrapper)} without exactly one {kind}")
    _wrapper(inside[0])
    return read.message(kind, XmlSource(inside[0], unqualified=unqualified))


def _fault(element: Element) -> Fault:
    numbers: list[int] = []
    subcode = _one(_one(element, "Code"), "Subcode")
    while subcode is not None and len(numbers) < 2:  # noqa: PLR2004 - the code and its specifier
        numbers.append(_number(_one(subcode, "Value")))
        subcode = _one(subcode, "Subcode")
    if not numbers:
        raise InvalidInput("a fault without a subcode")
    reason = _one(element, "Reason")
    texts = [] if reason is None else [(text.text or "") for text in reason]
    detail = _one(element, "Detail")
    words = "" if detail is None else " ".join("".join(str(t) for t in detail.itertext()).split())
    return Fault(numbers[0], texts[0][:200] if texts else "", words[:500], [*numbers, None][1])


def _one(element: Element | None, name: str) -> Element | None:
    found = [] if element is None else element.findall(f"{{{ENV}}}{name}")
    if len(found) > 1:
        raise InvalidInput(f"{name} twice in a fault")
    return found[0] if found else None


def _number(value: Element | None) -> int:
    """The number in the QName ``prefix:_NNN``, its prefix resolved where it stands."""
    if value is None:
        raise InvalidInput("a subcode without a value")
    prefix, _, local = (value.text or "").strip().rpartition(":")
    if value.nsmap.get(prefix or None) not in {MSS, FICOM}:
        raise InvalidInput("a subcode of a foreign namespace")
    found = _CODE.fullmatch(local)
    if found is None:
        raise InvalidInput(f"subcode {local[:40]!r}")
    return int(found[1])
