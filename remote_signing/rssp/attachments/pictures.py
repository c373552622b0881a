"""Pages as pictures, for browsers that cannot draw them. Runs in a worker process."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any, Final

import pypdfium2
from PIL import Image

from remote_signing.errors import DocumentUnusable, InvalidInput
from remote_signing.rssp.attachments.inspection import PDF

if TYPE_CHECKING:
    from pathlib import Path

WIDTH: Final = 1100
"""Pixels: readable on a phone, small on the air."""
_MOST_PIXELS = 6_000_000


def page(path: Path, media_type: str, number: int) -> bytes:
    """Page ``number`` (from 1) as PNG, at most :data:`WIDTH` wide and six million pixels.

    A picture is its own first page, made anew, so nothing of the original's bytes gets through.
    Raises ``InvalidInput``, ``DocumentUnusable``.
    """
    try:
        picture = _of_pdf(path, number) if media_type == PDF else _of_picture(path, number)
    except (OSError, ValueError, SyntaxError, pypdfium2.PdfiumError) as error:
        raise DocumentUnusable(str(error), reason="the page cannot be drawn") from error
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()


def scale(width: float, height: float) -> float:
    """By what a page of that size is multiplied."""
    width, height = max(width, 1), max(height, 1)
    return min(WIDTH / width, math.sqrt(_MOST_PIXELS / (width * height)))


def _of_pdf(path: Path, number: int) -> Any:  # noqa: ANN401 - pypdfium2 has no types
    document: Any = pypdfium2.PdfDocument(path)
    try:
        if not 1 <= number <= len(document):
            raise InvalidInput("no such page", parameter="page")
        found = document[number - 1]
        size = found.get_size()
        bitmap = found.render(scale=scale(*size))
        return bitmap.to_pil().convert("RGB")
    finally:
        document.close()


def _of_picture(path: Path, number: int) -> Any:  # noqa: ANN401 - as above
    if number != 1:
        raise InvalidInput("no such page", parameter="page")
    with Image.open(path, formats=["PNG", "JPEG"]) as picture:
        by = min(1.0, scale(*picture.size))
        sides = (max(1, round(picture.width * by)), max(1, round(picture.height * by)))
        return picture.convert("RGB").resize(sides)
