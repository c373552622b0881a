"""The JSON twin (Kiuru MREST, Swisscom REST): one object with one member, named as the message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sim_adapter import strict_json
from sim_adapter.errors import BodyTooLarge, InvalidInput
from sim_adapter.mss import codes, read
from sim_adapter.mss.json_tree import JsonSink, JsonSource
from sim_adapter.mss.model import FICOM, MSS, Fault, Message
from sim_adapter.mss.soap import ENV, OPERATIONS
from sim_adapter.mss.write import kind_of, write

if TYPE_CHECKING:
    from sim_adapter.mss.json_tree import JsonObject

MEDIA_TYPE = "application/json"
ACCEPTED = (MEDIA_TYPE,)
_MAX_BYTES = 1024 * 1024
_CODE = re.compile(r"_([0-9]{1,5})", re.ASCII)


def read_request(body: bytes) -> tuple[str, Message]:
    """The operation and its request."""
    kind, members = _one_member(body)
    for operation, (request, _) in OPERATIONS.items():
        if request == kind:
            return operation, read.message(kind, JsonSource(members, kind))
    raise InvalidInput(f"no request {kind[:60]!r}")


def read_answer(body: bytes, operation: str) -> Message | Fault:
    """The answer to a request of ``operation``, or the fault in its place."""
    kind, members = _one_member(body)
    if kind == "Fault":
        return _fault(JsonSource(members, kind))
    if kind != OPERATIONS[operation][1]:
        raise InvalidInput(f"no answer to {operation}")
    return read.message(kind, JsonSource(members, kind))


def write_message(message: Message) -> bytes:
    """``message``, request or answer."""
    members: JsonObject = {}
    write(message, JsonSink(members))
    return strict_json.canonical({kind_of(message): members})


def write_fault(fault: Fault) -> bytes:
    """``fault`` as both vendors write it."""
    subcode: JsonObject = {"Value": f"_{fault.code}", "ValueNs": MSS}
    if fault.specifier is not None:
        subcode["SubCode"] = {"Value": f"_{fault.specifier}", "ValueNs": FICOM}
    members: JsonObject = {
        "Code": {"Value": "Receiver", "ValueNs": ENV, "SubCode": subcode},
        "Reason": fault.reason or codes.meaning_of(fault.code).name,
        "Detail": fault.detail,
    }
    return strict_json.canonical({"Fault": members})


def _one_member(body: bytes) -> tuple[str, JsonObject]:
    if len(body) > _MAX_BYTES:
        raise BodyTooLarge(f"{len(body)} bytes of JSON")
    members = strict_json.loads_object(body)
    if len(members) != 1:
        raise InvalidInput("a JSON message is an object with one member")
    kind, value = next(iter(members.items()))
    if not isinstance(value, dict):
        raise InvalidInput(f"{kind[:60]} is no object")
    return kind, value


def _fault(source: JsonSource) -> Fault:
    code = source.child("Code")
    subcode = None if code is None else code.child("SubCode")
    if subcode is None:
        raise InvalidInput("a fault without a subcode")
    number = _number(subcode)
    nested = subcode.child("SubCode")
    return Fault(
        number,
        (source.text("Reason") or "")[:200],
        (source.text("Detail") or "")[:500],
        None if nested is None else _number(nested),
    )


def _number(source: JsonSource) -> int:
    if source.text("ValueNs") not in {MSS, FICOM}:
        raise InvalidInput("a subcode of a foreign namespace")
    found = _CODE.fullmatch(source.text("Value") or "")
    if found is None:
        raise InvalidInput("a subcode that is no number")
    return int(found[1])
