"""Writing TOML: what the programs' configuration files need, no more."""

from __future__ import annotations

import json
from collections.abc import Mapping


def document(tables: Mapping[str, object]) -> str:
    """Members first, then a table for each mapping, an array of tables for each list of them."""
    top, rest = [], []
    for name, value in tables.items():
        if isinstance(value, Mapping):
            rest.append(f"[{name}]\n{_members(value)}")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            rest += [f"[[{name}]]\n{_members(each)}" for each in value]
        else:
            top.append(f"{name} = {_value(value)}\n")
    return "".join(top) + "\n" + "\n".join(rest)


def _members(table: Mapping[str, object]) -> str:
    return "".join(f"{json.dumps(name)} = {_value(value)}\n" for name, value in table.items())


def _value(value: object) -> str:
    """Strings, numbers and lists of them are written as JSON's; inline tables are not."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
