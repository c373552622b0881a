"""Media types by the end of a name: the same on every machine, unlike the system's own tables."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "application/octet-stream"
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN = "application/vnd.oasis.opendocument."
_KNOWN = {
    "csv": "text/csv",
    "docx": _OFFICE + "wordprocessingml.document",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "odp": _OPEN + "presentation",
    "ods": _OPEN + "spreadsheet",
    "odt": _OPEN + "text",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": _OFFICE + "presentationml.presentation",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "txt": "text/plain",
    "xlsx": _OFFICE + "spreadsheetml.sheet",
    "xml": "text/xml",
    "zip": "application/zip",
}


def media_type(name: str) -> str:
    """Of a file with this name."""
    return _KNOWN.get(name.rpartition(".")[2].lower(), UNKNOWN)
