"""Secured packets of ETSI TS 102 225: commands to a card and responses from it.

    command   CPL(2) CHL(1) SPI(2) KIc(1) KID(1) TAR(3) | CNTR(5) PCNTR(1) CC(0/8) data padding
    response  RPL(2) RHL(1) TAR(3)                      | CNTR(5) PCNTR(1) STATUS(1) CC(0/8) data …

Everything after the bar is ciphered when the security parameters say so. The checksum is computed
first, over all that is sent without itself; for responses also over the user data header 02 71 00.
A packet from here never holds that header: :mod:`sim_adapter.ota.segments` puts it on.

A failed check is ``SecurityRefused``, whichever part failed, and the packet's content is not told.
"""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim_adapter.ota import ciphers
from sim_adapter.ota.errors import Malformed, SecurityRefused
from sim_adapter.ota.octets import Octets
from sim_adapter.ota.spi import Integrity, SecurityParameters

if TYPE_CHECKING:
    from sim_adapter.ota.keysets import KeySet

_RESPONSE_HEADER = bytes.fromhex("027100")
_COUNTER = 5
_COMMAND_HEADER = 13  # octets that CHL counts, without the checksum
_COMMAND_PLAIN = 8  # CHL to TAR
_COMMAND_INNER = 6  # CNTR and PCNTR
_RESPONSE_HEADER_OCTETS = 10
_RESPONSE_PLAIN = 4
_RESPONSE_INNER = 7


class ResponseStatus(enum.IntEnum):
    """Response status codes, TS 102 225 cl. 5.2."""

    OK = 0x00
    CHECK_FAILED = 0x01
    COUNTER_LOW = 0x02
    COUNTER_HIGH = 0x03
    COUNTER_BLOCKED = 0x04
    CIPHERING_ERROR = 0x05
    UNIDENTIFIED = 0x06
    INSUFFICIENT_MEMORY = 0x07
    MORE_TIME = 0x08
    TAR_UNKNOWN = 0x09
    INSUFFICIENT_SECURITY = 0x0A
    DATA_IN_SUBMIT = 0x0B
    DATA_IN_USSD = 0x0C


@dataclass(frozen=True, slots=True)
class SecuredCommand:
    """A command packet as it came: its plain head, and the part that only the keys open."""

    parameters: SecurityParameters
    kic: int
    kid: int
    tar: bytes
    head: bytes  # CPL to TAR, which the checksum covers
    secured: bytes


@dataclass(frozen=True, slots=True)
class OpenedCommand:
    """What the keys opened. The counter is the caller's to check, before it acts on ``data``."""

    counter: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A response packet. ``is_proven`` tells whether a checksum was there and right."""

    tar: bytes
    counter: int
    status: ResponseStatus
    data: bytes
    is_proven: bool


def seal_command(
    parameters: SecurityParameters, keys: KeySet, tar: bytes, counter: int, data: bytes
) -> bytes:
    """A command packet from CPL on."""
    octets = _checksum_octets(parameters.integrity)
    padding = _padding(keys, _COMMAND_INNER + octets + len(data), parameters.is_ciphered)
    inner = counter.to_bytes(_COUNTER, "big") + bytes([padding])
    indicator = bytes([keys.indicator])
    plain = bytes([_COMMAND_HEADER + octets]) + parameters.octets + 2 * indicator + tar
    total = len(plain) + len(inner) + octets + len(data) + padding
    head = total.to_bytes(2, "big") + plain
    body = data + bytes(padding)
    checksum = _checksum(keys, head + inner + body) if octets else b""
    secured = inner + checksum + body
    return head + (_encrypt(keys, secured) if parameters.is_ciphered else secured)


def parse_command(packet: bytes) -> SecuredCommand:
    """The plain head of a command packet; ``Malformed`` when the lengths do not agree."""
    cursor = Octets(packet)
    if cursor.number(2) != len(packet) - 2:
        raise Malformed("CPL is not the packet's length")
    header_length = cursor.number()
    parameters = SecurityParameters.parse(cursor.take(2))
    kic, kid, tar = cursor.number(), cursor.number(), cursor.take(3)
    if header_length != _COMMAND_HEADER + _checksum_octets(parameters.integrity):
        raise Malformed("CHL is not what the security parameters make it")
    head = packet[: 2 + _COMMAND_PLAIN]
    return SecuredCommand(parameters, kic, kid, tar, head, cursor.rest())


def open_command(command: SecuredCommand, keys: KeySet) -> OpenedCommand:
    """Decipher and check; ``SecurityRefused`` unless ``keys`` made this packet."""
    parameters = command.parameters
    if command.kic != keys.indicator or command.kid != keys.indicator:
        raise SecurityRefused("another key set")
    inner = _decipher(keys, command.secured, parameters.is_ciphered)
    octets = _checksum_octets(parameters.integrity)
    counter, padding, checksum, body = _split(inner, _COMMAND_INNER, octets)
    if octets:
        covered = command.head + inner[:_COMMAND_INNER] + body
        _verify(keys, covered, checksum)
    return OpenedCommand(counter, _without_padding(body, padding))


def seal_response(  # noqa: PLR0913 - one argument for each field of the packet
    parameters: SecurityParameters,
    keys: KeySet,
    tar: bytes,
    counter: int,
    *,
    status: ResponseStatus,
    data: bytes,
) -> bytes:
    """A response packet from RPL on, secured as ``parameters`` ask for the proof of receipt."""
    octets = _checksum_octets(parameters.proof_integrity)
    is_ciphered = parameters.is_proof_ciphered
    padding = _padding(keys, _RESPONSE_INNER + octets + len(data), is_ciphered)
    inner = counter.to_bytes(_COUNTER, "big") + bytes([padding, status])
    plain = bytes([_RESPONSE_HEADER_OCTETS + octets]) + tar
    total = len(plain) + len(inner) + octets + len(data) + padding
    head = total.to_bytes(2, "big") + plain
    body = data + bytes(padding)
    checksum = _checksum(keys, _RESPONSE_HEADER + head + inner + body) if octets else b""
    secured = inner + checksum + body
    return head + (_encrypt(keys, secured) if is_ciphered else secured)


def bare_response(tar: bytes, status: ResponseStatus) -> bytes:
    """The answer to a packet that failed: the status, a zero counter, and no use of any key."""
    inner = bytes(_COUNTER + 1) + bytes([status])
    plain = bytes([_RESPONSE_HEADER_OCTETS]) + tar
    return (len(plain) + len(inner)).to_bytes(2, "big") + plain + inner


def open_response(packet: bytes, parameters: SecurityParameters, keys: KeySet) -> Response:
    """Read a response to a command that was sent with ``parameters``.

    A bare response (no checksum) is read too, with ``is_proven`` false: only a failure may be
    believed of it, and that only as a hint. ``Malformed`` or ``SecurityRefused`` otherwise.
    """
    cursor = Octets(packet)
    if cursor.number(2) != len(packet) - 2:
        raise Malformed("RPL is not the packet's length")
    octets = cursor.number() - _RESPONSE_HEADER_OCTETS
    tar, secured = cursor.take(3), cursor.rest()
    if octets == 0:
        return _parse_inner(tar, secured, is_proven=False)[0]
    if octets != _checksum_octets(parameters.proof_integrity):
        raise Malformed("RHL is not what was asked for")
    inner = _decipher(keys, secured, parameters.is_proof_ciphered)
    response, checksum, body = _parse_inner(tar, inner, is_proven=True, octets=octets)
    head = packet[: 2 + _RESPONSE_PLAIN]
    _verify(keys, _RESPONSE_HEADER + head + inner[:_RESPONSE_INNER] + body, checksum)
    return response


def _parse_inner(
    tar: bytes, inner: bytes, *, is_proven: bool, octets: int = 0
) -> tuple[Response, bytes, bytes]:
    counter, padding, checksum, body = _split(inner, _RESPONSE_INNER, octets)
    try:
        status = ResponseStatus(inner[_RESPONSE_INNER - 1])
    except ValueError:
        raise SecurityRefused("no such status") from None
    data = _without_padding(body, padding)
    return Response(tar, counter, status, data, is_proven), checksum, body


def _split(inner: bytes, fixed: int, octets: int) -> tuple[int, int, bytes, bytes]:
    """Counter, padding, checksum and what follows it."""
    if len(inner) < fixed + octets:
        raise SecurityRefused("too short for what it says it holds")
    counter = int.from_bytes(inner[:_COUNTER], "big")
    return counter, inner[_COUNTER], inner[fixed : fixed + octets], inner[fixed + octets :]


def _checksum_octets(integrity: Integrity) -> int:
    if integrity is Integrity.NONE:
        return 0
    if integrity is Integrity.CRYPTOGRAPHIC:
        return ciphers.CHECKSUM_OCTETS
    raise Malformed("redundancy checks and signatures are not spoken here")


def _padding(keys: KeySet, length: int, is_ciphered: bool) -> int:  # noqa: FBT001 - one of two forms
    return -length % keys.algorithm.block if is_ciphered else 0


def _without_padding(body: bytes, padding: int) -> bytes:
    if padding > len(body) or any(body[len(body) - padding :]):
        raise SecurityRefused("a padding counter that cannot be")
    return body[: len(body) - padding]


def _encrypt(keys: KeySet, padded: bytes) -> bytes:
    return ciphers.encrypt(keys.algorithm, keys.cipher_key, padded)


def _decipher(keys: KeySet, secured: bytes, is_ciphered: bool) -> bytes:  # noqa: FBT001 - as _padding
    if not is_ciphered:
        return secured
    if len(secured) % keys.algorithm.block:
        raise SecurityRefused("not a whole number of blocks")
    return ciphers.decrypt(keys.algorithm, keys.cipher_key, secured)


def _checksum(keys: KeySet, data: bytes) -> bytes:
    return ciphers.checksum(keys.algorithm, keys.checksum_key, data)


def _verify(keys: KeySet, data: bytes, checksum: bytes) -> None:
    if not hmac.compare_digest(_checksum(keys, data), checksum):
        raise SecurityRefused("the checksum is wrong")
