"""Signed documents without a service: reading bodies, worker processes, what is on the page."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pyhanko.pdf_utils.reader import PdfFileReader

from remote_signing.errors import DocumentUnusable, InvalidInput, Unavailable
from remote_signing.rssp.config import DocumentsConfig
from remote_signing.rssp.csc.errors import CscError
from remote_signing.rssp.csc.v2 import appearance_order
from remote_signing.rssp.csc.v2.parameters import Parameters
from remote_signing.rssp.documents import appearance, intake
from remote_signing.rssp.documents import workshop as module
from remote_signing.rssp.documents.appearance import Appearance
from remote_signing.rssp.documents.placement import place
from remote_signing.rssp.documents.workshop import Workshop
from remote_signing.rssp.edge.body import MAX_BODY, BodyTooLarge
from tests.support.documents import DECISION, Softly, pdf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

CLAIMED = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)
TITLE, NAME = "VỤ TRƯỞNG VỤ TỔ CHỨC CÁN BỘ", "Nguyễn Văn An"
BLUE, RED = (20, 40, 190, 255), (210, 10, 20, 255)


def fed(body: bytes, folder: Path, size: int = 1000, *, strict: bool = False) -> intake.Body:
    reader = intake.Reader(folder, strict=strict)
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    return reader.close()


@pytest.mark.parametrize("size", [1, 7, 4096, 1_000_000])
@pytest.mark.parametrize("spelling", ["standard", "url", "bare", "slashed"])
def test_a_long_document_goes_to_a_file(tmp_path: Path, spelling: str, size: int) -> None:
    content = bytes(range(256)) * 100 + b"\xff"
    text = base64.b64encode(content).decode()
    if spelling == "url":
        text = base64.urlsafe_b64encode(content).decode()
    if spelling == "bare":
        text = text.rstrip("=")
    body = json.dumps({"documents": [{"document": text, "x": 'a"\\b'}]})
    if spelling == "slashed":
        body = body.replace("/", "\\/")
    found = fed(body.encode(), tmp_path, size)
    ((marker, path),) = found.files.items()
    assert found.members == {"documents": [{"document": marker, "x": 'a"\\b'}]}
    assert path is not None
    assert path.read_bytes() == content


@pytest.mark.parametrize("bad", ["*", "=", "é", "\\u0041", "AA=A"])
def test_a_long_document_that_is_no_base64_is_none(tmp_path: Path, bad: str) -> None:
    text = "A" * 20_000 + bad + "A" * 20_000
    found = fed(f'{{"document": "{text}"}}'.encode(), tmp_path)
    assert list(found.files.values()) == [None]


def test_strictly_a_long_document_has_the_standards_spelling_only(tmp_path: Path) -> None:
    content = b"\xff" * 20_000
    good, url = base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()
    texts = (good, good.replace("/", "\\/"), url, good.rstrip("="), good + "=", good + "====")
    body = json.dumps([{"document": text} for text in texts]).replace("\\\\/", "\\/")
    found = fed(f'{{"documents": {body}}}'.encode(), tmp_path, strict=True)
    read = [path and path.read_bytes() for path in found.files.values()]
    assert read == [content, content, None, None, None, None]


def test_other_long_strings_stay_within_the_bound_of_any_body(tmp_path: Path) -> None:
    with pytest.raises(BodyTooLarge):
        fed(b'{"clientData": "' + b"A" * MAX_BODY + b'"}', tmp_path, 65_536)


@pytest.mark.parametrize("end", ["", "\\", '"', '"]'])
def test_a_body_that_ends_early_is_refused(tmp_path: Path, end: str) -> None:
    with pytest.raises(InvalidInput):
        fed(f'{{"document": "{"A" * 40_000}{end}'.encode(), tmp_path)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_whatever_comes_is_read_as_json_is_or_refused(body: bytes, size: int) -> None:
    reader = intake.Reader(DECISION.parent)  # no file is made of so little
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    try:
        found = reader.close().members
    except InvalidInput:
        return
    assert found == json.loads(body)


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    made = Workshop(DocumentsConfig(workers=1, waiting=0, seconds=0.5, memory=1024))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("stage", "arguments"),
    [(time.sleep, (60,)), (bytearray, (4 << 30,)), (signal.raise_signal, (signal.SIGKILL,))],
    ids=["slow", "large", "deadly"],
)
def test_a_stage_has_bounds_and_the_next_one_works(
    workshop: Workshop, stage: Any, arguments: tuple[int]
) -> None:
    with pytest.raises(DocumentUnusable) as refused:
        workshop.do(stage, *arguments)
    assert refused.value.public["reason"] in {"it takes too long", "it takes too much"}
    assert workshop.do(pow, 2, 10) == 1024


def test_processes_are_replaced_after_a_number_of_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STAGES_OF_A_PROCESS", 4)
    workshop = Workshop(DocumentsConfig(workers=1, waiting=3))
    with ThreadPoolExecutor(4) as callers:
        served = list(callers.map(lambda _: workshop.do(os.getpid), range(10)))
    assert len(set(served)) == 3
    workshop.close()


def test_a_pool_that_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_START", -1.0)
    workshop = Workshop(DocumentsConfig(workers=1, waiting=0, seconds=0.5))
    with pytest.raises(Unavailable):
        workshop.do(pow, 2, 10)
    workshop.close()


def test_who_finds_no_place_is_told_to_come_back() -> None:
    workshop = Workshop(DocumentsConfig(workers=0, waiting=0))
    with pytest.raises(Unavailable):
        workshop.do(pow, 2, 10)
    workshop.close()


def png(size: tuple[int, int], colour: tuple[int, ...], **options: Any) -> bytes:
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((0, 0, size[0] - 1, size[1] - 1), fill=colour)
    out = io.BytesIO()
    picture.save(out, "PNG", **options)
    return out.getvalue()


def test_a_picture_is_drawn_anew_and_carries_nothing_else() -> None:
    hidden = Image.Exif()
    hidden[0x010E] = "hidden text"
    given = png((3000, 1500), BLUE, exif=hidden)
    assert b"hidden text" in given
    width, height, content = appearance.clean(given)
    assert (width, height) == (1000, 500)
    assert b"hidden text" not in content


@pytest.mark.parametrize(
    "picture",
    [b"", b"GIF89a" + bytes(100), png((8, 8), RED)[:40], png((5000, 1), RED)],
    ids=["empty", "another format", "truncated", "too large"],
)
def test_a_picture_that_is_none_is_refused(picture: bytes) -> None:
    with pytest.raises(DocumentUnusable) as refused:
        appearance.clean(picture)
    assert refused.value.public == {"reason": "the picture is damaged or too large"}


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signature, seal, copy and attachment on the demo's document, one after the other."""
    path = tmp_path_factory.mktemp("page") / "document.pdf"
    path.write_bytes(DECISION.read_bytes())
    softly = Softly()
    for wanted in (
        Appearance("signature", png((900, 420), BLUE), texts=(TITLE, NAME)),
        Appearance("seal", png((900, 900), RED)),
        Appearance("copy", lines=("SAO Y", "Văn phòng Bộ Nội vụ")),
    ):
        softly.sign(path, appearance=wanted, claimed_ms=int(CLAIMED.timestamp() * 1000))
    return path


def boxes(path: Path) -> list[tuple[float, ...]]:
    """Of the visible fields, in the order in which they were made."""
    reader = PdfFileReader(io.BytesIO(path.read_bytes()))
    return [tuple(map(float, each.sig_field["/Rect"])) for each in reader.embedded_signatures]


def test_the_signature_is_between_position_title_and_name(laid_out: Path) -> None:
    left, bottom, right, top = boxes(laid_out)[0]
    text = pypdfium2.PdfDocument(laid_out)[0].get_textpage()
    for wanted in (TITLE, NAME):
        start, count = text.search(wanted).get_next()
        corners = [text.get_charbox(start + number) for number in range(count)]
        centre = (corners[0][0] + corners[-1][2]) / 2
        assert abs((left + right) / 2 - centre) < 3
        assert corners[0][1] > top - 1 or corners[0][3] < bottom + 1
    assert (right - left) / (top - bottom) == pytest.approx(900 / 420, rel=0.05)


def test_the_seal_covers_a_third_of_the_signature_on_its_left(laid_out: Path) -> None:
    signature, seal, _ = boxes(laid_out)
    covered = (seal[2] - signature[0]) / (signature[2] - signature[0])
    assert covered == pytest.approx(1 / 3, abs=0.02)
    assert seal[0] < signature[0]
    assert (seal[2] - seal[0]) / 72 * 25.4 == pytest.approx(36, abs=0.5)  # millimetres


def test_the_page_shows_blue_red_and_the_text(laid_out: Path) -> None:
    document = pypdfium2.PdfDocument(laid_out)
    document.init_forms()
    shown = document[0].render(scale=1).to_pil().convert("RGB")
    height = shown.height
    for box, colour in zip(boxes(laid_out), (BLUE, RED), strict=False):
        place_of = (int(box[2]) - 5, height - int((box[1] + box[3]) / 2))
        place_of = place_of if colour == BLUE else (int(box[0]) + 5, place_of[1])
        assert shown.getpixel(place_of) == colour[:3]
    left, bottom, right, top = boxes(laid_out)[2]
    block = shown.crop((int(left), height - int(top), int(right), height - int(bottom)))
    darkest = [minimum for minimum, _ in block.getextrema()]
    assert max(darkest) < 80
    assert (right, top) == pytest.approx((595 - 28, 842 - 14), abs=2)


def test_the_time_is_vietnams_after_iso_8601() -> None:
    wanted = Appearance("attachment", lines=("1124/QĐ-BNV",))
    lines = ("1124/QĐ-BNV", "2026-11-26T08:02:03+07:00")
    assert appearance.text_lines(wanted, CLAIMED) == lines
    assert all(map(appearance.known_text, lines))
    assert not appearance.known_text("漢")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Appearance("signature", b"x"), "the place of the signature is not told"),
        (Appearance("seal", b"x"), "there is no signature to put the seal beside"),
        (Appearance("seal", b"x", page=7, box=(0, 0, 9, 9)), "there is no such page"),
        (Appearance("seal", b"x", box=(0, 0, 9000, 9)), "the place is not on the page"),
        (
            Appearance("signature", b"x", texts=(NAME, TITLE)),
            "position title and name are not found",
        ),
    ],
)
def test_a_place_that_is_none_is_told(wanted: Appearance, reason: str) -> None:
    with pytest.raises(DocumentUnusable) as refused:
        place(DECISION, wanted, CLAIMED)
    assert refused.value.public == {"reason": reason}


def test_a_named_field_is_filled_and_an_unknown_one_refused(tmp_path: Path) -> None:
    field = b"<</Type/Annot/Subtype/Widget/FT/Sig/T(LanhDao)/Rect[100 100 250 170]/P 3 0 R/F 4>>"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Annots[4 0 R]>>"
    path = tmp_path / "form.pdf"
    path.write_bytes(
        pdf(
            [
                b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/SigFlags 3>>>>",
                b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
                page,
                field,
            ]
        )
    )
    wanted = Appearance("signature", png((90, 42), BLUE), field="LanhDao")
    Softly().sign(path, appearance=wanted)
    assert boxes(path) == [(100.0, 100.0, 250.0, 170.0)]
    with pytest.raises(DocumentUnusable):
        Softly().sign(path, appearance=Appearance("seal", wanted.picture, field="Dau"))


PICTURE = base64.b64encode(png((8, 8), RED)).decode()
GOOD: list[dict[str, Any]] = [
    {"kind": "seal", "image": PICTURE},
    {"kind": "signature", "image": PICTURE, "rect": [1, 2.5, 30, 40], "page": 2},
    {"kind": "signature", "image": PICTURE, "between": {"title": TITLE, "name": NAME}},
    {"kind": "copy", "lines": ["SAO Y", "Bộ Nội vụ"]},
]
BAD: list[Any] = [
    "seal",
    {"kind": "stamp", "image": PICTURE},
    {"kind": "seal"},
    {"kind": "seal", "image": "*"},
    {"kind": "seal", "image": PICTURE, "lines": ["x"]},
    {"kind": "seal", "image": PICTURE, "page": 1},
    {"kind": "seal", "image": PICTURE, "rect": [1, 2, 3]},
    {"kind": "seal", "image": PICTURE, "rect": [1, 2, 3, True]},
    {"kind": "seal", "image": PICTURE, "rect": [1, 2, 3, 1e9]},
    {"kind": "seal", "image": PICTURE, "rect": [1, 2, 3, 4], "page": 0},
    {"kind": "seal", "image": PICTURE, "field": "x", "rect": [1, 2, 3, 4]},
    {"kind": "seal", "image": PICTURE, "between": {"title": "x"}},
    {"kind": "seal", "image": PICTURE, "between": {"title": "x", "name": None}},
    {"kind": "seal", "image": PICTURE, "colour": "red"},
    {"kind": "signature", "image": PICTURE},
    {"kind": "copy", "lines": []},
    {"kind": "copy", "lines": ["漢"]},
    {"kind": "copy", "lines": ["a\nb"]},
    {"kind": "copy", "lines": "x"},
]


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_an_appearance_is_read(number: int) -> None:
    found = appearance_order.read(Parameters({"appearance": GOOD[number]}))
    assert found is not None
    assert found.kind == GOOD[number]["kind"]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_bad_appearance_is_refused(number: int) -> None:
    with pytest.raises(CscError, match="Invalid parameter appearance"):
        appearance_order.read(Parameters({"appearance": BAD[number]}))


def test_none_is_wanted_where_none_is_named() -> None:
    assert appearance_order.read(Parameters({})) is None
