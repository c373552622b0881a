"""SMPP 3.4 protocol data units: what an OTA gateway and a message centre say to each other.

Bind, unbind, enquire_link, submit_sm, deliver_sm and generic_nack (SMPP 3.4 cl. 4); other commands
are read as far as the header, so that they can be refused by their number.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from sim_adapter.ota.errors import Malformed
from sim_adapter.ota.octets import Octets

HEADER_OCTETS = 16
LONGEST_PDU = 4096
RESPONSE = 0x80000000
ESM_USER_DATA_HEADER = 0x40
ESM_RECEIPT = 0x04
ESM_ACKNOWLEDGEMENT = 0x08  # of the handset: here, the card's answer in the delivery report
TLV_MESSAGE_PAYLOAD = 0x0424
_LONGEST_SHORT_MESSAGE = 254
_INTERNATIONAL = (1, 1)  # ton, npi
_VERSION = 0x34


class Command(enum.IntEnum):
    """Commands by number; an answer has the highest bit set."""

    BIND_RECEIVER = 0x01
    BIND_TRANSMITTER = 0x02
    SUBMIT_SM = 0x04
    DELIVER_SM = 0x05
    UNBIND = 0x06
    BIND_TRANSCEIVER = 0x09
    ENQUIRE_LINK = 0x15
    GENERIC_NACK = 0x80000000


class Status(enum.IntEnum):
    """Values of command_status that are used here (SMPP 3.4 cl. 5.1.3)."""

    OK = 0x00
    INVALID_LENGTH = 0x02
    INVALID_COMMAND = 0x03
    WRONG_BIND_STATE = 0x04
    ALREADY_BOUND = 0x05
    SYSTEM_ERROR = 0x08
    INVALID_DESTINATION = 0x0B
    BIND_FAILED = 0x0D
    QUEUE_FULL = 0x14
    SUBMIT_FAILED = 0x45


@dataclass(frozen=True, slots=True)
class Pdu:
    """One unit: ``command`` with the answer bit, as it is on the wire."""

    command: int
    sequence: int
    status: int = 0
    body: bytes = b""

    @property
    def is_answer(self) -> bool:
        """Whether it answers a request of ours."""
        return bool(self.command & RESPONSE)

    def encode(self) -> bytes:
        """Header and body."""
        header = (HEADER_OCTETS + len(self.body), self.command, self.status, self.sequence)
        return b"".join(number.to_bytes(4, "big") for number in header) + self.body

    @classmethod
    def parse(cls, data: bytes) -> Pdu:
        """The reverse of :meth:`encode`; ``Malformed`` when the length is another."""
        cursor = Octets(data)
        if cursor.number(4) != len(data):
            raise Malformed("command_length is not the unit's length")
        command, status, sequence = (cursor.number(4) for _ in range(3))
        return cls(command, sequence, status, cursor.rest())


def checked_length(octets: bytes) -> int:
    """The length that the first four octets announce; ``Malformed`` out of bounds."""
    length = int.from_bytes(octets, "big")
    if not HEADER_OCTETS <= length <= LONGEST_PDU:
        raise Malformed(f"a unit of {length} octets")
    return length


@dataclass(frozen=True, slots=True)
class Bind:
    """Who binds. The password is on the wire in clear: loopback, VPN or TLS only."""

    system_id: str
    password: str = field(repr=False)
    system_type: str = "OTA"

    def encode(self) -> bytes:
        """The body of a bind_* request."""
        texts = b"".join(_text(part) for part in (self.system_id, self.password, self.system_type))
        return texts + bytes([_VERSION, *_INTERNATIONAL]) + _text("")

    @classmethod
    def parse(cls, body: bytes) -> Bind:
        """The reverse; ``Malformed`` otherwise. An address range is not looked at."""
        cursor = Octets(body)
        system_id, password, system_type = cursor.text(16), cursor.text(9), cursor.text(13)
        cursor.take(3)
        cursor.text(41)
        cursor.done()
        return cls(system_id, password, system_type)


@dataclass(frozen=True, slots=True)
class ShortMessage:
    """The body of submit_sm and of deliver_sm, which have the same fields."""

    source: str
    destination: str
    user_data: bytes
    esm_class: int = ESM_USER_DATA_HEADER
    protocol_id: int = 0x7F
    data_coding: int = 0xF6
    validity_period: str = ""
    wants_receipt: bool = False

    def encode(self) -> bytes:
        """The body; what is longer than sm_length can say goes into message_payload."""
        addresses = b"".join(
            bytes(_INTERNATIONAL) + _text(part) for part in (self.source, self.destination)
        )
        fixed = bytes([self.esm_class, self.protocol_id, 0]) + _text("")
        options = bytes([self.wants_receipt, 0, self.data_coding, 0])
        head = _text("") + addresses + fixed + _text(self.validity_period) + options
        if len(self.user_data) <= _LONGEST_SHORT_MESSAGE:
            return head + bytes([len(self.user_data)]) + self.user_data
        tag = TLV_MESSAGE_PAYLOAD.to_bytes(2, "big")
        return head + b"\0" + tag + len(self.user_data).to_bytes(2, "big") + self.user_data

    @classmethod
    def parse(cls, body: bytes) -> ShortMessage:
        """The reverse; ``Malformed`` otherwise."""
        cursor = Octets(body)
        cursor.text(6)  # service_type
        source, destination = _address(cursor), _address(cursor)
        esm_class, protocol_id = cursor.number(), cursor.number()
        cursor.number()  # priority_flag
        cursor.text(17)  # schedule_delivery_time: this centre delivers at once
        validity = cursor.text(17)
        receipt = cursor.number()
        cursor.number()  # replace_if_present_flag
        coding = cursor.number()
        cursor.number()  # sm_default_msg_id
        message = cursor.take(cursor.number())
        payload = _optional(cursor).get(TLV_MESSAGE_PAYLOAD)
        if payload is not None and message:
            raise Malformed("two messages in one unit")
        user_data = message if payload is None else payload
        wants = receipt & 3 == 1
        return cls(source, destination, user_data, esm_class, protocol_id, coding, validity, wants)


def _text(value: str) -> bytes:
    return value.encode("ascii") + b"\0"


def _address(cursor: Octets) -> str:
    cursor.take(2)  # ton and npi: the digits alone tell who is meant here
    return cursor.text(21)


def _optional(cursor: Octets) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while cursor.left:
        tag = cursor.number(2)
        if tag in found:
            raise Malformed("an optional parameter comes twice")
        found[tag] = cursor.take(cursor.number(2))
    return found


def relative_validity(seconds: int) -> str:
    """A relative validity period (cl. 7.1.1), between one second and a day."""
    bounded = max(1, min(seconds, 86_400 - 1))
    minutes, second = divmod(bounded, 60)
    hour, minute = divmod(minutes, 60)
    return f"000000{hour:02d}{minute:02d}{second:02d}000R"


def validity_seconds(period: str, longest: int = 86_400) -> int:
    """Seconds of a relative period; empty, absolute and longer ones count as ``longest``."""
    digits = period[:12]
    if len(period) != 16 or period[-1] != "R" or not (digits.isascii() and digits.isdecimal()):  # noqa: PLR2004 - its form
        return longest
    years, months, days, hours, minutes, seconds = (
        int(digits[at : at + 2]) for at in range(0, 12, 2)
    )
    if years or months:
        return longest
    return min(longest, ((days * 24 + hours) * 60 + minutes) * 60 + seconds)
