"""What a signature looks like on the page, after Decree 30/2020/NĐ-CP, Annex I.

The signature of the person with authority is a picture, blue; the seal of the organisation is one,
red; copies and attachments of their own have a line of text instead, Times New Roman 10, black, at
the top right of page one, with the time of signing after ISO 8601 in Vietnam's zone.
"""

from __future__ import annotations

import functools
import io
import json
import warnings
import zlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from PIL import Image
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.images import pil_image

from remote_signing.errors import DocumentUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind: TypeAlias = Literal["signature", "seal", "copy", "attachment"]
KINDS: tuple[Kind, ...] = ("signature", "seal", "copy", "attachment")
PICTURES = ("signature", "seal")
Box: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top; in points from the page's lower left corner."""

SIZE = 10.0  # points, of the text
LEADING = 12.0
_EDGE = 5 / 25.4 * 72
_VIETNAM = timezone(timedelta(hours=7))
_LARGEST_SIDE = 4096  # pixels of a picture that is looked at
_KEPT_SIDE = 1000  # pixels of a picture that is put into the document
_ITALIC = 0  # FontDescriptor: upright


@dataclass(frozen=True, slots=True)
class Appearance:
    """How a signature is shown, and where: one of ``box``, ``field`` and ``texts``, or by custom.

    ``picture`` is PNG or JPEG; ``lines`` are the text of a copy or an attachment, before the time.
    ``texts`` are the position title and the name between which a signature is centred. ``page``
    counts from 0.
    """

    kind: Kind
    picture: bytes = b""
    lines: tuple[str, ...] = ()
    page: int | None = None
    box: Box | None = None
    field: str | None = None
    texts: tuple[str, str] | None = None


def clean(picture: bytes) -> tuple[int, int, bytes]:
    """Width, height and PNG of a picture: what is seen of it and nothing else that was in it.

    ``DocumentUnusable`` for what is no PNG or JPEG of at most 4096 pixels a side.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(picture), formats=_FORMATS) as found:
            warnings.simplefilter("error")
            seen = _within_bounds(found).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise DocumentUnusable(cause, reason="the picture is damaged or too large") from error
    seen.thumbnail((_KEPT_SIDE, _KEPT_SIDE))
    out = io.BytesIO()
    seen.save(out, "PNG")
    return *seen.size, out.getvalue()


_FORMATS = ("PNG", "JPEG")


def _within_bounds(found: Image.Image) -> Image.Image:
    """Before a pixel of it is read."""
    if max(found.size) > _LARGEST_SIDE:
        raise ValueError(f"{found.size} pixels")
    return found


def text_lines(appearance: Appearance, claimed: datetime) -> tuple[str, ...]:
    """The lines of a copy or an attachment, the time last."""
    return (*appearance.lines, claimed.astimezone(_VIETNAM).isoformat(timespec="seconds"))


def text_box(lines: tuple[str, ...], page: Box) -> Box:
    """The place of a text block: top right, above the 20 mm at which the document's text begins."""
    width = max(map(text_width, lines)) + 2
    right, top = page[2] - 2 * _EDGE, page[3] - _EDGE
    return right - width, top - LEADING * len(lines) - 2, right, top


def text_width(line: str) -> float:
    """Points. ``DocumentUnusable`` for a character that the font has not."""
    return sum(_glyph(character)[1] for character in line) * SIZE / 1000


def known_text(line: str) -> bool:
    """Whether the font has every character."""
    return all(character in _font()[1] for character in line)


@dataclass(frozen=True)
class Style:
    """What pyHanko asks for the content of a field (it wants ``create_stamp``)."""

    appearance: Appearance
    claimed: datetime

    def create_stamp(self, writer: Any, box: Any, _texts: Mapping[str, str]) -> _Stamp:  # noqa: ANN401 - pyHanko's own types
        """The content for a field of that width and height."""
        return _Stamp(self, writer, float(box.width), float(box.height))


@dataclass(frozen=True)
class _Stamp:
    style: Style
    writer: Any
    width: float
    height: float

    def apply_appearance(self, annotation: Any) -> None:  # noqa: ANN401 - as above
        """Give a field its look."""
        if self.style.appearance.kind in PICTURES:
            content, found = self._picture()
        else:
            content, found = self._text()
        form = generic.StreamObject(
            {
                pdf_name("/Type"): pdf_name("/XObject"),
                pdf_name("/Subtype"): pdf_name("/Form"),
                pdf_name("/BBox"): _numbers(0, 0, self.width, self.height),
                pdf_name("/Resources"): found,
            },
            stream_data=content,
        )
        annotation[pdf_name("/AP")] = _dictionary(N=self.writer.add_object(form))

    def _picture(self) -> tuple[bytes, Any]:
        """As large as it can be without being distorted, in the middle."""
        width, height, content = clean(self.style.appearance.picture)
        with Image.open(io.BytesIO(content)) as picture:
            reference = pil_image(picture, self.writer)
        scale = min(self.width / width, self.height / height)
        wide, high = width * scale, height * scale
        left, bottom = (self.width - wide) / 2, (self.height - high) / 2
        drawn = f"q {wide:.3f} 0 0 {high:.3f} {left:.3f} {bottom:.3f} cm /P Do Q"
        return drawn.encode("ascii"), _dictionary(XObject=_dictionary(P=reference))

    def _text(self) -> tuple[bytes, Any]:
        lines = text_lines(self.style.appearance, self.style.claimed)
        drawn = [f"BT 0 g /F {SIZE:g} Tf {LEADING:g} TL 1 {self.height - SIZE:.3f} Td"]
        for line in lines:
            codes = "".join(f"{_glyph(character)[0]:04X}" for character in line)
            drawn.append(f"<{codes}> Tj T*")
        drawn.append("ET")
        font = _embedded(self.writer, "".join(lines))
        return " ".join(drawn).encode("ascii"), _dictionary(Font=_dictionary(F=font))


def with_picture_checked(appearance: Appearance) -> Appearance:
    """The same with a picture that is clean; a caller finds out early that one is not."""
    if appearance.kind not in PICTURES:
        return appearance
    return replace(appearance, picture=clean(appearance.picture)[2])


@functools.cache
def _font() -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The font file, and each character's glyph and width in thousandths of the size."""
    folder = resources.files("remote_signing.rssp.documents") / "font"
    glyphs = json.loads((folder / "glyphs.json").read_text("utf-8"))
    known = {character: (glyph, width) for character, (glyph, width) in glyphs.items()}
    return (folder / "serif.ttf").read_bytes(), known


def _glyph(character: str) -> tuple[int, int]:
    found = _font()[1].get(character)
    if found is None:
        raise DocumentUnusable(f"U+{ord(character):04X}", reason="a character is not in the font")
    return found


def _embedded(writer: Any, text: str) -> Any:  # noqa: ANN401 - as above
    """The font as a composite one, whose codes are the file's glyphs (ISO 32000-1 cl. 9.7)."""
    used = {_glyph(character): character for character in text}
    widths = generic.ArrayObject()
    for glyph, width in sorted(used):
        widths += [_integer(glyph), _numbers(width)]
    inner = _dictionary(
        Type=pdf_name("/Font"),
        Subtype=pdf_name("/CIDFontType2"),
        BaseFont=_NAME,
        CIDSystemInfo=_dictionary(
            Registry=generic.TextStringObject("Adobe"),
            Ordering=generic.TextStringObject("Identity"),
            Supplement=_integer(0),
        ),
        FontDescriptor=_descriptor(writer),
        CIDToGIDMap=pdf_name("/Identity"),
        W=widths,
    )
    outer = _dictionary(
        Type=pdf_name("/Font"),
        Subtype=pdf_name("/Type0"),
        BaseFont=_NAME,
        Encoding=pdf_name("/Identity-H"),
        DescendantFonts=generic.ArrayObject([writer.add_object(inner)]),
        ToUnicode=writer.add_object(generic.StreamObject(stream_data=_to_unicode(used))),
    )
    return writer.add_object(outer)


def _descriptor(writer: Any) -> Any:  # noqa: ANN401 - as above
    """The font file, as a whole, with its measures in thousandths of the size."""
    content, _ = _font()
    file = generic.StreamObject(
        {
            pdf_name("/Length1"): _integer(len(content)),
            pdf_name("/Filter"): pdf_name("/FlateDecode"),
        },
        encoded_data=zlib.compress(content, 9),
    )
    described = _dictionary(
        Type=pdf_name("/FontDescriptor"),
        FontName=_NAME,
        Flags=_integer(4 + 2),  # its own glyphs, with serifs
        FontBBox=_numbers(-544, -390, 2798, 1010),
        ItalicAngle=_integer(_ITALIC),
        Ascent=_integer(891),
        Descent=_integer(-216),
        CapHeight=_integer(655),
        StemV=_integer(80),
        FontFile2=writer.add_object(file),
    )
    return writer.add_object(described)


_NAME = pdf_name("/TinosVN+Tinos-Regular")


def _to_unicode(used: Mapping[tuple[int, int], str]) -> bytes:
    """So that the text can be searched and copied. At most a hundred entries a block."""
    entries = [
        f"<{glyph:04X}> <{character.encode('utf-16-be').hex()}>"
        for (glyph, _), character in sorted(used.items())
    ]
    blocks = [entries[start : start + 100] for start in range(0, len(entries), 100)]
    parts = ["/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /U def"]
    parts.append("/CMapType 2 def 1 begincodespacerange <0000> <FFFF> endcodespacerange")
    parts += [f"{len(block)} beginbfchar {' '.join(block)} endbfchar" for block in blocks]
    parts.append("endcmap CMapName currentdict /CMap defineresource pop end end")
    return "\n".join(parts).encode("ascii")


def _dictionary(**members: Any) -> Any:  # noqa: ANN401 - as above
    made: Any = generic.DictionaryObject
    return made({pdf_name(f"/{key}"): each for key, each in members.items()})


def _numbers(*values: float) -> Any:  # noqa: ANN401 - as above
    made: Any = generic.FloatObject
    return generic.ArrayObject([made(f"{value:.3f}") for value in values])


def _integer(value: int) -> Any:  # noqa: ANN401 - as above
    made: Any = generic.NumberObject
    return made(value)
