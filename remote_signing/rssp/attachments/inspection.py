"""What a stranger's file is, and whether it can be shown as what it is. Runs in a worker process.

What changes its look by itself is refused: nobody can say what was seen. What merely does not show
all of itself is taken, and the signer is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pypdfium2
from PIL import Image
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.attachments import pdf_content
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from pathlib import Path

PDF: Final = "application/pdf"
TEXT: Final = "text/plain"
_MARKS = {
    b"%PDF-": PDF,
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
}
MEDIA_TYPES: Final = frozenset({*_MARKS.values(), TEXT})

LONGEST_TEXT: Final = 1024 * 1024
"""Bytes. Nobody scrolls through more."""
_MOST_PIXELS = 40_000_000
_LARGEST_SIDE = 14_400  # points: 200 inches, beyond which common viewers show nothing
_LINES = str.maketrans("", "", "\n\r\t")
_DAMAGED = "the PDF is damaged or not supported"
# What pyHanko raises on broken files: its own errors, and Python's from deep inside its parser.
_BROKEN = (
    *(PdfError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(RuntimeError, AssertionError, OSError, ArithmeticError, pypdfium2.PdfiumError),
)


@dataclass(frozen=True, slots=True)
class Inspected:
    """``pages`` of a PDF. Remarks: ``embedded_files``, ``layers``, ``fields``, ``large_page``."""

    media_type: str
    pages: int | None = None
    remarks: tuple[str, ...] = ()


def inspect(path: Path, declared: str | None, most_pages: int) -> Inspected:
    """What the file is. Raises ``DocumentUnusable`` (public ``reason``) when it is not shown.

    ``declared`` is the media type that its sender says, None when nobody said one.
    """
    with path.open("rb") as stream:
        head = stream.read(16)
    found = next((kind for mark, kind in _MARKS.items() if head.startswith(mark)), TEXT)
    if declared not in {None, found}:
        raise DocumentUnusable(
            f"{declared!r:.60} is {found}", reason="it is not of that media type"
        )
    if found == PDF:
        return _pdf(path, most_pages)
    if found == TEXT:
        _check_text(path)
    else:
        _check_picture(path)
    return Inspected(found)


def _check_text(path: Path) -> None:
    if not 0 < path.stat().st_size <= LONGEST_TEXT:
        raise DocumentUnusable("length", reason="the text is empty or too long")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentUnusable("UTF-8", reason="it is no PDF, picture or text in UTF-8") from error
    if not is_showable(text.translate(_LINES)):
        raise DocumentUnusable("characters", reason="the text does not show what it says")


def _check_picture(path: Path) -> None:
    try:
        with Image.open(path, formats=["PNG", "JPEG"]) as picture:
            width, height = picture.size
            if width * height > _MOST_PIXELS:
                raise DocumentUnusable(f"{width} x {height}", reason="the picture is too large")
            if getattr(picture, "n_frames", 1) != 1:
                raise DocumentUnusable("frames", reason="the picture moves")
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DocumentUnusable(str(error), reason="the picture is damaged") from error


def _pdf(path: Path, most_pages: int) -> Inspected:
    with path.open("rb") as stream:
        try:
            reader = PdfFileReader(stream, strict=False)
            if reader.encrypted:
                raise DocumentUnusable("encrypted", reason="the PDF is encrypted")
            told = int(reader.root["/Pages"]["/Count"])
            if told > most_pages:
                raise DocumentUnusable(f"{told} pages", reason="the PDF has too many pages")
            remarks = pdf_content.remarks(reader)
            sizes = _page_sizes(path, most_pages)
        except _BROKEN as error:
            cause = f"{type(error).__name__}: {error}"
            raise DocumentUnusable(cause, reason=_DAMAGED) from error
    if not sizes or len(sizes) != told:
        # Two readers that see different documents in one file: so would two people.
        raise DocumentUnusable(f"{len(sizes)} pages, {told} told", reason=_DAMAGED)
    if any(max(size) > _LARGEST_SIDE for size in sizes):
        remarks |= {"large_page"}
    return Inspected(PDF, len(sizes), tuple(sorted(remarks)))


def _page_sizes(path: Path, most_pages: int) -> list[tuple[float, float]]:
    """Points, as PDFium sees them."""
    document: Any = pypdfium2.PdfDocument(path)
    try:
        if len(document) > most_pages:
            raise DocumentUnusable(f"{len(document)} pages", reason="the PDF has too many pages")
        return [document.get_page_size(number) for number in range(len(document))]
    finally:
        document.close()
