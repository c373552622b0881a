"""The document: PAdES baseline B-B by pyHanko, its signature made elsewhere.

``prepare`` writes everything but the signature and fixes the signed attributes. Their hash is the
data to be signed representation (DTBS/R): what the portal asks for, what the official is shown, and
the only thing the service gets to see.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.signers import PdfSignatureMetadata

from remote_signing.client import pdf
from remote_signing.demo.telling import DemoFailed

if TYPE_CHECKING:
    from remote_signing.client import Credential

_FIELD = "ChuKySo"


def check(content: bytes) -> bytes:
    """``content``, if it can be read at all; ``DemoFailed`` before anything is set up for it."""
    try:
        IncrementalPdfFileWriter(io.BytesIO(content))
    except (PdfError, ValueError) as error:
        raise DemoFailed(f"this PDF cannot be signed: {error}") from error
    return content


async def prepare(content: bytes, credential: Credential, reason: str) -> pdf.PreparedPdf:
    """Write the signature dictionary into a PDF."""
    metadata = PdfSignatureMetadata(field_name=_FIELD, reason=reason)
    try:
        return await pdf.prepare(content, credential, metadata)
    except (PdfError, ValueError) as error:
        raise DemoFailed(f"this PDF cannot be signed: {error}") from error
