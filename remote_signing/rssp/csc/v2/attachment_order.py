"""``requestDetails.attachments`` of ``credentials/authorize``: which documents the signer sees.

Ours, as all of ``requestDetails``, and read as strictly (docs/what-you-see.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.identifiers import is_id
from remote_signing.rssp.attached import Named
from remote_signing.rssp.attachments.binding import LONGEST_ATTRIBUTES
from remote_signing.rssp.csc.errors import invalid, missing
from remote_signing.rssp.csc.wire import decode

if TYPE_CHECKING:
    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.strict_json import JsonValue

NAME = "requestDetails.attachments"
_MEMBERS = {"attachmentID", "hashIndex", "signedAttributes"}
MOST = 100


def read(parameters: Parameters) -> tuple[Named, ...]:
    """The documents, in any order. ``CscError`` names the wrong member."""
    details = parameters.value("requestDetails")
    given = details.get("attachments") if isinstance(details, dict) else None
    if given is None:
        return ()
    if not isinstance(given, list):
        raise missing("array", NAME)
    if len(given) > MOST:
        raise invalid(NAME)
    return tuple(_named(each) for each in given)


def _named(value: JsonValue) -> Named:
    if not isinstance(value, dict) or not value.keys() <= _MEMBERS:
        raise invalid(NAME)
    position, name = value.get("hashIndex"), value.get("attachmentID")
    if type(position) is not int or position < 0:
        raise invalid(f"{NAME}.hashIndex")
    if not isinstance(name, str) or not is_id(name):
        raise invalid(f"{NAME}.attachmentID")
    return Named(position, name, attributes(value.get("signedAttributes")))


def attributes(value: JsonValue) -> bytes | None:
    """The DER in base64; ``CscError`` when it is none, or too long."""
    if value is None:
        return None
    der = decode(value) if isinstance(value, str) else None
    if not der or len(der) > LONGEST_ATTRIBUTES:
        raise invalid(f"{NAME}.signedAttributes")
    return der
