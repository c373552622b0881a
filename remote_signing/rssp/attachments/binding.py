"""Whether a hash to be signed follows from exactly the bytes that the signer will be shown.

Three ways lead from a file to what the key signs, and nothing else is taken for one.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from asn1crypto import cms

from remote_signing.errors import AttachmentMismatched

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_ATTRIBUTES: Final = 64 * 1024
"""Bytes of signed attributes in DER."""
_LONGEST_HOLE = 1024 * 1024
_PIECE = 1024 * 1024
_RANGE = re.compile(
    rb"/ByteRange\s{0,20}\[\s{0,20}0\s{1,20}(\d{1,10})\s{1,20}(\d{1,10})\s{1,20}(\d{1,10})\s{0,80}\]"
)


class Basis(StrEnum):
    """How a hash follows from a file.

    FILE: it is the file's digest. ATTRIBUTES: it is the digest of CMS signed attributes whose
    messageDigest is the file's (CAdES). RANGE: the same, of a prepared PDF's byte range (PAdES).
    PREPARED: ``prepareDoc`` made it from the file, here.
    """

    FILE = "file"
    ATTRIBUTES = "attributes"
    RANGE = "range"
    PREPARED = "prepared"


def check(path: Path, digest: str, dtbs_r: bytes, attributes: bytes | None) -> Basis:
    """How ``dtbs_r`` follows from the file, as a digest under ``digest`` (a name of DIGESTS).

    ``attributes`` is the DER of the signed attributes, a SET OF. Raises ``AttachmentMismatched``
    (public ``reason``).
    """
    if attributes is None:
        if _of_file(path, digest) != dtbs_r:
            raise AttachmentMismatched("file", reason="the hash is not the file's")
        return Basis.FILE
    if hashlib.new(digest, attributes).digest() != dtbs_r:
        raise AttachmentMismatched("attributes", reason="the hash is not the signed attributes'")
    told = _message_digest(attributes)
    if told == _of_file(path, digest):
        return Basis.ATTRIBUTES
    if told == _of_range(path, digest):
        return Basis.RANGE
    raise AttachmentMismatched("messageDigest", reason="messageDigest is not the file's")


def _of_file(path: Path, digest: str) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, digest).digest()


def _message_digest(attributes: bytes) -> bytes:
    """The one messageDigest of attributes that are exactly their own DER (RFC 5652 cl. 5.4)."""
    try:
        found = cms.CMSAttributes.load(attributes, strict=True)
        is_exact = cms.CMSAttributes([each.copy() for each in found]).dump() == attributes
        values = {each["type"].native: each["values"].native for each in found}
        names = [each["type"].native for each in found]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise AttachmentMismatched(cause, reason="the signed attributes are no DER") from error
    if not is_exact or len(values) != len(names):
        raise AttachmentMismatched("DER", reason="the signed attributes are no DER")
    if values.get("content_type") != ["data"] or len(values.get("message_digest", ())) != 1:
        raise AttachmentMismatched("types", reason="the signed attributes are not of a document")
    told: Any = values["message_digest"][0]
    return bytes(told)


def _of_range(path: Path, digest: str) -> bytes:
    """The digest of all of a prepared PDF but the hole, which holds nothing.

    Raises ``AttachmentMismatched`` where part of the file would be shown and not signed.
    """
    size = path.stat().st_size
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as all_:
        ranges = {tuple(map(int, found.groups())) for found in _RANGE.finditer(all_)}
        whole = [each for each in ranges if each[1] + each[2] == size and each[0] < each[1]]
        if len(whole) != 1:
            raise AttachmentMismatched(f"{len(whole)} whole ranges", reason=_NOT_WHOLE)
        (first, second, _) = whole[0]
        if not _is_empty(all_[first : min(second, first + _LONGEST_HOLE + 1)]):
            raise AttachmentMismatched(
                "hole", reason="something is hidden in the signature's place"
            )
        made = hashlib.new(digest)
        for start, end in ((0, first), (second, size)):
            for place in range(start, end, _PIECE):
                made.update(all_[place : min(end, place + _PIECE)])
        return made.digest()


_NOT_WHOLE = "messageDigest is not the file's, and no ByteRange covers the whole file"


def _is_empty(hole: bytes) -> bool:
    """Whether it is a string of hexadecimal zeros: a viewer could be shown anything else."""
    is_string = hole.startswith(b"<") and hole.endswith(b">") and len(hole) <= _LONGEST_HOLE
    return is_string and not hole[1:-1].strip(b"0")
