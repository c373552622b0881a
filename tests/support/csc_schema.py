"""Requests and answers of both CSC versions, compared with their schemas (tests/data/csc)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from tests.support.json_schema import mistakes

if TYPE_CHECKING:
    import httpx

_DATA = Path(__file__).parents[1] / "data" / "csc"
SCHEMAS: dict[str, dict[str, Any]] = {
    version: json.loads((_DATA / f"csc_{version}_derived.schema.json").read_text("utf-8"))["$defs"]
    for version in ("v1", "v2")
}
_NO_CONTENT = 204

ERRATA: dict[tuple[str, ...], tuple[Any, Any]] = {
    # place in the published schema of v1.0.3.0 → what it says, and what the text says instead
    ("multisign", "type"): ("boolean", "integer"),
    ("key", "properties", "curve", "type"): ("integer", "string"),
    ("PININFO", "properties", "format", "pattern"): ("^(A|B)$", "^(A|N)$"),
    ("output-credentials-info", "required"): (
        ["key", "cert", "authMode", "PIN", "OTP", "multisign", "lang"],
        ["key", "cert", "authMode", "multisign"],
    ),
}


BROKEN, RIGHT = '"#/components/schemas/', '"#/definitions/'
"""Where its references lead, and where they are meant to."""


def published(corrected: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - one switch
    """The definitions that the consortium published for v1.0.3.0."""
    text = (_DATA / "csc_schema_v.1.0.3.0.json").read_text("utf-8")
    found = json.loads(text.replace(BROKEN, RIGHT) if corrected else text)["definitions"]
    for place, (_, right) in ERRATA.items() if corrected else ():
        inner = found
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = right
    return dict(found)


@cache
def _published_validator(name: str) -> Any:
    definitions = published()
    if name not in definitions:
        return None
    schema = {"$ref": f"#/definitions/{name}", "definitions": definitions}
    return jsonschema_rs.Draft7Validator(schema)


def published_mistakes(direction: str, method: str, members: dict[str, Any]) -> list[str]:
    """What of v1's ``input`` or ``output`` is not as the published schema has it, corrected."""
    name = method.replace("/", "-").replace("signHash", "signhash")
    check = _published_validator(f"{direction}-{name}")
    return [] if check is None else [each.message for each in check.iter_errors(members)]


def answer_schema(version: str, method: str, status: int) -> str:
    """The name of the schema for an answer."""
    names = [f"{method}.out", f"{method}.out.{status}", f"{method}.out.v2.2"]
    return next(name for name in names if name in SCHEMAS[version])


def check_request(version: str, method: str, body: dict[str, Any]) -> None:
    """Fail unless ``body`` is as the standard has it."""
    assert request_mistakes(version, method, body) == [], (version, method, body)


def request_mistakes(version: str, method: str, body: dict[str, Any]) -> list[str]:
    """What of a request is not as the standard has it."""
    found = mistakes(body, SCHEMAS[version][f"{method}.in"])
    return found + (published_mistakes("input", method, body) if version == "v1" else [])


def answer_mistakes(version: str, method: str, status: int, members: dict[str, Any]) -> list[str]:
    """What of an answer, an error's too, is not as the standard has it."""
    if "error" in members:
        return mistakes(members, SCHEMAS[version]["error"])
    found = mistakes(members, SCHEMAS[version][answer_schema(version, method, status)])
    return found + (published_mistakes("output", method, members) if version == "v1" else [])


def check_answer(version: str, method: str, answer: httpx.Response) -> dict[str, Any]:
    """The members of an answer that is as the standard has it, an error's too."""
    if answer.status_code == _NO_CONTENT:
        assert answer.content == b""
        return {}
    assert answer.headers["Content-Type"] == "application/json"
    members: dict[str, Any] = answer.json()
    found = answer_mistakes(version, method, answer.status_code, members)
    assert found == [], (version, method, members)
    if "error" not in members:
        assert "null" not in answer.text.replace("[null", "[").replace(",null", ",")
    return members
