"""``appearance`` of a PDF in ``signDoc``: our own member, which clients may leave out.

See docs/sign-doc.md; what it comes to is :mod:`remote_signing.rssp.documents.appearance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from remote_signing.rssp.csc.errors import invalid
from remote_signing.rssp.csc.wire import decode
from remote_signing.rssp.documents.appearance import KINDS, PICTURES, Appearance, known_text

if TYPE_CHECKING:
    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.rssp.documents.appearance import Box
    from remote_signing.strict_json import JsonValue

_NAME = "appearance"
_MOST_LINES = 4
_LONGEST_LINE = 120
_LONGEST_FIELD = 200
_LARGEST_PAGE = 100_000
_LARGEST_PLACE = 15_000  # points; 200 inches are the largest page (ISO 32000-1 annex C)
_CORNERS = 4
_MEMBERS = {"kind", "image", "lines", "page", "rect", "field", "between"}


def read(members: Parameters) -> Appearance | None:
    """The appearance wanted, or None. Anything wrong with it is ``Invalid parameter appearance``.

    ``page`` counts from 1, ``rect`` is left, bottom, right, top in points.
    """
    value = members.value(_NAME)
    if value is None:
        return None
    if not isinstance(value, dict) or not value.keys() <= _MEMBERS:
        raise invalid(_NAME)
    kind = value.get("kind")
    if kind not in KINDS:
        raise invalid(_NAME)
    found = Appearance(
        kind=kind,
        picture=_picture(value.get("image")),
        lines=_lines(value.get("lines")),
        page=_page(value.get("page")),
        box=_box(value.get("rect")),
        field=_text(value.get("field"), _LONGEST_FIELD),
        texts=_texts(value.get("between")),
    )
    _check(found)
    return found


def _check(found: Appearance) -> None:
    """A picture or lines, as the kind has it; one way of saying where."""
    is_picture = found.kind in PICTURES
    ways = [each for each in (found.box, found.field, found.texts) if each is not None]
    is_placed = len(ways) == 1 or (not ways and found.kind != "signature")
    fits = bool(found.picture) is is_picture and bool(found.lines) is not is_picture
    knows_page = found.page is None or found.box is not None
    if not (fits and is_placed and knows_page):
        raise invalid(_NAME)


def _picture(value: JsonValue) -> bytes:
    if value is None:
        return b""
    content = decode(value) if isinstance(value, str) else None
    if not content:
        raise invalid(_NAME)
    return content


def _lines(value: JsonValue) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_LINES:
        raise invalid(_NAME)
    lines = [_text(each, _LONGEST_LINE) for each in value]
    if not all(line is not None and known_text(line) for line in lines):
        raise invalid(_NAME)
    return tuple(line for line in lines if line is not None)


def _text(value: JsonValue, longest: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise invalid(_NAME)
    return value


def _page(value: JsonValue) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 < value <= _LARGEST_PAGE:
        raise invalid(_NAME)
    return value - 1


def _box(value: JsonValue) -> Box | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != _CORNERS:
        raise invalid(_NAME)
    corners = [float(each) for each in value if _is_place(each)]
    if len(corners) != _CORNERS:
        raise invalid(_NAME)
    return corners[0], corners[1], corners[2], corners[3]


def _is_place(value: JsonValue) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST_PLACE


def _texts(value: JsonValue) -> tuple[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {"title", "name"}:
        raise invalid(_NAME)
    title = _text(value["title"], _LONGEST_LINE)
    name = _text(value["name"], _LONGEST_LINE)
    if title is None or name is None:
        raise invalid(_NAME)
    return title, name
