"""JSON as RFC 8259 means it, read strictly and within bounds.

Python's reader accepts duplicate names (the last wins), NaN, numbers of any size, lone surrogates
and NUL; each of them has been a way to make two programs read one text differently, or to turn
bad input into a fault of the database. Here they are ``InvalidInput``.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn, TypeAlias

from sim_adapter.errors import InvalidInput

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"

MAX_DEPTH = 16
_LARGEST = 2**53 - 1  # RFC 7493 cl. 2.2: integers that every reader keeps exactly
_LONGEST_NUMBER = 32
_UNSOUND = re.compile("[\0\ud800-\udfff]")


def loads(data: bytes) -> JsonValue:
    """The value that ``data`` (UTF-8, no byte-order mark) spells; ``InvalidInput`` otherwise."""
    try:
        text = data.decode("utf-8")
        value: JsonValue = _decoder.decode(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InvalidInput(f"not JSON: {error}") from None
    # Most texts cannot be deep: each level opens with one of these.
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if "\\u" in text:
        _check_strings(value)
    return value


def loads_object(data: bytes) -> dict[str, JsonValue]:
    """Like :func:`loads`, for a text whose outermost value is an object."""
    value = loads(data)
    if not isinstance(value, dict):
        raise InvalidInput("the outermost JSON value is not an object")
    return value


def canonical(value: object) -> bytes:
    """One spelling per value: names sorted, no white space, UTF-8. For hashing and sealing."""
    return _encode(value).encode("utf-8")


# Made once: json.dumps makes an encoder for each call that asks for anything unusual.
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidInput("a JSON object names a member twice")
    return members


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER or abs(int(text)) > _LARGEST:
        raise InvalidInput("a JSON integer is beyond 2^53 - 1")
    return int(text)


def _float(text: str) -> float:
    value = float(text) if len(text) <= _LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        raise InvalidInput("a JSON number is out of range")
    return value


def _constant(text: str) -> NoReturn:
    raise InvalidInput(f"{text} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _check_depth(value: JsonValue) -> None:
    level: list[JsonValue] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise InvalidInput(f"JSON nested deeper than {MAX_DEPTH}")


def _children(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []


def _check_strings(value: JsonValue) -> None:
    pending: list[JsonValue] = [value]
    while pending:
        item = pending.pop()
        pending.extend(_children(item))
        if isinstance(item, dict):
            pending.extend(item)
        elif isinstance(item, str) and _UNSOUND.search(item):
            raise InvalidInput("a JSON string holds NUL or half a surrogate pair")
