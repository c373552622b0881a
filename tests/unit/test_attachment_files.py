"""Files of strangers: what is shown, what is refused with which reason, and how they are kept."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

import pypdfium2
import pytest
from PIL import Image
from pyhanko.pdf_utils.crypt import StandardSecurityHandler
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer

from remote_signing.errors import AttachmentUnknown, DocumentUnusable, InvalidInput
from remote_signing.rssp.attachments import inspection, pdf_content, pictures, vault
from tests.support.attachments import deep, detached_text, pages, xref_loop
from tests.support.documents import DECISION

if TYPE_CHECKING:
    from pathlib import Path

NAME = "01mcc5rm00mratbh8wk05wn2gg"
TEXT = "Điều 1. Bổ nhiệm ông Nguyễn Văn An.\r\n\tĐiều 2.\n".encode()


def inspect(tmp_path: Path, content: bytes, declared: str | None = None) -> inspection.Inspected:
    path = tmp_path / "came"
    path.write_bytes(content)
    return inspection.inspect(path, declared, 1000)


def reason(tmp_path: Path, content: bytes, declared: str | None = None) -> str:
    with pytest.raises(DocumentUnusable) as refused:
        inspect(tmp_path, content, declared)
    return str(refused.value.public["reason"])


def encrypted() -> bytes:
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(DECISION.read_bytes())))
    writer.output_version = (2, 0)
    handler = StandardSecurityHandler.build_from_pw("chủ", "")
    writer.security_handler, writer._encrypt = handler, writer.add_object(handler.as_pdf_object())  # noqa: SLF001 - as its own encrypt() does
    target = io.BytesIO()
    writer.write(target)  # type: ignore[no-untyped-call]  # unannotated
    return target.getvalue()


def picture(kind: str, size: tuple[int, int] = (30, 20)) -> bytes:
    target = io.BytesIO()
    Image.new("1", size).convert("L").save(target, kind)
    return target.getvalue()


def action(kind: bytes) -> bytes:
    return pages(root=b"/OpenAction<</S/%s/F(x)/JS(app.alert\\(1\\))>>" % kind)


def test_a_decision_is_shown(tmp_path: Path) -> None:
    found = inspect(tmp_path, DECISION.read_bytes(), "application/pdf")
    assert (found.media_type, found.remarks) == ("application/pdf", ())
    assert found.pages == len(pypdfium2.PdfDocument(DECISION))


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(TEXT, "text/plain"), (picture("PNG"), "image/png"), (picture("JPEG"), "image/jpeg")],
    ids=["text", "png", "jpeg"],
)
def test_texts_and_pictures_are_shown(tmp_path: Path, content: bytes, media_type: str) -> None:
    assert inspect(tmp_path, content).media_type == media_type
    assert "media type" in reason(tmp_path, content, "application/pdf")


@pytest.mark.parametrize("kind", [b"JavaScript", b"Launch", b"SubmitForm", b"GoToE"])
def test_a_pdf_that_acts_by_itself_is_refused(tmp_path: Path, kind: bytes) -> None:
    assert "active content" in reason(tmp_path, action(kind))


def test_an_active_annotation_deep_inside_is_refused(tmp_path: Path) -> None:
    hidden = pages(root=b"/X[[<</Y<</Z[<</Type/Annot/Subtype/RichMedia>>]>>>>]]")
    assert "active content" in reason(tmp_path, hidden)


def test_a_word_of_the_structure_is_no_action(tmp_path: Path) -> None:
    plain = pages(root=b"/X<</S/Sound/P 2 0 R>>")
    assert inspect(tmp_path, plain).pages == 1


def test_an_xfa_form_is_refused(tmp_path: Path) -> None:
    assert "XFA" in reason(tmp_path, pages(root=b"/AcroForm<</Fields[]/XFA(x)>>"))


def test_an_encrypted_pdf_is_refused_even_when_it_opens_without_a_password(tmp_path: Path) -> None:
    assert "encrypted" in reason(tmp_path, encrypted())


@pytest.mark.parametrize(
    ("root", "remark"),
    [
        (b"/Names<</EmbeddedFiles<</Names[]>>>>", "embedded_files"),
        (b"/OCProperties<</OCGs[]/D<<>>>>", "layers"),
        (b"/AcroForm<</Fields[]/NeedAppearances true>>", "fields"),
    ],
    ids=["embedded", "layers", "fields"],
)
def test_what_is_not_shown_of_a_pdf_is_told(tmp_path: Path, root: bytes, remark: str) -> None:
    assert inspect(tmp_path, pages(root=root)).remarks == (remark,)


def test_a_huge_page_is_told_and_drawn_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    path.write_bytes(pages(size=(100_000, 90)))
    assert inspection.inspect(path, None, 1000).remarks == ("large_page",)
    with Image.open(io.BytesIO(pictures.page(path, inspection.PDF, 1))) as drawn:
        assert drawn.width <= pictures.WIDTH


def test_a_thousand_pages_are_shown_and_one_more_is_refused(tmp_path: Path) -> None:
    assert inspect(tmp_path, pages(1000)).pages == 1000
    assert "too many pages" in reason(tmp_path, pages(1001))


@pytest.mark.parametrize(
    "content",
    [
        DECISION.read_bytes()[:3000],
        b"%PDF-1.7\nnothing",
        deep(50_000),
        xref_loop(),
        pages().replace(b"/Count 1", b"/Count 7"),
        pages().replace(b"/Kids[3 0 R]", b"/Kids[2 0 R]"),
    ],
    ids=["cut", "nothing", "deep", "xref-loop", "count", "page-loop"],
)
def test_a_damaged_pdf_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "damaged" in reason(tmp_path, content)


def test_a_pdf_of_too_many_objects_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_content, "_MOST_OBJECTS", 500)
    many = pages(root=b"/X[" + b"<<>>" * 500 + b"]")
    assert "too much" in reason(tmp_path, many)


def test_signed_attributes_passed_off_as_a_text_are_refused(tmp_path: Path) -> None:
    """Whoever consents to the hash of such a "text" would sign another document."""
    assert "no PDF, picture or text" in reason(tmp_path, detached_text(b"a").attributes)


@pytest.mark.parametrize(
    "content",
    ["a\u202eb".encode(), b"a\0b", "a\u200bb".encode(), "\ufeffa".encode()],
    ids=["bidi", "nul", "unseen", "mark"],
)
def test_a_text_that_looks_like_another_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "does not show what it says" in reason(tmp_path, content)


@pytest.mark.parametrize("content", [b"", b"a" * (inspection.LONGEST_TEXT + 1)], ids=len)
def test_an_empty_or_endless_text_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "empty or too long" in reason(tmp_path, content)


def test_a_picture_that_unpacks_to_too_much_is_refused_before_it_does(tmp_path: Path) -> None:
    good = picture("PNG")
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + good[24:29]
    bomb = good[:12] + header + zlib.crc32(header).to_bytes(4, "big") + good[33:]
    assert "picture is" in reason(tmp_path, bomb)
    assert "too large" in reason(tmp_path, picture("PNG", (9000, 5000)))


def test_a_damaged_or_moving_picture_is_refused(tmp_path: Path) -> None:
    assert "damaged" in reason(tmp_path, picture("PNG")[:-30])
    target = io.BytesIO()
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(target, "PNG", save_all=True, append_images=frames[1:])
    assert "moves" in reason(tmp_path, target.getvalue())


def test_pages_are_drawn_and_a_picture_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "came"
    path.write_bytes(picture("JPEG"))
    assert pictures.page(path, "image/jpeg", 1).startswith(b"\x89PNG")
    with Image.open(io.BytesIO(pictures.page(DECISION, inspection.PDF, 1))) as drawn:
        assert drawn.width == pictures.WIDTH
    for media_type, shown in (("image/jpeg", path), (inspection.PDF, DECISION)):
        with pytest.raises(InvalidInput):
            pictures.page(shown, media_type, 99)
    path.write_bytes(b"gone bad")
    for media_type in ("image/jpeg", inspection.PDF):
        with pytest.raises(DocumentUnusable):
            pictures.page(path, media_type, 1)


# ------------------------------------------------------------------------------------- at rest


@pytest.mark.parametrize("length", [0, 1, vault.PIECE, vault.PIECE + 1, 3 * vault.PIECE])
def test_what_is_kept_comes_back_and_is_not_readable_without_its_key(
    tmp_path: Path, length: int
) -> None:
    source, content = tmp_path / "came", b"Quyet dinh" * (length // 10 + 1)
    source.write_bytes(content[:length])
    key = vault.keep(source, tmp_path, NAME)
    assert b"".join(vault.pieces(tmp_path, NAME, key)) == content[:length]
    assert b"Quyet" not in (tmp_path / NAME).read_bytes()
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    with vault.opened(tmp_path, NAME, key, tmp_path) as plain:
        assert plain.read_bytes() == content[:length]
    assert not plain.exists()


def test_a_kept_file_that_was_changed_anywhere_is_shown_to_nobody(tmp_path: Path) -> None:
    source = tmp_path / "came"
    source.write_bytes(bytes(3 * vault.PIECE))
    key = vault.keep(source, tmp_path, NAME)
    sealed, whole = (tmp_path / NAME).read_bytes(), vault.PIECE + 16
    swapped = sealed[whole : 2 * whole] + sealed[:whole] + sealed[2 * whole :]
    flipped = bytes([sealed[0] ^ 1]) + sealed[1:]
    for changed in (flipped, swapped, sealed[: 2 * whole], sealed[whole:], sealed[:-1], b""):
        (tmp_path / NAME).write_bytes(changed)
        with pytest.raises(AttachmentUnknown):
            b"".join(vault.pieces(tmp_path, NAME, key))


def test_a_kept_file_under_anothers_name_is_shown_to_nobody(tmp_path: Path) -> None:
    source = tmp_path / "came"
    source.write_bytes(b"a")
    key = vault.keep(source, tmp_path, NAME)
    (tmp_path / NAME).rename(tmp_path / "other")
    with pytest.raises(AttachmentUnknown):
        b"".join(vault.pieces(tmp_path, "other", key))
    with pytest.raises(AttachmentUnknown):
        b"".join(vault.pieces(tmp_path, NAME, key))
    vault.drop(tmp_path, NAME)
