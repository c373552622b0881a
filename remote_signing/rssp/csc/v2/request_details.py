"""The member ``requestDetails`` of ``credentials/authorize``: ours, read strictly.

Other members of the standard's requests are ignored when nobody asks for them. In here an unknown
one is refused: the portal means it to be shown, and it would not be.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from remote_signing.rssp.csc.errors import invalid, missing
from remote_signing.rssp.request_details import LONGEST, MOST_AGENCIES, RequestDetails, Urgency
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.strict_json import JsonValue

NAME = "requestDetails"
_TEXTS = {
    "label": "label",
    "number": "number",
    "symbol": "symbol",
    "documentName": "document_name",
}
# attachments: read by attachment_order.
_MEMBERS = {*_TEXTS, "urgency", "deadline", "agencyNames", "attachments"}
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def read(parameters: Parameters) -> RequestDetails | None:
    """The details, None when there are none. ``CscError`` names the wrong member."""
    value = parameters.value(NAME)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise missing("object", NAME)
    if not value.keys() <= _MEMBERS:
        raise invalid(NAME)
    texts = {
        inside: _text(value.get(wire), wire, LONGEST[inside]) for wire, inside in _TEXTS.items()
    }
    return RequestDetails(
        urgency=_urgency(value.get("urgency")),
        deadline_ms=_deadline(value.get("deadline")),
        agency_names=_agencies(value.get("agencyNames")),
        **texts,
    )


def _text(value: JsonValue, name: str, longest: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise missing("string", f"{NAME}.{name}")
    if not 0 < len(value.strip()) <= len(value) <= longest or not is_showable(value):
        raise invalid(f"{NAME}.{name}")
    return value


def _urgency(value: JsonValue) -> Urgency:
    urgency = Urgency.NORMAL if value is None else Urgency.from_wire(value)
    if urgency is None:
        raise invalid(f"{NAME}.urgency")
    return urgency


def _deadline(value: JsonValue) -> int | None:
    """Milliseconds. Whether it lies ahead is judged with the clock, in :mod:`.activation`."""
    text = _text(value, "deadline", len("2026-11-27T17:00:00.000000+07:00"))
    if text is None:
        return None
    if not _RFC_3339.fullmatch(text):
        raise invalid(f"{NAME}.deadline")
    try:
        return int(datetime.fromisoformat(text.upper()).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise invalid(f"{NAME}.deadline") from None


def _agencies(value: JsonValue) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise missing("array", f"{NAME}.agencyNames")
    names = [_text(item, "agencyNames", LONGEST["agency_name"]) for item in value]
    if len(names) > MOST_AGENCIES or None in names:
        raise invalid(f"{NAME}.agencyNames")
    return tuple(name for name in names if name is not None)
