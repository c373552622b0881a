"""The stage that runs in a worker process: from a file to its report."""

from __future__ import annotations

import json
import re
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - unpickled by name
from typing import TYPE_CHECKING, BinaryIO

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.validation import asic, cms, folder, jades, pdf, report, xades
from remote_signing.rssp.validation.file_content import FileContent
from remote_signing.rssp.validation.judge import judge
from remote_signing.rssp.validation.model import unusable
from remote_signing.rssp.validation.trust import Knowledge  # noqa: TC001 - as Path

if TYPE_CHECKING:
    from remote_signing.rssp.validation.model import Document

_HEAD = 1024  # bytes in which a PDF begins


@dataclass(frozen=True, slots=True)
class Order:
    """``path`` is the document, ``content`` what a detached signature is over.

    ``knowledge`` is the service's own authority; ``folder`` holds further anchors and CRLs.
    """

    path: Path
    content: Path | None
    knowledge: Knowledge
    folder: Path | None
    now_ms: int
    most: int


def examine(order: Order) -> str:
    """The report (JSON). Raises ``DocumentUnusable`` when there can be none."""
    now = datetime.fromtimestamp(order.now_ms / 1000, UTC)
    knowledge = folder.read(order.folder, order.knowledge)
    with order.path.open("rb") as stream:
        try:
            found = _read(order, stream)
            judged = [judge(each, knowledge, now) for each in found.signatures]
            about = {"size": order.path.stat().st_size, "sha256": _sha256(order)}
            return json.dumps(report.write(found, judged, now, about), ensure_ascii=False)
        except (DocumentUnusable, MemoryError):
            raise
        except RecursionError as error:
            raise unusable("too_heavy", str(error)) from error
        except Exception as error:
            # No reader foresaw this. It is the stranger's file all the same, and the log has it.
            raise unusable("damaged", traceback.format_exc()) from error


def _sha256(order: Order) -> str:
    return FileContent(order.path).digest("sha256").hex()


def _read(order: Order, stream: BinaryIO) -> Document:
    """By what the file is, never by what it is called."""
    head = stream.read(_HEAD)
    stream.seek(0)
    content = None if order.content is None else FileContent(order.content)
    if b"%PDF-" in head:
        _alone(content)
        return pdf.read(stream, order.most)
    if head.startswith(b"PK\x03\x04"):
        _alone(content)
        return asic.read(stream, order.most)
    for beginning, read in _READERS:
        if beginning.match(head):
            return read(stream.read(), content, order.most)
    raise unusable("unknown_format")


_READERS = (
    (re.compile(rb"\x30"), cms.read),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<"), xades.read),
    (re.compile(rb"\s*(\{|eyJ)"), jades.read),
    (re.compile(rb"-----BEGIN (CMS|PKCS7)-----"), cms.read_pem),
)


def _alone(content: FileContent | None) -> None:
    if content is not None:
        raise unusable("content_superfluous")
