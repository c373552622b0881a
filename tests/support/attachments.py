"""Documents that portals attach: prepared PDFs with signed attributes, and hostile ones."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from remote_signing.algorithms import DIGESTS, SignatureScheme
from remote_signing.rssp.documents import cades, pades
from remote_signing.rssp.documents.model import Recipe
from tests.support.documents import DECISION, Softly, pdf

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.rssp.documents.model import Format


@dataclass(frozen=True)
class PortalsOwn:
    """What a portal with a library of its own has: the file, its attributes, and their digest."""

    content: bytes
    attributes: bytes
    dtbs_r: bytes


def recipe(kind: Format) -> Recipe:
    certificate = Softly().certificate
    return Recipe(
        format=kind,
        level="B-B",
        envelope="Revision" if kind == "P" else "Detached",
        scheme=SignatureScheme("ecdsa", DIGESTS["sha256"]),
        certificate=certificate,
        chain=(certificate,),
        claimed_ms=int(datetime.now(UTC).timestamp()) * 1000,
    )


def prepared_pdf(folder: Path, content: bytes | None = None) -> PortalsOwn:
    """A PDF with an empty place for its signature."""
    path = folder / "prepared.pdf"
    path.write_bytes(DECISION.read_bytes() if content is None else content)
    made = pades.prepare(recipe("P"), path)
    return PortalsOwn(path.read_bytes(), made.attributes, made.dtbs_r)


def detached_text(content: bytes) -> PortalsOwn:
    """A text beside which a CMS will stand."""
    made = cades.prepare_digest(recipe("C"), hashlib.sha256(content).digest())
    return PortalsOwn(content, made.attributes, made.dtbs_r)


def with_attributes(own: PortalsOwn, attributes: bytes) -> PortalsOwn:
    """Other attributes, and the hash that belongs to them."""
    return replace(own, attributes=attributes, dtbs_r=hashlib.sha256(attributes).digest())


def pages(count: int = 1, size: tuple[int, int] = (595, 842), root: bytes = b"") -> bytes:
    """A PDF of plain pages; ``root`` are further entries of its catalogue."""
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(count))
    content = b"<</Length 44>>stream\nBT /F1 24 Tf 72 700 Td (Trang mot) Tj ET     \nendstream"
    last = count + 3
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents %d 0 R"
        b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>"
    ) % (*size, last)
    return pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R" + root + b">>",
            b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, kids),
            *[page] * count,
            content,
        ]
    )


def deep(depth: int) -> bytes:
    """Nested arrays, which a careless reader follows until its stack ends."""
    return pages(root=b"/X " + b"[" * depth + b"]" * depth)


def bomb(length: int) -> bytes:
    """A page whose content unpacks to very much."""
    packed = zlib.compress(bytes(length), 9)
    stream = b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(packed), packed)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<<>>>>"
    return pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            page,
            stream,
        ]
    )


def xref_loop() -> bytes:
    """A cross-reference table that names itself as the one before it."""
    plain = pages()
    place = plain.rindex(b"startxref\n") + len(b"startxref\n")
    table = plain[place:].split(b"\n")[0]
    return plain.replace(b"/Root 1 0 R>>", b"/Root 1 0 R/Prev %s>>" % table)
