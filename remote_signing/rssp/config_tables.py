"""Tables of parsed TOML read into dataclasses, by the types of their fields."""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConfigInvalid(Exception):
    """The configuration cannot be used; the text names the key and says what it should be."""


def table(kind: type[Any], members: Mapping[str, Any], folder: Path, name: str) -> object:
    """A ``kind`` (a dataclass) from ``members``; ``name`` stands before a key in what is told."""
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(kind)}
    for key in members:
        if key not in known:
            raise ConfigInvalid(f"{name}{key}: there is no such key")
    values = {}
    for key, item in known.items():
        if key in members:
            values[key] = _value(hints[key], members[key], folder, f"{name}{key}")
        elif not _has_default(item):
            raise ConfigInvalid(f"{name}{key}: is missing")
    return kind(**values)


def _has_default(item: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return item.default is not missing or item.default_factory is not missing


def _value(hint: Any, value: object, folder: Path, name: str) -> object:  # noqa: ANN401 - whatever get_type_hints gives
    if isinstance(hint, types.UnionType):
        hint = next(choice for choice in typing.get_args(hint) if choice is not types.NoneType)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return table(typing.cast("type[Any]", hint), value, folder, f"{name}.")
    if hint is Path and isinstance(value, str):
        return folder / value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        inside = typing.get_args(hint)[0]
        return tuple(_value(inside, item, folder, name) for item in value)
    if hint in {str, int, bool} and type(value) is hint:
        return value
    raise ConfigInvalid(f"{name}: {value!r} is not of type {getattr(hint, '__name__', hint)}")
