"""Short messages as the radio carries them: SMS-DELIVER and SMS-SUBMIT (3GPP TS 23.040 cl. 9.2.2).

User data are octets (with a header, as secured packets have one), or septets when the data coding
says so: one per octet here, packed on the radio. Whatever else comes is ``Malformed``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sim_adapter.ota.errors import Malformed
from sim_adapter.ota.octets import Octets
from sim_adapter.ota.text import pack, unpack

PID_SIM_DOWNLOAD: Final = 0x7F
DCS_CLASS_2_DATA: Final = 0xF6
USER_DATA_OCTETS: Final = 140
USER_DATA_SEPTETS: Final = 160
DCS_DEFAULT: Final = 0x00
DCS_UCS2: Final = 0x08
TON_INTERNATIONAL: Final = 0x91

_TYPE = 0x03
_HEADER_PRESENT = 0x40
_NO_MORE_MESSAGES = 0x04
_VALIDITY = {0x00: 0, 0x08: 7, 0x10: 1, 0x18: 7}  # octets of TP-VP by TP-VPF
_VALIDITY_BITS = 0x18
_LONGEST_ADDRESS = 20
_FILLER = "f"
_QUARTERS_SIGN = 0x08
_CENTURY = 20


@dataclass(frozen=True, slots=True)
class Deliver:
    """SMS-DELIVER: network to handset."""

    originator: str  # digits
    user_data: bytes  # with its header, when there is one
    sent: dt.datetime
    pid: int = PID_SIM_DOWNLOAD
    dcs: int = DCS_CLASS_2_DATA
    has_header: bool = True

    def encode(self) -> bytes:
        """The TPDU."""
        first = _NO_MORE_MESSAGES | _HEADER_PRESENT * self.has_header
        head = bytes([first]) + encode_address(self.originator) + bytes([self.pid, self.dcs])
        return head + encode_time(self.sent) + _with_length(self.dcs, self.user_data)

    @classmethod
    def parse(cls, tpdu: bytes) -> Deliver:
        """The reverse; ``Malformed`` otherwise."""
        cursor = Octets(tpdu)
        first = cursor.number()
        if first & _TYPE != 0:
            raise Malformed("not an SMS-DELIVER")
        originator = read_address(cursor)
        pid, dcs = cursor.number(), cursor.number()
        sent = decode_time(cursor.take(7))
        has_header = bool(first & _HEADER_PRESENT)
        user_data = _read_user_data(cursor, dcs, has_header=has_header)
        return cls(originator, user_data, sent, pid, dcs, has_header)

    @property
    def is_for_the_card(self) -> bool:
        """Whether the handset must hand it to the card unseen (3GPP TS 31.111 cl. 7.1.1)."""
        return self.pid == PID_SIM_DOWNLOAD and self.dcs in {0x16, DCS_CLASS_2_DATA}


@dataclass(frozen=True, slots=True)
class Submit:
    """SMS-SUBMIT: handset to network."""

    destination: str  # digits
    user_data: bytes
    reference: int = 0  # TP-MR, which the handset sets
    pid: int = PID_SIM_DOWNLOAD
    dcs: int = DCS_CLASS_2_DATA
    has_header: bool = True

    def encode(self) -> bytes:
        """The TPDU, without a validity period."""
        head = bytes([0x01 | _HEADER_PRESENT * self.has_header, self.reference])
        address = encode_address(self.destination)
        return head + address + bytes([self.pid, self.dcs]) + _with_length(self.dcs, self.user_data)

    @classmethod
    def parse(cls, tpdu: bytes) -> Submit:
        """The reverse; ``Malformed`` otherwise. A validity period is skipped."""
        cursor = Octets(tpdu)
        first, reference = cursor.number(), cursor.number()
        if first & _TYPE != 1:
            raise Malformed("not an SMS-SUBMIT")
        destination = read_address(cursor)
        pid, dcs = cursor.number(), cursor.number()
        cursor.take(_VALIDITY[first & _VALIDITY_BITS])
        has_header = bool(first & _HEADER_PRESENT)
        user_data = _read_user_data(cursor, dcs, has_header=has_header)
        return cls(destination, user_data, reference, pid, dcs, has_header)


def encode_address(digits: str) -> bytes:
    """TP-OA and TP-DA: count of digits, type, digits in swapped semi-octets; else ``Malformed``."""
    if len(digits) > _LONGEST_ADDRESS or not (digits.isascii() and f"{digits}0".isdecimal()):
        raise Malformed("an address of other than digits")
    return bytes([len(digits), TON_INTERNATIONAL]) + swapped(digits)


def read_address(cursor: Octets) -> str:
    """The digits of an address; letters and signs are ``Malformed``."""
    count = cursor.number()
    if count > _LONGEST_ADDRESS:
        raise Malformed("an address of more than twenty digits")
    cursor.number()  # the type of number: the digits alone tell who is meant here
    return unswapped(cursor.take((count + 1) // 2), count)


def swapped(digits: str) -> bytes:
    """Semi-octets, the first digit low, filled up with F."""
    even = digits + _FILLER * (len(digits) % 2)
    return bytes(int(even[at + 1] + even[at], 16) for at in range(0, len(even), 2))


def unswapped(octets: bytes, count: int) -> str:
    """``count`` decimal digits; ``Malformed`` for anything else in the semi-octets."""
    both = "".join(f"{octet & 0x0F:x}{octet >> 4:x}" for octet in octets)
    digits, filler = both[:count], both[count:]
    if (not digits.isdecimal() and digits) or filler not in {"", _FILLER}:
        raise Malformed("semi-octets that are not decimal digits")
    return digits


def encode_time(moment: dt.datetime) -> bytes:
    """TP-SCTS: year to second and the zone in quarters of an hour, in swapped semi-octets."""
    offset = moment.utcoffset() or dt.timedelta()
    quarters = round(offset / dt.timedelta(minutes=15))
    zone = swapped(f"{abs(quarters):02d}")[0] | (_QUARTERS_SIGN if quarters < 0 else 0)
    return swapped(moment.strftime("%y%m%d%H%M%S")) + bytes([zone])


def decode_time(octets: bytes) -> dt.datetime:
    """The moment with its zone; ``Malformed`` for a date that never was."""
    digits = unswapped(octets[:6], 12)
    zone = octets[6]
    quarters = int(unswapped(bytes([zone & ~_QUARTERS_SIGN]), 2))
    offset = dt.timedelta(minutes=15 * (-quarters if zone & _QUARTERS_SIGN else quarters))
    try:
        plain = dt.datetime.strptime(f"{_CENTURY}{digits}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - next line
        return plain.replace(tzinfo=dt.timezone(offset))
    except ValueError:
        raise Malformed("not a moment in time") from None


def _is_seven_bit(dcs: int) -> bool:
    if dcs >> 4 == 0xF:  # noqa: PLR2004 - the group "data coding and message class"
        return not dcs & 0x04
    return dcs >> 6 == 0 and not dcs & 0x0C  # general group, alphabet bits 00


def _with_length(dcs: int, user_data: bytes) -> bytes:
    is_seven_bit = _is_seven_bit(dcs)
    if len(user_data) > (USER_DATA_SEPTETS if is_seven_bit else USER_DATA_OCTETS):
        raise Malformed("more user data than a short message holds")
    return bytes([len(user_data)]) + (pack(user_data) if is_seven_bit else user_data)


def _read_user_data(cursor: Octets, dcs: int, *, has_header: bool) -> bytes:
    length, is_seven_bit = cursor.number(), _is_seven_bit(dcs)
    if length > (USER_DATA_SEPTETS if is_seven_bit else USER_DATA_OCTETS):
        raise Malformed("more user data than a short message holds")
    if is_seven_bit and has_header:
        raise Malformed("a header before septets")
    user_data = unpack(cursor.rest(), length) if is_seven_bit else cursor.take(length)
    cursor.done()
    return user_data
