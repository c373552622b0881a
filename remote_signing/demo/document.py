"""The document: PAdES baseline B-B by pyHanko, its signature made elsewhere.

``prepare`` writes everything but the signature and fixes the signed attributes. Their hash is the
data to be signed representation (DTBS/R): what the portal asks for, what the official is shown, and
the only thing the service gets to see.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asn1crypto import x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import ExternalSigner, PdfSignatureMetadata, PdfSigner
from pyhanko.sign.signers.pdf_signer import PdfTBSDocument
from pyhanko_certvalidator.registry import SimpleCertificateStore

from remote_signing.demo.telling import DemoFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGEST = "sha256"
_LONGEST_SIGNATURE = 72  # bytes of DER-encoded ECDSA with P-256
_FIELD = "ChuKySo"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A PDF with a hole for its signature. ``dtbs_r`` is the SHA-256 of the signed attributes."""

    dtbs_r: bytes
    output: io.BytesIO
    range_digest: Any
    signed_attributes: Any
    chain: Sequence[bytes]


def check(pdf: bytes) -> bytes:
    """``pdf``, if it can be read at all; ``DemoFailed`` before anything has been set up for it."""
    try:
        IncrementalPdfFileWriter(io.BytesIO(pdf))
    except (PdfError, ValueError) as error:
        raise DemoFailed(f"this PDF cannot be signed: {error}") from error
    return pdf


async def prepare(pdf: bytes, chain: Sequence[bytes], reason: str) -> Prepared:
    """Write the signature dictionary into ``pdf``; ``chain`` is DER, the signer's first."""
    signer = _signer(chain, bytes(_LONGEST_SIGNATURE))
    metadata = PdfSignatureMetadata(
        field_name=_FIELD,
        md_algorithm=_DIGEST,
        subfilter=SigSeedSubFilter.PADES,
        reason=reason,
    )
    output = io.BytesIO()
    try:
        writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
        range_digest, _, _ = await PdfSigner(metadata, signer).async_digest_doc_for_signing(
            writer, output=output
        )
    except (PdfError, ValueError) as error:
        raise DemoFailed(f"this PDF cannot be signed: {error}") from error
    attributes = await signer.signed_attrs(range_digest.document_digest, _DIGEST, use_pades=True)
    dtbs_r = hashlib.sha256(attributes.dump()).digest()
    return Prepared(dtbs_r, output, range_digest, attributes, chain)


async def embed(prepared: Prepared, signature: bytes) -> bytes:
    """The signed PDF."""
    signer = _signer(prepared.chain, signature)
    cms = await signer.async_sign_prescribed_attributes(_DIGEST, prepared.signed_attributes)
    await PdfTBSDocument.async_finish_signing(prepared.output, prepared.range_digest, cms)
    return prepared.output.getvalue()


def _signer(chain: Sequence[bytes], signature: bytes) -> Any:  # noqa: ANN401 - pyHanko has no types
    certificates = [x509.Certificate.load(each) for each in chain]
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # pyHanko leaves it unannotated
    store.register_multiple(certificates[1:])
    return ExternalSigner(certificates[0], store, signature, embed_roots=False)
