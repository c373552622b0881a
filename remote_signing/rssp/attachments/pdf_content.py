"""What is inside a PDF beside its pages: everything that can be reached is looked at once."""

from __future__ import annotations

from typing import Any

from pyhanko.pdf_utils import generic

from remote_signing.errors import DocumentUnusable

_MOST_OBJECTS = 300_000
# Actions and annotations that run, open, send or change something (ISO 32000-2 tables 201, 171).
_ACTIONS = {
    *("/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/Rendition", "/RichMediaExecute"),
    *("/GoToE", "/GoTo3DView", "/SetOCGState", "/Hide", "/Movie", "/Sound"),
}
_PLAYERS = {"/RichMedia", "/3D", "/Movie", "/Screen", "/Sound"}
_FILES = {"/EmbeddedFiles", "/AF", "/EF"}
_ACTIVE = "the PDF has active content"


def remarks(reader: Any) -> set[str]:  # noqa: ANN401 - pyHanko has no types that mypy reads
    """What the signer should know. Raises ``DocumentUnusable`` for what acts by itself."""
    found: set[str] = set()
    seen: set[tuple[int, int]] = set()
    waiting: list[Any] = [reader.trailer.raw_get("/Root")]
    looked_at = 0
    while waiting:
        looked_at += 1
        if looked_at > _MOST_OBJECTS:
            raise DocumentUnusable("objects", reason="it takes too much")
        value = waiting.pop()
        if isinstance(value, generic.IndirectObject):
            name = (value.idnum, value.generation)
            if name in seen:
                continue
            seen.add(name)
            value = value.get_object()  # type: ignore[no-untyped-call]  # unannotated
        if isinstance(value, generic.DictionaryObject):
            _look(value, found)
            waiting.extend(value.raw_get(key) for key in value)
        elif isinstance(value, generic.ArrayObject):
            waiting.extend(value.raw_get(place) for place in range(len(value)))
    return found


def _look(entry: Any, found: set[str]) -> None:  # noqa: ANN401 - as above
    if "/XFA" in entry:
        raise DocumentUnusable("XFA", reason="the PDF is an XFA form")
    if "/JS" in entry or entry.get("/Subtype") in _PLAYERS or _acts(entry):
        raise DocumentUnusable("active", reason=_ACTIVE)
    if not _FILES.isdisjoint(entry) or entry.get("/Subtype") == "/FileAttachment":
        found.add("embedded_files")
    if "/OCProperties" in entry:
        found.add("layers")
    if entry.get("/NeedAppearances") is not None:
        found.add("fields")


def _acts(entry: Any) -> bool:  # noqa: ANN401 - as above
    """An action; an element of the document's structure has a parent, and its kind is a word."""
    kind = entry.get("/S")
    return isinstance(kind, generic.NameObject) and kind in _ACTIONS and "/P" not in entry
