"""Requests and answers of both CSC versions, compared with their schemas (tests/data/csc)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.json_schema import mistakes

if TYPE_CHECKING:
    import httpx

_DATA = Path(__file__).parents[1] / "data" / "csc"
SCHEMAS: dict[str, dict[str, Any]] = {
    version: json.loads((_DATA / f"csc_{version}_derived.schema.json").read_text("utf-8"))["$defs"]
    for version in ("v1", "v2")
}
_NO_CONTENT = 204


def answer_schema(version: str, method: str, status: int) -> str:
    """The name of the schema for an answer."""
    names = [f"{method}.out", f"{method}.out.{status}", f"{method}.out.v2.2"]
    return next(name for name in names if name in SCHEMAS[version])


def check_request(version: str, method: str, body: dict[str, Any]) -> None:
    """Fail unless ``body`` is as the standard has it."""
    assert mistakes(body, SCHEMAS[version][f"{method}.in"]) == [], (version, method, body)


def check_answer(version: str, method: str, answer: httpx.Response) -> dict[str, Any]:
    """The members of an answer that is as the standard has it, an error's too."""
    if answer.status_code == _NO_CONTENT:
        assert answer.content == b""
        return {}
    assert answer.headers["Content-Type"] == "application/json"
    members: dict[str, Any] = answer.json()
    is_error = "error" in members
    name = "error" if is_error else answer_schema(version, method, answer.status_code)
    assert mistakes(members, SCHEMAS[version][name]) == [], (version, method, members)
    if not is_error:
        assert "null" not in answer.text.replace("[null", "[").replace(",null", ",")
    return members
