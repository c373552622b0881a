"""Signed documents that are bent at random: a report or a named refusal, nothing else, in time.

``VALIDATION_FUZZ`` is the number of files of each kind; a few by default. The figures are printed.
"""

from __future__ import annotations

import io
import os
import random
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remote_signing.errors import DocumentUnusable, InvalidInput
from remote_signing.rssp.edge.multipart import Reader
from tests.support.foreign_pki import ForeignPki
from tests.support.validation import Desk

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.rssp.validation.trust import Knowledge

COUNT = int(os.environ.get("VALIDATION_FUZZ", "8"))
LONGEST = 20.0  # seconds of one file, on a busy machine
DATA = Path(__file__).parents[1] / "data" / "validation"
DECISION = Path(__file__).parents[2] / "remote_signing" / "demo" / "decision.pdf"
VECTORS = {
    "xml": "enveloped-B-LTA.xml",
    "enveloping": "enveloping-B-LTA.xml",
    "jws": "attached-B-LTA.jws",
    "asic-xades": "xades-B-LTA.asice",
    "asic-cades": "cades-B-LTA.asice",
}


@pytest.fixture(scope="module")
def pki() -> ForeignPki:
    return ForeignPki()


@pytest.fixture(scope="module")
def documents(pki: ForeignPki) -> dict[str, bytes]:
    vectors = {kind: (DATA / name).read_bytes() for kind, name in VECTORS.items()}
    pdf = pki.pdf(DECISION.read_bytes(), "B-LTA")
    return vectors | {"pdf": pdf, "cms": pki.cms(b"hello", "B-T")}


def flipped(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 1, 2, 8))):
        data[dice.randrange(len(data))] = dice.randrange(256)


def cut(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data))
    del data[start : start + dice.choice((1, 16, 1024, len(data)))]


def repeated(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data))
    data[start:start] = data[start : start + dice.choice((1, 64, 4096))]


def swapped(data: bytearray, dice: random.Random) -> None:
    """Two pieces change places: what a reader finds by a name is elsewhere."""
    first, second = sorted(dice.sample(range(len(data)), 2))
    length = min(dice.choice((4, 64, 512)), second - first)
    data[first : first + length], data[second : second + length] = (
        data[second : second + length],
        data[first : first + length],
    )


def figures(data: bytearray, dice: random.Random) -> None:
    """Digits become others: offsets, lengths, counts."""
    places = [place for place, octet in enumerate(data) if 0x30 <= octet <= 0x39]
    for place in dice.sample(places, min(len(places), 3)):
        data[place] = dice.choice(b"0123456789-")


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(flipped, flipped, cut, repeated, swapped, figures),
)


def bent(data: bytes, dice: random.Random) -> bytes:
    if data.startswith(b"PK") and dice.random() < 0.7:
        return repacked(data, dice)
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 3))):
        if changed:
            dice.choice(CHANGES)(changed, dice)
    return bytes(changed)


def repacked(data: bytes, dice: random.Random) -> bytes:
    """A whole container around a file that was bent."""
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    target = dice.choice([name for name in files if name.startswith("META-INF/")])
    files[target] = bent(files[target], dice)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return out.getvalue()


def outcome(desk: Desk, data: bytes, known: Knowledge) -> str:
    """The indication, or the name of the refusal; ``unforeseen`` is one that no reader foresaw."""
    try:
        return str(desk.report(data, known)["indication"])
    except DocumentUnusable as refused:
        return "unforeseen" if "Traceback" in refused.cause else str(refused.public["reason"])


@pytest.mark.parametrize("kind", [*VECTORS, "pdf", "cms"])
def test_bent_documents_get_a_report_or_a_named_refusal(
    documents: dict[str, bytes], pki: ForeignPki, kind: str, tmp_path: Path
) -> None:
    desk, dice = Desk(tmp_path), random.Random(f"validation {kind}")  # noqa: S311 - a test's dice
    known = pki.knowledge(*pki.fresh)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(COUNT):
        data = bent(documents[kind], dice)
        began = time.perf_counter()
        outcomes[outcome(desk, data, known)] += 1
        slowest = max(slowest, time.perf_counter() - began)
    print(f"{kind}: {COUNT} files, slowest {slowest:.2f} s, {dict(outcomes)}")
    assert slowest < LONGEST
    assert sum(outcomes.values()) == COUNT
    assert outcomes["unforeseen"] == 0


def test_no_byte_of_a_signed_pdf_can_be_changed(pki: ForeignPki, tmp_path: Path) -> None:
    desk, dice = Desk(tmp_path), random.Random("signed bytes")  # noqa: S311 - as above
    known, whole = pki.knowledge(*pki.fresh), pki.pdf(DECISION.read_bytes())
    signed = whole.index(b"/Contents <")
    for _ in range(COUNT):
        data = bytearray(whole)
        place = dice.randrange(signed)
        data[place] = (data[place] + dice.randrange(1, 256)) % 256
        assert outcome(desk, bytes(data), known) != "TOTAL-PASSED", place


def test_forms_in_pieces_of_any_size_are_read_the_same(tmp_path: Path) -> None:
    dice = random.Random("forms")  # noqa: S311 - as above
    content = bytes(dice.randrange(256) for _ in range(500)) + b"\r\n--bound" + b"\r\n--"
    body = (
        b'--boundary\r\nContent-Disposition: form-data; name="document"; filename="a;b"\r\n'
        b"Content-Type: application/pdf\r\n\r\n" + content + b"\r\n--boundary\r\n"
        b'content-disposition: form-data; name="content"\r\n\r\n\r\n--boundary--\r\n'
    )
    outcomes: Counter[str] = Counter()
    for number in range(COUNT * 10):
        folder = tmp_path / str(number)
        folder.mkdir()
        sent = body if number % 2 else bent(body, dice)
        reader = Reader(b"boundary", folder, ("document", "content"))
        try:
            while sent:
                length = dice.choice((1, 7, 100, 4096))
                reader.feed(sent[:length])
                sent = sent[length:]
            found = reader.close()
            outcomes["read"] += 1
        except InvalidInput:
            outcomes["refused"] += 1
            assert number % 2 == 0
        finally:
            reader.end()
        if number % 2:
            assert found["document"].read_bytes() == content
            assert found["content"].read_bytes() == b""
    print(f"forms: {dict(outcomes)}")
