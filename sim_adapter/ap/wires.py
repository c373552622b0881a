"""The two wires with one face, and where each puts its operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim_adapter.mss import rest, soap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sim_adapter.mss.model import Fault, Message


@dataclass(frozen=True, slots=True)
class Wire:
    """How a request is written and its answer read. ``ports`` fill ``{port}`` of a URL."""

    media_type: str
    accepted: tuple[str, ...]
    write: Callable[[Message], bytes]
    read: Callable[[bytes, str], Message | Fault]
    ports: Mapping[str, str]


WIRES = {
    "soap": Wire(
        soap.MEDIA_TYPE,
        soap.ACCEPTED,
        soap.write_request,
        soap.read_answer,
        {
            "MSS_Signature": "MSS_SignaturePort",
            "MSS_StatusQuery": "MSS_StatusQueryPort",
            "MSS_Receipt": "MSS_ReceiptPort",
            "MSS_ProfileQuery": "MSS_ProfileQueryPort",
            "MSS_Registration": "MSS_RegistrationPort",
        },
    ),
    "json": Wire(
        rest.MEDIA_TYPE,
        rest.ACCEPTED,
        rest.write_message,
        rest.read_answer,
        {
            "MSS_Signature": "sign",
            "MSS_StatusQuery": "status",
            "MSS_Receipt": "receipt",
            "MSS_ProfileQuery": "profile",
            "MSS_Registration": "registration",
        },
    ),
}
