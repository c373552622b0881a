"""As much of JSON Schema (2020-12) as the schemas in tests/data use; any other keyword fails."""

from __future__ import annotations

import re
from typing import Any

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_NOTES = {"$comment", "description", "format", "then", "else"}


def mistakes(value: object, schema: dict[str, Any], at: str = "$") -> list[str]:
    """What is wrong with ``value``, one line each; empty when nothing is."""
    found: list[str] = []
    for keyword, wanted in schema.items():
        if keyword in _NOTES:
            continue
        if keyword == "if":
            branch = "else" if mistakes(value, wanted, at) else "then"
            found += mistakes(value, schema.get(branch, {}), at)
            continue
        check = _CHECKS.get(keyword)
        assert check is not None, f"{keyword} is not known here"
        found += check(value, wanted, at)
    return found


def _type(value: object, wanted: str | list[str], at: str) -> list[str]:
    names = [wanted] if isinstance(wanted, str) else wanted
    right = any(
        isinstance(value, _TYPES[name]) and isinstance(value, bool) <= (name == "boolean")
        for name in names
    )
    return [] if right else [f"{at}: {value!r} is not {wanted}"]


def _properties(value: object, wanted: dict[str, Any], at: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    pairs = [(name, schema) for name, schema in wanted.items() if name in value]
    return [
        line for name, schema in pairs for line in mistakes(value[name], schema, f"{at}.{name}")
    ]


def _required(value: object, wanted: list[str], at: str) -> list[str]:
    absent = [name for name in wanted if isinstance(value, dict) and name not in value]
    return [f"{at}: {name} is missing" for name in absent]


def _items(value: object, wanted: dict[str, Any], at: str) -> list[str]:
    members = value if isinstance(value, list) else []
    return [
        line for n, member in enumerate(members) for line in mistakes(member, wanted, f"{at}[{n}]")
    ]


def _contains(value: object, wanted: dict[str, Any], at: str) -> list[str]:
    members = value if isinstance(value, list) else []
    return [] if any(not mistakes(member, wanted) for member in members) else [f"{at}: contains"]


def _pattern(value: object, wanted: str, at: str) -> list[str]:
    wrong = isinstance(value, str) and not re.search(wanted, value)
    return [f"{at}: {value!r} is not like {wanted}"] if wrong else []


def _one_of(value: object, wanted: list[dict[str, Any]], at: str) -> list[str]:
    fitting = sum(not mistakes(value, schema) for schema in wanted)
    return [] if fitting == 1 else [f"{at}: fits {fitting} of oneOf"]


def _any_of(value: object, wanted: list[dict[str, Any]], at: str) -> list[str]:
    return [] if any(not mistakes(value, schema) for schema in wanted) else [f"{at}: anyOf"]


def _dependent(value: object, wanted: dict[str, list[str]], at: str) -> list[str]:
    members = value if isinstance(value, dict) else {}
    needed = [name for first, names in wanted.items() if first in members for name in names]
    return [f"{at}: {name} is missing" for name in needed if name not in members]


def _says(text: str, *, holds: bool) -> list[str]:
    return [] if holds else [text]


_CHECKS: dict[str, Any] = {
    "type": _type,
    "properties": _properties,
    "required": _required,
    "items": _items,
    "contains": _contains,
    "pattern": _pattern,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "dependentRequired": _dependent,
    "minLength": lambda value, wanted, at: _says(f"{at}: short", holds=len(value) >= wanted),
    "not": lambda value, wanted, at: _says(f"{at}: not", holds=bool(mistakes(value, wanted))),
    "enum": lambda value, wanted, at: _says(f"{at}: {value!r}: enum", holds=value in wanted),
    "const": lambda value, wanted, at: _says(f"{at}: {value!r}: const", holds=value == wanted),
    "minimum": lambda value, wanted, at: _says(f"{at}: {value!r}: minimum", holds=value >= wanted),
    "maxLength": lambda value, wanted, at: _says(f"{at}: length", holds=len(value) <= wanted),
    "minItems": lambda value, wanted, at: _says(f"{at}: minItems", holds=len(value) >= wanted),
}
