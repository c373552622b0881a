"""Where a signature is shown on a PDF's pages: by coordinates, by searching the text, by custom.

PDFium reads the text, in a worker process like everything that reads documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pypdfium2

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.documents.appearance import PICTURES, clean, text_box, text_lines

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from remote_signing.rssp.documents.appearance import Appearance, Box

_SEAL = 36 / 25.4 * 72  # points: a round seal has 36 mm
_SIGNATURE = (45 / 25.4 * 72, 22 / 25.4 * 72)  # the most that a signature takes where none is told
_MOST_PAGES = 50  # that are searched, from the last backwards


def place(path: Path, appearance: Appearance, claimed: datetime) -> tuple[int, Box]:
    """Page (from 0) and box. ``DocumentUnusable`` where it cannot be told."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise DocumentUnusable(str(error), reason="the PDF is damaged or not supported") from error
    try:
        return _placed(document, appearance, claimed)
    finally:
        document.close()


def _placed(document: Any, appearance: Appearance, claimed: datetime) -> tuple[int, Box]:  # noqa: ANN401 - PDFium's own type
    if appearance.box is not None:
        page = appearance.page or 0
        _within(document, page, appearance.box)
        return page, appearance.box
    if appearance.kind not in PICTURES:
        return 0, text_box(text_lines(appearance, claimed), document[0].get_bbox())
    if appearance.texts is not None:
        return _between(document, appearance, appearance.texts)
    if appearance.kind == "seal":
        return _beside_signature(document)
    raise DocumentUnusable("no place", reason="the place of the signature is not told")


def _within(document: Any, page: int, box: Box) -> None:  # noqa: ANN401 - as above
    if page >= len(document):
        raise DocumentUnusable(f"page {page}", reason="there is no such page")
    left, bottom, right, top = document[page].get_bbox()
    inside = left <= box[0] < box[2] <= right and bottom <= box[1] < box[3] <= top
    if not inside:
        raise DocumentUnusable(f"{box}", reason="the place is not on the page")


def _between(document: Any, appearance: Appearance, texts: tuple[str, str]) -> tuple[int, Box]:  # noqa: ANN401 - as above
    """Centred between position title and name, on the last page that has both."""
    title, name = texts
    for page in range(len(document) - 1, max(-1, len(document) - 1 - _MOST_PAGES), -1):
        text = document[page].get_textpage()
        for under in reversed(_found(text, name)):
            above = [each for each in _found(text, title) if _is_column(each, under)]
            if above:
                return page, _fitted(appearance, above[-1], under)
    raise DocumentUnusable("texts not found", reason="position title and name are not found")


def _is_column(above: Box, under: Box) -> bool:
    """One stands over the other: they share some of their width, with room in between."""
    shares = min(above[2], under[2]) > max(above[0], under[0])
    return shares and above[1] - under[3] > LEAST_ROOM


LEAST_ROOM = 12.0  # points between title and name


def _found(text: Any, wanted: str) -> list[Box]:  # noqa: ANN401 - as above
    """The box around each occurrence, in the order of the text; upper and lower case differ."""
    searcher = text.search(wanted, match_case=True)
    boxes: list[Box] = []
    while (occurrence := searcher.get_next()) is not None:
        start, count = occurrence
        corners = [text.get_charbox(start + number) for number in range(count)]
        lefts, bottoms, rights, tops = zip(*corners, strict=True)
        boxes.append((min(lefts), min(bottoms), max(rights), max(tops)))
    return boxes


def _fitted(appearance: Appearance, above: Box, under: Box) -> Box:
    """As large as the room allows, in the picture's own proportions."""
    centre = ((above[0] + above[2]) / 2 + (under[0] + under[2]) / 2) / 2
    room = above[1] - under[3] - 4
    most = (_SEAL, _SEAL) if appearance.kind == "seal" else _SIGNATURE
    wide, high, _ = clean(appearance.picture)
    # A seal keeps its real size, whatever it covers; a signature stays between the two.
    limit = most[1] if appearance.kind == "seal" else min(most[1], room)
    scale = min(most[0] / wide, limit / high)
    middle = (above[1] + under[3]) / 2
    half_width, half_height = wide * scale / 2, high * scale / 2
    return (
        *(centre - half_width, middle - half_height),
        *(centre + half_width, middle + half_height),
    )


def _beside_signature(document: Any) -> tuple[int, Box]:  # noqa: ANN401 - as above
    """Over a third of the signature that is there already, on its left."""
    for page in range(len(document) - 1, -1, -1):
        boxes = _signatures(document[page])
        if boxes:
            left, bottom, right, top = boxes[-1]
            edge = left + (right - left) / 3
            middle = (bottom + top) / 2
            return page, (edge - _SEAL, middle - _SEAL / 2, edge, middle + _SEAL / 2)
    raise DocumentUnusable("no signature", reason="there is no signature to put the seal beside")


def _signatures(page: Any) -> list[Box]:  # noqa: ANN401 - as above
    """Boxes of the visible fields that hold a signature."""
    raw = pypdfium2.raw
    found: list[Box] = []
    for number in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, number)
        box = raw.FS_RECTF()
        is_widget = raw.FPDFAnnot_GetSubtype(annotation) == raw.FPDF_ANNOT_WIDGET
        if is_widget and raw.FPDFAnnot_GetRect(annotation, box) and box.right > box.left:
            found.append((box.left, box.bottom, box.right, box.top))
        raw.FPDFPage_CloseAnnot(annotation)
    return found
