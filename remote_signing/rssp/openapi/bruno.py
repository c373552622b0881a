"""The collection as Bruno keeps it: a folder of text files, one for each request."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from remote_signing.rssp.openapi.collection import BASE_URL, SECRET, requests, variables
from remote_signing.rssp.openapi.operation import MULTIPART

if TYPE_CHECKING:
    from remote_signing.rssp.openapi.collection import Request
    from remote_signing.rssp.openapi.operation import Object


def files(document: Object) -> dict[str, str]:
    """Path inside the collection's folder → text."""
    head = {"version": "1", "name": document["info"]["title"], "type": "collection"}
    made = {
        "bruno.json": json.dumps(head, ensure_ascii=False, indent=2) + "\n",
        "environments/service.bru": _environment(document),
    }
    for number, one in enumerate(requests(document), 1):
        name = re.sub("[^A-Za-z0-9]+", "-", one.path).strip("-")
        made[f"{one.folder}/{number:03}-{one.method.lower()}-{name}.bru"] = _request(one, number)
    return made


def _environment(document: Object) -> str:
    names = variables(document)
    plain = [f"{BASE_URL}: {document['servers'][0]['url']}"]
    plain += [f"{name}: " for name in names if name not in SECRET]
    secret = ",\n".join(f"  {name}" for name in names if name in SECRET)
    return _block("vars", "\n".join(plain)) + f"\nvars:secret [\n{secret}\n]\n"


def _request(one: Request, number: int) -> str:
    kind, names = one.auth
    has_files = one.media == MULTIPART
    body = "json" if one.body else "none"
    if isinstance(one.body, dict):
        body = "multipartForm" if has_files else "formUrlEncoded"
    query = "&".join(f"{name}={{{{{name}}}}}" for name in one.query)
    url = f"{{{{{BASE_URL}}}}}{one.path}" + (f"?{query}" if query else "")
    parts = [
        _block("meta", f"name: {one.name.replace('/', '∕')}\ntype: http\nseq: {number}"),  # noqa: RUF001 - a name is a file's too
        _block(one.method.lower(), f"url: {url}\nbody: {body}\nauth: {kind}"),
    ]
    if query:
        parts.append(_block("params:query", "\n".join(f"{n}: {{{{{n}}}}}" for n in one.query)))
    if one.media is not None and not has_files:  # the client adds a boundary
        parts.append(_block("headers", f"Content-Type: {one.media}"))
    if names:
        lines = "\n".join(f"{key}: {{{{{name}}}}}" for key, name in names.items())
        parts.append(_block(f"auth:{kind}", lines))
    if isinstance(one.body, dict):
        kind = "multipart-form" if has_files else "form-urlencoded"
        values = {name: "@file()" if has_files else text for name, text in one.body.items()}
        lines = "\n".join(f"{name}: {text}" for name, text in values.items())
        parts.append(_block(f"body:{kind}", lines))
    elif one.body:
        parts.append(_block("body:json", one.body))
    if one.about:
        parts.append(_block("docs", one.about))
    return "\n".join(parts)


def _block(name: str, text: str) -> str:
    inner = "\n".join(f"  {line}" for line in text.splitlines())
    return f"{name} {{\n{inner}\n}}\n"
