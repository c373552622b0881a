"""The examples of the description: exchanges of tests, compared with what is kept, or kept anew.

``example("a name", answer)`` says that the exchange which ended with ``answer`` is the example of
that name. With ``OPENAPI_EXAMPLES=record`` what differs from it is written down::

    OPENAPI_EXAMPLES=record pytest -n 0 $(git grep -l 'examples import' tests)

Ids, times, tokens, certificates and signatures are different each time: they have to be of one
kind.
"""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from remote_signing.rssp import openapi
from remote_signing.rssp.openapi import examples as kept
from remote_signing.rssp.openapi.operation import FORM, MULTIPART
from tests.support.csc import LOGIN
from tests.support.described import description
from tests.support.world import configuration

if TYPE_CHECKING:
    import httpx

RECORDING = os.environ.get("OPENAPI_EXAMPLES") == "record"
FOLDER = Path(openapi.__file__).parent / "examples"
_CONFIG = configuration(
    "sqlite:///nowhere", csc={"login_client": LOGIN}, attachments={"folder": "attachments"}
)
_REFUSED = 400
_ID = "[0-9abcdefghjkmnpqrstvwxyz]{26}"
_NUMBERS = {"size", "number"}
"""Members whose numbers are different each time: of bytes, of a line in the audit table."""
_KINDS = [
    re.compile(kind)
    for kind in (
        rf"(urn:ietf:params:oauth:request_uri:)?([sr]\.)?{_ID}\.[A-Za-z0-9_-]{{43}}",
        rf"{_ID}( AND {_ID})*",
        rf"\d+\.{_ID}",  # the mark of a list
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
        r"\d{14}Z",
        r"\d{3,8}",
        r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
        r"[0-9a-f]{12,}",
        r"[0-9A-F]{12,}",
        r"[A-Za-z0-9+/_-]{40,}={0,2}",
        r"\+84 \*{3} \*{3} \d{3}",  # a number, masked
        r"([0-9A-Z]{5}-){3}[0-9A-Z]{5}",  # a one-time code
        r"(?=.*[A-Z0-9])([A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{35})",  # a passkey's id, and a user's
        r"Dấu thời gian \d{14}",
        r"https://[^ ]+[?&/][^ ]*",
        r"\[\{\"type\".+\}\]",
    )
]


def example(name: str, answer: httpx.Response, of: str | None = None) -> httpx.Response:
    """``answer``; fails unless the example ``name`` of its operation, or ``of``, is like it."""
    operation, tag = _operation(answer) if of is None else (of, "shared")
    now = _example(name, answer)
    known = [each for each in kept.stored().get(operation, []) if each["name"] == name]
    if known and alike(known[0], now):
        return answer
    assert RECORDING, f"{operation}: {name}: {known or 'not kept'} is not what came: {now}"
    _keep(FOLDER / f"{tag}.json", operation, now)
    return answer


def alike(old: Any, new: Any) -> bool:
    """Whether both are the same but for what is different each time."""
    if isinstance(old, dict) and isinstance(new, dict):
        return list(old) == list(new) and all(_alike(name, old[name], new[name]) for name in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(alike, old, new))
    if isinstance(old, str) and isinstance(new, str):
        return old == new or any(kind.fullmatch(old) and kind.fullmatch(new) for kind in _KINDS)
    return bool(old == new)


def _alike(name: str, old: Any, new: Any) -> bool:
    if name in _NUMBERS and isinstance(old, int) and isinstance(new, int):
        return True
    return alike(old, new)


def _operation(answer: httpx.Response) -> tuple[str, str]:
    found = description(_CONFIG).find(answer.request.method, answer.request.url.path)
    assert found is not None, f"{answer.request.url.path} is not described"
    described = found[1]
    return described["operationId"], re.sub("[^a-z0-9]+", "_", described["tags"][0].lower())


def _example(name: str, answer: httpx.Response) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "status": answer.status_code}
    asked = answer.request.read()
    if answer.status_code < _REFUSED and asked:
        made["request"] = _read(asked, answer.request.headers["content-type"])
    if answer.content:
        made["answer"] = _read(answer.content, answer.headers["content-type"])
    return made


def _read(content: bytes, declared: str) -> Any:
    media = declared.partition(";")[0]
    if media == FORM:
        return dict(parse_qsl(content.decode()))
    if media == MULTIPART:
        found = re.findall(rb'form-data; name="(\w+)"; filename="([^"]+)"', content)
        return {name.decode(): file.decode() for name, file in found}
    if media.endswith("json"):
        return json.loads(content)
    return {"base64": base64.b64encode(content).decode(), "media": media}


def _keep(path: Path, operation: str, now: dict[str, Any]) -> None:
    known: dict[str, list[dict[str, Any]]] = json.loads(path.read_text()) if path.exists() else {}
    there = known.setdefault(operation, [])
    names = [each["name"] for each in there]
    if now["name"] in names:
        there[names.index(now["name"])] = now
    else:
        there.append(now)
    text = json.dumps(dict(sorted(known.items())), ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
