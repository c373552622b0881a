"""The few words of JSON Schema (2020-12) that the description needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Schema: TypeAlias = dict[str, Any]
Keyword: TypeAlias = Any
"""The value of a further keyword, whichever it is."""

ID = "^[0-9abcdefghjkmnpqrstvwxyz]{26}$"
OID = r"^[0-2](\.(0|[1-9][0-9]*))+$"
BASE64 = "^[A-Za-z0-9+/]*={0,2}$"
ANY_BASE64 = "^[A-Za-z0-9+/_-]*={0,2}$"
"""In requests: either alphabet, padded or not."""


def text(about: str = "", **more: Keyword) -> Schema:
    """A string; ``more`` are further keywords."""
    return _described({"type": "string", **more}, about)


def choice(values: Iterable[str], about: str = "", **more: Keyword) -> Schema:
    """One of some strings."""
    return text(about, enum=list(values), **more)


def whole(about: str = "", **more: Keyword) -> Schema:
    """An integer."""
    return _described({"type": "integer", **more}, about)


def flag(about: str = "") -> Schema:
    """A boolean; absent is false."""
    return _described({"type": "boolean"}, about)


def listing(items: Schema, about: str = "", **more: Keyword) -> Schema:
    """An array."""
    return _described({"type": "array", "items": items, **more}, about)


def members(known: dict[str, Schema], *required: str, about: str = "", **more: Keyword) -> Schema:
    """An object with these members."""
    made: Schema = {"type": "object", "properties": known}
    if required:
        made["required"] = list(required)
    return _described(made | more, about)


def whole_object(known: dict[str, Schema], about: str = "", **more: Keyword) -> Schema:
    """An object with all of these members."""
    return members(known, *known, about=about, **more)


def named(name: str) -> Schema:
    """The schema of that name in ``components``."""
    return {"$ref": f"#/components/schemas/{name}"}


def identifier(about: str = "") -> Schema:
    """A row's id."""
    return text(about, pattern=ID)


def oid(about: str = "", **more: Keyword) -> Schema:
    """A dotted object identifier."""
    return text(about, pattern=OID, maxLength=1024, **more)


def base64_given(about: str = "", **more: Keyword) -> Schema:
    """Bytes in a request."""
    return text(about, contentEncoding="base64", pattern=ANY_BASE64, **more)


def base64_told(about: str = "") -> Schema:
    """Bytes in an answer."""
    return text(about, contentEncoding="base64", pattern=BASE64)


def moment(about: str = "") -> Schema:
    """A time in RFC 3339, in UTC."""
    return text(about, format="date-time")


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    if "$ref" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    kind = schema["type"]
    made = schema | {"type": [*([kind] if isinstance(kind, str) else kind), "null"]}
    if "enum" in made:
        made["enum"] = [*made["enum"], None]
    return made


def _described(schema: Schema, about: str) -> Schema:
    return schema | {"description": about} if about else schema
