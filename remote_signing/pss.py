"""RSASSA-PSS-params (RFC 4055 cl. 3.1), read strictly: DER only, nothing left over.

An ASN.1 SEQUENCE of four members, each with a default: ``[0]`` the digest (sha1), ``[1]`` the mask
generation (mgf1SHA1), ``[2]`` the salt length in bytes (20), ``[3]`` the trailer field (1).
"""

from __future__ import annotations

from dataclasses import dataclass

from remote_signing.errors import AlgorithmParametersInvalid

_SHA1 = "1.3.14.3.2.26"
_MGF1 = "1.2.840.113549.1.1.8"
_DIGEST, _MASK, _SALT, _TRAILER = range(4)
_SEQUENCE, _INTEGER, _NULL, _OID = 0x30, 0x02, 0x05, 0x06
_DEFAULT_SALT = 20
_LONGEST = 256
_SHORT_FORM = 0x80
_CONTINUED = 0x80


@dataclass(frozen=True, slots=True)
class PssParameters:
    """The digest, the digest of MGF1, and the salt length in bytes."""

    digest_oid: str
    mgf_digest_oid: str
    salt_length: int


def read_pss_parameters(der: bytes) -> PssParameters:
    """Parse ``der``; ``AlgorithmParametersInvalid`` for anything that is not exactly the above."""
    if len(der) > _LONGEST:
        raise AlgorithmParametersInvalid("longer than any PSS parameters")
    body = _whole(der, _SEQUENCE)
    fields: dict[int, bytes] = {}
    while body:
        tag, value, body = _element(body)
        number = tag - 0xA0
        if number not in range(4) or any(number <= seen for seen in fields):
            raise AlgorithmParametersInvalid("unknown, repeated or misplaced member")
        fields[number] = value
    if _TRAILER in fields and _integer(fields[_TRAILER]) != 1:
        raise AlgorithmParametersInvalid("trailer field is not 1")
    digest = _hash_identifier(_whole(fields[_DIGEST], _SEQUENCE)) if _DIGEST in fields else _SHA1
    mask = _mask_generation(fields[_MASK]) if _MASK in fields else _SHA1
    salt_length = _integer(fields[_SALT]) if _SALT in fields else _DEFAULT_SALT
    return PssParameters(digest, mask, salt_length)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, value and what follows of the first element; short lengths only (see _LONGEST)."""
    if len(data) < 2:  # noqa: PLR2004 - a tag and a length
        raise AlgorithmParametersInvalid("truncated")
    length, start = data[1], 2
    if length == _SHORT_FORM + 1 and len(data) > start and data[2] >= _SHORT_FORM:
        length, start = data[2], 3
    elif length >= _SHORT_FORM:
        raise AlgorithmParametersInvalid("length is not DER")
    if len(data) < start + length:
        raise AlgorithmParametersInvalid("truncated")
    return data[0], data[start : start + length], data[start + length :]


def _whole(data: bytes, expected: int) -> bytes:
    tag, value, rest = _element(data)
    if tag != expected or rest:
        raise AlgorithmParametersInvalid("unexpected element")
    return value


def _integer(data: bytes) -> int:
    value = _whole(data, _INTEGER)
    minimal = len(value) == 1 or (len(value) > 1 and (value[0] != 0 or value[1] >= _CONTINUED))
    if not value or not minimal or value[0] >= _CONTINUED:
        raise AlgorithmParametersInvalid("not a non-negative DER integer")
    return int.from_bytes(value)


def _hash_identifier(body: bytes) -> str:
    """The OID of an AlgorithmIdentifier whose parameters are absent or NULL (RFC 4055 cl. 2.1)."""
    tag, value, rest = _element(body)
    if tag != _OID or (rest and (_element(rest)[0] != _NULL or rest != b"\x05\x00")):
        raise AlgorithmParametersInvalid("not a digest identifier")
    return _dotted(value)


def _mask_generation(data: bytes) -> str:
    tag, value, rest = _element(_whole(data, _SEQUENCE))
    if tag != _OID or _dotted(value) != _MGF1:
        raise AlgorithmParametersInvalid("mask generation is not MGF1")
    return _hash_identifier(_whole(rest, _SEQUENCE))


def _dotted(value: bytes) -> str:
    if not value or value[-1] >= _CONTINUED:
        raise AlgorithmParametersInvalid("truncated object identifier")
    arcs: list[int] = []
    arc = 0
    for position, byte in enumerate(value):
        if byte == _CONTINUED and (position == 0 or value[position - 1] < _CONTINUED):
            raise AlgorithmParametersInvalid("object identifier is not DER")
        arc = arc << 7 | byte & 0x7F
        if byte < _CONTINUED:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
