"""archive-time-stamp-v3 (EN 319 122-1 cl. 5.5): what it is over, and what it therefore proves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asn1crypto import algos, cms, core

from remote_signing.rssp.validation.model import BROKEN, Octets, Stamp, sha256

if TYPE_CHECKING:
    from remote_signing.rssp.validation.model import Content, Untyped

_V3 = "0.4.0.1733.2.4"
_SIGNATURE_STAMP = "1.2.840.113549.1.9.16.2.14"
_INDEX = "0.4.0.19122.1.5"  # ats-hash-index-v3
_SIGNER = ("version", "sid", "digest_algorithm", "signed_attrs", "signature_algorithm", "signature")


class _Digests(core.SequenceOf):  # type: ignore[misc]  # asn1crypto has no types
    _child_spec = core.OctetString


class _HashIndex(core.Sequence):  # type: ignore[misc]  # as above
    _fields = [  # noqa: RUF012 - asn1crypto's way
        ("algorithm", algos.DigestAlgorithm),
        ("certificates", _Digests),
        ("crls", _Digests),
        ("attributes", _Digests),
    ]


class _Covered:
    """Content, then the signer's fields, then the hash index (EN 319 122-1 cl. 5.5.3)."""

    def __init__(self, kind: bytes, content: Content, rest: bytes) -> None:
        self._kind, self._content, self._rest = kind, content, rest

    def digest(self, algorithm: str) -> bytes:
        """As :class:`.model.Content`."""
        return Octets(self._kind + self._content.digest(algorithm) + self._rest).digest(algorithm)


def read(signed: Untyped, info: Untyped, content: Content, oid: str, token: Untyped) -> Stamp:
    """The archive time stamp ``token`` of type ``oid``; of a kind that is not v3 nothing is said.

    A hash in the index that fits nothing here means that something was taken away: then the time
    stamp is over what is not there, and proves nothing.
    """
    try:
        index = _index(token) if oid == _V3 else None
        if index is None:
            return Stamp("archive", token.dump(), None)
        covers = _covers(signed, info, index)
    except BROKEN:
        return Stamp("archive", token.dump(), None)
    if covers is None:
        return Stamp("archive", token.dump(), None)
    rest = b"".join([*(info[name].dump() for name in _SIGNER), index.dump()])
    kind = signed["encap_content_info"]["content_type"].dump()
    return Stamp("archive", token.dump(), _Covered(kind, content, rest), covers)


def _index(token: Untyped) -> Untyped:
    (stamper,) = cms.ContentInfo.load(token.dump())["content"]["signer_infos"]
    found = [each for each in stamper["unsigned_attrs"] or () if each["type"].dotted == _INDEX]
    (attribute,) = found
    (value,) = attribute["values"]
    return _HashIndex.load(value.dump(), strict=True)


def _covers(signed: Untyped, info: Untyped, index: Untyped) -> frozenset[bytes] | None:
    """Digests of what the index names; None when it names what is not there."""
    algorithm = index["algorithm"]["algorithm"].native
    proven = {sha256(info["signature"].native)}
    for name, there in (
        ("certificates", [(e.dump(), _bare(e)) for e in signed["certificates"]]),
        ("crls", [(e.dump(), _revocation(e)) for e in signed["crls"] or ()]),
        ("attributes", list(_attributes(info))),
    ):
        by_digest = {Octets(whole).digest(algorithm): bare for whole, bare in there}
        named = [each.native for each in index[name]]
        if not by_digest.keys() >= set(named):
            return None
        proven |= {sha256(by_digest[each]) for each in named}
    return frozenset(proven)


def _bare(choice: Untyped) -> bytes:
    return bytes(choice.chosen.untag().dump())


def _revocation(choice: Untyped) -> bytes:
    inside = choice.chosen["other_rev_info"] if choice.name == "other" else choice.chosen.untag()
    return bytes(inside.dump())


def _attributes(info: Untyped) -> list[tuple[bytes, bytes]]:
    """Each value of an unsigned attribute; of a time stamp, its signature value is what counts."""
    found = []
    for attribute in info["unsigned_attrs"] or ():
        for value in attribute["values"]:
            whole = attribute["type"].dump() + value.dump()
            inside = _signature_value(attribute["type"].dotted, value)
            found.append((whole, inside or value.dump()))
    return found


def _signature_value(oid: str, value: Untyped) -> bytes | None:
    if oid not in {_SIGNATURE_STAMP, _V3}:
        return None
    (info,) = cms.ContentInfo.load(value.dump())["content"]["signer_infos"]
    found: bytes = info["signature"].native
    return found
