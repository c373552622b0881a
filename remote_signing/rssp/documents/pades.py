"""PAdES (ETSI EN 319 142-1) on a file, in place: nothing but what is added is ever written.

The file's own bytes stay as they are, so a document of 100 MB costs its reading, not its memory.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, Any

from asn1crypto import crl, ocsp, x509
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import ExternalSigner, PdfSignatureMetadata, PdfSigner
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko_certvalidator.registry import SimpleCertificateStore

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.documents import cms
from remote_signing.rssp.documents.appearance import Style, with_picture_checked
from remote_signing.rssp.documents.model import Prepared, Unsealed
from remote_signing.rssp.documents.placement import place

if TYPE_CHECKING:
    from pathlib import Path

    from pyhanko.pdf_utils.reader import PdfFileReader

    from remote_signing.rssp.documents.model import Ending, Recipe

_LONGEST_TEXT = 500
_STAMP = 16_384  # bytes kept free for a TimeStampToken; our own have 2,500
_FURTHER = 4_096  # and for what is around certificates and signature
_KINDS = {"reason": "Reason", "location": "Location", "name": "Name", "contact_info": "ContactInfo"}


def prepare(recipe: Recipe, path: Path) -> Prepared:
    """Write a signature field with a hole for the CMS to the end of the file.

    Raises ``DocumentUnusable`` (public ``reason``) for what is no PDF, is encrypted, or forbids it.
    """
    with path.open("r+b") as stream:
        try:
            writer = _Writer(stream)
            if writer.prev.encrypted:
                raise DocumentUnusable("encrypted", reason="the PDF is encrypted")
            found = _digest(recipe, writer, path)
        except SigningError as error:
            raise DocumentUnusable(str(error), reason="the PDF forbids this signature") from error
        except _BROKEN as error:
            cause = f"{type(error).__name__}: {error}"
            raise DocumentUnusable(cause, reason="the PDF is damaged or not supported") from error
    made = prepare_digest(recipe, found.document_digest)
    hole = (found.reserved_region_start, found.reserved_region_end)
    return Prepared(made.attributes, made.dtbs_r, path, hole)


def prepare_digest(recipe: Recipe, sdr: bytes) -> Prepared:
    """Of a PDF's byte range.

    A PDF tells its time in the signature dictionary, so the attribute is not allowed here
    (EN 319 142-1 cl. 6.3).
    """
    return cms.prepare(recipe, sdr, with_time=False)


stamped = cms.stamped


def finish(recipe: Recipe, prepared: Prepared, ending: Ending) -> Unsealed | None:
    """Fill the hole; for B-LT add the document security store; for B-LTA what is to be stamped."""
    assert prepared.path is not None  # noqa: S101 - of a PDF there is always a file
    content = cms.signed_data(recipe, prepared, ending).dump()
    with prepared.path.open("r+b") as stream:
        _fill(stream, prepared.hole, content)
        if recipe.reaches("B-LT"):
            _add_store(stream, ending)
        return _reserve(stream, recipe) if recipe.reaches("B-LTA") else None


def seal(_recipe: Recipe, prepared: Prepared, unsealed: Unsealed, stamp: bytes) -> None:
    """Put the document time stamp into its place."""
    assert prepared.path is not None  # noqa: S101 - as above
    with prepared.path.open("r+b") as stream:
        _fill(stream, unsealed.hole, stamp)


def finish_digest(recipe: Recipe, prepared: Prepared, ending: Ending) -> bytes:
    """The CMS for the client's PDF, into which the client puts validation data too."""
    content: bytes = cms.signed_data(recipe, prepared, ending).dump()
    return content


def result(_recipe: Recipe, path: Path) -> Path:
    """The file itself."""
    return path


def enveloped(_recipe: Recipe) -> bool:
    """True: a PDF has its signature in it."""
    return True


def property_text(name: str, value: bytes | None, *, has_document: bool) -> str | None:
    """An entry of the signature dictionary (EN 319 142-1 cl. 5.3): UTF-8 that can be printed.

    With a digest alone the dictionary is the client's.
    """
    known = has_document and name in _KINDS.values()
    if not known or value is None or len(value) > _LONGEST_TEXT:
        return None
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


# What pyHanko raises on broken files: its own errors, and Python's from deep inside its parser.
_BROKEN = (
    *(PdfError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(RuntimeError, AssertionError, OSError, ArithmeticError),
)


_NO_ID = generic.ByteStringObject(b"")


class _Writer(IncrementalPdfFileWriter):
    """Writes the same bytes for the same input: no random ID, no time of modification."""

    @classmethod
    def _handle_id(cls, prev: PdfFileReader) -> Any:  # noqa: ANN401 - as above
        given = prev.trailer["/ID"] if "/ID" in prev.trailer else ()  # noqa: SIM401 - has no get
        first, second = (each.original_bytes for each in given or (_NO_ID, _NO_ID))
        follower = hashlib.sha256(first + second + str(prev.last_startxref).encode()).digest()[:16]
        return generic.ArrayObject(
            [generic.ByteStringObject(first or follower), generic.ByteStringObject(follower)]
        )

    def _update_meta(self) -> None:
        """Leave the document's own data about itself alone."""


def _digest(recipe: Recipe, writer: _Writer, path: Path) -> Any:  # noqa: ANN401 - as above
    field, new_field, style = _look(recipe, writer, path)
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # unannotated
    signer = ExternalSigner(x509.Certificate.load(recipe.certificate), store, bytes(1))
    texts: dict[str, Any] = {name: recipe.texts.get(entry) for name, entry in _KINDS.items()}
    metadata = PdfSignatureMetadata(
        field_name=field,
        md_algorithm=recipe.digest,
        subfilter=SigSeedSubFilter.PADES,
        certify=recipe.envelope == "Certification",
        docmdp_permissions=MDPPerm.FILL_FORMS,
        **texts,
    )
    pdf_signer = PdfSigner(metadata, signer, stamp_style=style, new_field_spec=new_field)
    session = pdf_signer.init_signing_session(writer, existing_fields_only=new_field is None)
    session.system_time = recipe.claimed
    document = session.prepare_tbs_document(None, bytes_reserved=2 * _room(recipe))
    digest, _ = document.digest_tbs_document(in_place=True)
    return digest


def _look(recipe: Recipe, writer: _Writer, path: Path) -> tuple[str, Any, Any]:
    """Field name, the new field (None: it exists) and what is shown in it, if anything."""
    wanted = recipe.appearance
    name = _free_name(writer, "ChuKySo")
    if wanted is None:
        return name, SigFieldSpec(name), None
    style = Style(with_picture_checked(wanted), recipe.claimed)
    if wanted.field is not None:
        return wanted.field, None, style
    page, box = place(path, wanted, recipe.claimed)
    left, bottom, right, top = map(round, box)
    return name, SigFieldSpec(name, on_page=page, box=(left, bottom, right, top)), style


def _room(recipe: Recipe) -> int:
    certificates = len(recipe.certificate) + sum(map(len, recipe.chain))
    return certificates + _FURTHER + (_STAMP if recipe.reaches("B-T") else 0)


def _free_name(writer: Any, stem: str) -> str:  # noqa: ANN401 - as above
    taken = {name for name, _, _ in enumerate_sig_fields(writer)}
    return next(name for n in itertools.count(1) if (name := f"{stem}{n}") not in taken)


def _fill(stream: Any, hole: tuple[int, int], content: bytes) -> None:  # noqa: ANN401 - as above
    """The hole is a string of hexadecimal digits in angle brackets, filled up with zeros."""
    start, end = hole
    text = content.hex().encode("ascii")
    if len(text) > end - start - 2:
        raise DocumentUnusable(f"{len(text)} of {end - start - 2}", reason="no room in the PDF")
    stream.seek(start + 1)
    stream.write(text)
    stream.flush()


def _add_store(stream: Any, ending: Ending) -> None:  # noqa: ANN401 - as above
    material = ending.material
    writer = _Writer(stream)
    DocumentSecurityStore.supply_dss_in_writer(
        writer,
        None,
        certs=[x509.Certificate.load(each) for each in material.certificates],
        ocsps=[ocsp.OCSPResponse.load(each) for each in material.ocsp],
        crls=[crl.CertificateList.load(each) for each in material.crls],
    )
    writer.write_in_place()  # type: ignore[no-untyped-call]  # unannotated


def _reserve(stream: Any, recipe: Recipe) -> Unsealed:  # noqa: ANN401 - as above
    """A document time stamp without the time stamp."""
    writer = _Writer(stream)
    steps = PdfCMSEmbedder().write_cms(field_name=_free_name(writer, "DauThoiGian"), writer=writer)
    next(steps)
    place = DocumentTimestamp(bytes_reserved=2 * _STAMP)  # type: ignore[no-untyped-call]  # as above
    steps.send(SigObjSetup(sig_placeholder=place))
    digest, _ = steps.send(SigIOSetup(md_algorithm=recipe.digest, in_place=True))
    hole = (digest.reserved_region_start, digest.reserved_region_end)
    return Unsealed(digest.document_digest, recipe.digest, hole)
