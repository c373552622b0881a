"""The reference as HTML, made from the document: no script, no asset from elsewhere.

Vietnamese first, English second: titles and the words around them; descriptions are English, as the
standards are. Pages are kept for a configuration, as the document is.
"""

from __future__ import annotations

import base64
import json
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from remote_signing.rssp.openapi.document import document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.rssp.config import RsspConfig

LANGUAGES: Final = ("vi", "en")
_WORDS: Final = {
    "vi": {
        "title": "Tài liệu tra cứu API",
        "download": "Tải mô tả OpenAPI 3.1",
        "other": "English",
        "back": "Tất cả thao tác",
        "authorise": "Xác thực",
        "nobody": "không cần",
        "parameters": "Tham số",
        "body": "Nội dung yêu cầu",
        "answers": "Trả lời",
        "example": "Ví dụ",
        "required": "bắt buộc",
        "deprecated": "cho ứng dụng cũ",
        "name": "Tên",
        "type": "Kiểu",
        "about": "Ý nghĩa",
        "headers": "Tiêu đề HTTP",
        "skip": "Đến nội dung chính",
    },
    "en": {
        "title": "API reference",
        "download": "Download the OpenAPI 3.1 description",
        "other": "Tiếng Việt",
        "back": "All operations",
        "authorise": "Authorisation",
        "nobody": "none",
        "parameters": "Parameters",
        "body": "Request body",
        "answers": "Answers",
        "example": "Example",
        "required": "required",
        "deprecated": "for older clients",
        "name": "Name",
        "type": "Type",
        "about": "Meaning",
        "headers": "HTTP headers",
        "skip": "To the content",
    },
}


@lru_cache(16)
def overview(config: RsspConfig, lang: str) -> str:
    """All operations, by tag."""
    described = document(config)
    listed: dict[str, list[dict[str, Any]]] = {}
    for each in _operations(described):
        listed.setdefault(each["tags"][0], []).append(each)
    return _page(lang, "overview.html", described, listed=listed)


@lru_cache(1024)
def operation(config: RsspConfig, name: str, lang: str) -> str | None:
    """The operation of that ``operationId``; None when there is none."""
    described = document(config)
    for each in _operations(described):
        if each["operationId"] == name:
            answers = {
                status: _followed(described, told) for status, told in each["responses"].items()
            }
            return _page(lang, "operation.html", described, operation=each, answers=answers)
    return None


@cache
def style() -> bytes:
    """The style sheet."""
    return files(__package__).joinpath("templates", "docs.css").read_bytes()


def _operations(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in described["paths"].items():
        for method, each in methods.items():
            vi, _, en = each["summary"].partition(" · ")
            yield {"path": path, "method": method.upper(), "vi": vi, "en": en, **each}


def _page(lang: str, template: str, described: dict[str, Any], **values: Any) -> str:  # noqa: ANN401 - whatever the template shows
    chosen = lang if lang in LANGUAGES else LANGUAGES[0]
    other = LANGUAGES[1 - LANGUAGES.index(chosen)]
    rows = lambda schema: list(_rows(described, schema))  # noqa: E731 - for the template alone
    return (
        _environment()
        .get_template(template)
        .render(lang=chosen, other=other, words=_WORDS[chosen], doc=described, rows=rows, **values)
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["shown"] = _shown
    return made


def _shown(example: dict[str, Any]) -> str:
    """An example as people read it."""
    if "externalValue" in example:
        _, _, data = str(example["externalValue"]).partition(",")
        return f"({len(base64.b64decode(data))} bytes, base64)\n{data}"
    return json.dumps(example["value"], ensure_ascii=False, indent=2)


def _followed(described: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """What a ``$ref`` leads to; else the value itself."""
    if "$ref" not in value:
        return value
    found: dict[str, Any] = described
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def _rows(
    described: dict[str, Any], schema: dict[str, Any], before: str = ""
) -> Iterator[dict[str, Any]]:
    """The members of an object and of what is in it, as lines of a table."""
    schema = _followed(described, schema)
    for name, given in schema.get("properties", {}).items():
        known = _followed(described, given)
        yield {
            "name": before + name,
            "type": _kind(described, known),
            "required": name in schema.get("required", ()),
            "about": known.get("description") or known.get("items", {}).get("description", ""),
            "choices": known.get("enum", ()),
        }
        inner = _followed(described, known.get("items", known))
        mark = "[]." if "items" in known else "."
        yield from _rows(described, inner, f"{before}{name}{mark}")


def _kind(described: dict[str, Any], schema: dict[str, Any]) -> str:
    kind = schema.get("type", "")
    if "oneOf" in schema:
        return " | ".join(_kind(described, _followed(described, one)) for one in schema["oneOf"])
    if isinstance(kind, list):
        return " | ".join(kind)
    if kind == "array":
        return f"array<{_kind(described, _followed(described, schema['items']))}>"
    if "const" in schema:
        return f"{kind} {json.dumps(schema['const'])}".strip()
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)
