"""PDF signatures (PAdES EN 319 142-1, and the older kinds of ISO 32000).

What a PDF shows can be changed after it was signed by appending to it, so it is looked at what was
appended (shadow attacks, incremental saving); and what a signature covers must be one piece from
the file's first byte with nothing but itself left out (signature wrapping, universal forgery).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, BinaryIO

from asn1crypto import cms as asn1
from asn1crypto import x509
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import DiffResult, ModificationLevel
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.general import CMSExtractionError
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from remote_signing.rssp.validation import cms
from remote_signing.rssp.validation.model import (
    BROKEN,
    Changes,
    Document,
    Found,
    Material,
    Problem,
    Scope,
    Stamp,
    sha256,
    unusable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote_signing.rssp.validation.model import Untyped

logging.getLogger("pyhanko").setLevel(logging.CRITICAL)

_BROKEN = (*BROKEN, PdfError, SignatureValidationError, CMSExtractionError)
_WHOLE = {SignatureCoverageLevel.ENTIRE_FILE, SignatureCoverageLevel.ENTIRE_REVISION}
_LEVELS = {
    ModificationLevel.NONE: "none",
    ModificationLevel.LTA_UPDATES: "archive",
    ModificationLevel.FORM_FILLING: "forms",
    ModificationLevel.ANNOTATIONS: "annotations",
    ModificationLevel.OTHER: "other",
}
_SUBFILTERS = {
    "/ETSI.CAdES.detached": "PAdES",
    "/adbe.pkcs7.detached": "PDF",
    "/ETSI.RFC3161": "PAdES",
}
_MALFORMED = Problem("FORMAT_FAILURE", "malformed")
_UNKNOWN = Problem("GENERIC", "not_supported")
_TEXTS = {"/Reason": "reason", "/Location": "location", "/Name": "name"}


def read(stream: BinaryIO, most: int) -> Document:
    """The signatures of a PDF; ``stream`` is to stay open until they are judged.

    Raises ``DocumentUnusable``: ``encrypted``, ``damaged``, ``too_many_signatures``.
    """
    try:
        reader = PdfFileReader(stream, strict=False)
        if reader.encrypted:
            raise unusable("encrypted")
        fields = list(enumerate_sig_fields(reader, filled_status=True))
    except _BROKEN as error:
        raise unusable("damaged", f"{type(error).__name__}: {error}") from error
    if len(fields) > most:
        raise unusable("too_many_signatures")
    return _document(reader, fields)


def _document(reader: Untyped, fields: Sequence[Untyped]) -> Document:
    embedded, unread = [], []
    for name, value, field in fields:
        try:
            if value.get_object().get("/SubFilter", None) in _SUBFILTERS:
                embedded.append(EmbeddedPdfSignature(reader, field, name))
            else:
                unread.append(Found(str(name), "PDF", problem=_UNKNOWN))
        except _BROKEN:
            unread.append(Found(str(name), "PDF", problem=_MALFORMED))
    embedded.sort(key=lambda each: each.signed_revision)
    stamps = [each for each in embedded if _is_stamp(each)]
    store, warnings = _store(reader, None)
    contents = _contents(embedded)
    signatures = [
        _signature(
            each,
            [late for late in stamps if late.signed_revision > each.signed_revision],
            store,
            contents,
        )
        for each in embedded
        if not _is_stamp(each)
    ]
    if stamps and not signatures:
        warnings = (*warnings, "time_stamp_only")
    return Document("PDF", (*signatures, *unread), warnings)


def _is_stamp(embedded: Untyped) -> bool:
    return bool(embedded.sig_object.get("/SubFilter", None) == "/ETSI.RFC3161")


class _ByteRange:
    """What a signature in a PDF is over."""

    def __init__(self, embedded: Untyped) -> None:
        self._embedded = embedded

    def digest(self, algorithm: str) -> bytes:
        """As :class:`.model.Content`."""
        found: bytes = self._embedded.compute_digest(algorithm)
        return found


def _signature(
    embedded: Untyped,
    later: Sequence[Untyped],
    store: Material,
    contents: dict[int, frozenset[bytes]],
) -> Found:
    kind = _SUBFILTERS[embedded.sig_object["/SubFilter"]]
    found = cms.signature(
        embedded.signed_data, _ByteRange(embedded), str(embedded.field_name), kind
    )
    problem, changes = found.problem, None
    try:
        changes = _changes(embedded)
    except _BROKEN:
        problem = problem or _MALFORMED
    if embedded.coverage not in _WHOLE:
        problem = problem or Problem("FORMAT_FAILURE", "not_whole_document")
    documents = tuple(_readable_stamp(each, found, contents) for each in later)
    return Found(
        name=found.name,
        format=kind,
        value=found.value,
        certificate=found.certificate,
        material=found.material + store,
        problem=problem,
        claimed=found.claimed or _claimed(embedded),
        digest=found.digest,
        scheme=found.scheme,
        bound=found.bound,
        stamps=found.stamps + documents,
        scopes=(Scope("", whole=embedded.coverage == SignatureCoverageLevel.ENTIRE_FILE),),
        changes=changes,
        texts=tuple(_texts(embedded)),
    )


def _changes(embedded: Untyped) -> Changes:
    embedded.compute_integrity_info()
    told = embedded.summarise_integrity_info()
    result = told["diff_result"]
    level = result.modification_level if isinstance(result, DiffResult) else ModificationLevel.OTHER
    return Changes(_LEVELS[level], bool(told["docmdp_ok"]))


def _readable_stamp(late: Untyped, found: Found, contents: dict[int, frozenset[bytes]]) -> Stamp:
    try:
        return _document_stamp(late, found, contents)
    except _BROKEN:
        return Stamp("document", b"", None)


def _document_stamp(late: Untyped, found: Found, contents: dict[int, frozenset[bytes]]) -> Stamp:
    """A document time stamp proves all that was in the file before it, if it covers all of it."""
    late.coverage = late.evaluate_signature_coverage()
    over = _ByteRange(late) if late.coverage in _WHOLE else None
    token = asn1.ContentInfo.load(late.pkcs7_content).dump()  # without what fills the hole
    covers = contents[late.signed_revision] | {sha256(found.value)}
    return Stamp("document", token, over, covers)


def _contents(embedded: Sequence[Untyped]) -> dict[int, frozenset[bytes]]:
    """For each document time stamp, what was in the file before: signatures and validation data."""
    found = {}
    values = [(each.signed_revision, _readable_inside(each.signed_data)) for each in embedded]
    for late in embedded:
        if not _is_stamp(late):
            continue
        store, _ = _store(late.reader, late.signed_revision)
        earlier = [each for revision, each in values if revision < late.signed_revision]
        inside = set(store.digests()).union(*earlier)
        found[late.signed_revision] = frozenset(inside)
    return found


def _readable_inside(signed: Untyped) -> set[bytes]:
    """Of a signature that is damaged, nothing is proven."""
    try:
        return _inside(signed)
    except _BROKEN:
        return set()


def _inside(signed: Untyped) -> set[bytes]:
    """The signature value, certificates and status in a CMS, and those of its time stamps."""
    (info,) = signed["signer_infos"]
    found = {sha256(info["signature"].native), *cms.material_of(signed).digests()}
    for attribute in info["unsigned_attrs"] or ():
        for value in attribute["values"]:
            if attribute["type"].native == "signature_time_stamp_token":
                found |= _inside(value["content"])
    return found


def _store(reader: Untyped, revision: int | None) -> tuple[Material, tuple[str, ...]]:
    """The document security store, of the file or of a revision of it."""
    try:
        handler = reader if revision is None else reader.get_historical_resolver(revision)
        if "/DSS" not in handler.root:
            return Material(), ()
        store = DocumentSecurityStore.read_dss(handler)
        certificates = [each.get_object().data for each in store.certs.values()]
        return Material(
            tuple(x509.Certificate.load(each).dump() for each in certificates),
            tuple(each.get_object().data for each in store.ocsps),
            tuple(each.get_object().data for each in store.crls),
        ), ()
    except _BROKEN:
        return Material(), ("validation_data_damaged",)


def _claimed(embedded: Untyped) -> Untyped:
    try:
        return embedded.self_reported_timestamp
    except _BROKEN:
        return None


def _texts(embedded: Untyped) -> list[tuple[str, str]]:
    """What the signature says about itself, as text only."""
    found = []
    for entry, name in _TEXTS.items():
        value = embedded.sig_object.get(entry, None)
        if isinstance(value, str):
            found.append((name, str(value)[:200]))
    return found
