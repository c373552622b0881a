"""Signed attributes of CAdES that the client may set (ETSI EN 319 122-1 cl. 5.2).

Each is read as its own type and must be that type's DER: nothing else gets into what is signed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from asn1crypto import core, parser
from pyhanko.sign.ades import cades_asn1

from remote_signing.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST: Final = 4096  # bytes
_MEDIA_TYPE: Final = re.compile(rb"[A-Za-z0-9!#$&^_.+-]{1,63}/[A-Za-z0-9!#$&^_.+;=\" -]{1,127}")


class _DirectoryString(core.Choice):  # type: ignore[misc]  # asn1crypto has no types
    _alternatives = [  # noqa: RUF012 - asn1crypto's way
        ("printable", core.PrintableString),
        ("utf8", core.UTF8String),
        ("bmp", core.BMPString),
    ]


class _PostalAddress(core.SequenceOf):  # type: ignore[misc]  # as above
    _child_spec = _DirectoryString


class _SignerLocation(core.Sequence):  # type: ignore[misc]  # as above
    """Cl. 5.2.5, RFC 5126 cl. 5.11.2."""

    _fields = [  # noqa: RUF012 - as above
        ("country", _DirectoryString, {"explicit": 0, "optional": True}),
        ("locality", _DirectoryString, {"explicit": 1, "optional": True}),
        ("postal_address", _PostalAddress, {"explicit": 2, "optional": True}),
    ]


class _ContentHints(core.Sequence):  # type: ignore[misc]  # as above
    """Cl. 5.2.4.1, RFC 2634 cl. 2.9."""

    _fields = [  # noqa: RUF012 - as above
        ("description", core.UTF8String, {"optional": True}),
        ("content_type", core.ObjectIdentifier),
    ]


_SMIME: Final = "1.2.840.113549.1.9.16.2."
_TYPES: Final[dict[str, tuple[str, Any]]] = {
    "commitment-type-indication": (_SMIME + "16", cades_asn1.CommitmentTypeIndication),
    "content-hints": (_SMIME + "4", _ContentHints),
    "content-identifier": (_SMIME + "7", core.OctetString),
    "mime-type": ("0.4.0.1733.2.1", core.UTF8String),
    "signature-policy-identifier": (_SMIME + "15", cades_asn1.SignaturePolicyIdentifier),
    "signer-attributes-v2": ("0.4.0.19122.1.1", cades_asn1.SignerAttributesV2),
    "signer-location": (_SMIME + "17", _SignerLocation),
}
_BY_OID: Final = {oid: name for name, (oid, _) in _TYPES.items()}


def read(name: str, content: bytes) -> bytes | None:
    """The value (DER) of attribute ``name``, itself a name or an OID; None when it is no good.

    ``content`` is the value's DER, of ``mime-type`` the media type itself too.
    """
    name = _BY_OID.get(name, name)
    if name not in _TYPES or len(content) > _LONGEST:
        return None
    if name == "mime-type" and _MEDIA_TYPE.fullmatch(content):
        content = core.UTF8String(content.decode("ascii")).dump()
    return content if _is_der(_TYPES[name][1], content) else None


def attributes(values: Mapping[str, bytes]) -> list[bytes]:
    """The DER of attributes with one value each, by name or OID. ``InvalidInput``: one is twice."""
    named = {_TYPES[_BY_OID.get(name, name)][0]: value for name, value in values.items()}
    if len(named) < len(values):
        raise InvalidInput("under its name and its OID", parameter="signed_props")
    return [_attribute(oid, value) for oid, value in named.items()]


def _attribute(oid: str, value: bytes) -> bytes:
    values = parser.emit(0, 1, 17, value)
    made: bytes = parser.emit(0, 1, 16, core.ObjectIdentifier(oid).dump() + values)
    return made


def _is_der(kind: Any, content: bytes) -> bool:  # noqa: ANN401 - as above
    """Whether ``content`` is exactly what writing ``kind`` anew gives."""
    try:
        value = kind.load(content, strict=True)
        _ = value.native  # reads all of it
        again: bytes = value.copy().dump(force=True)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return again == content and value.native is not None and _claimed_only(kind, value)


def _claimed_only(kind: Any, value: Any) -> bool:  # noqa: ANN401 - as above
    """Of a signer's attributes only those claimed: certificates and assertions are not checked."""
    if kind is not cades_asn1.SignerAttributesV2:
        return True
    present = {name for name, content in value.native.items() if content is not None}
    return present == {"claimed_attributes"}
