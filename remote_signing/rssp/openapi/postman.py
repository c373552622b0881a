"""The collection as Postman has it (Collection Format 2.1.0), which Bruno and others import too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from remote_signing.rssp.openapi.collection import BASE_URL, SECRET, requests, variables
from remote_signing.rssp.openapi.operation import MULTIPART

if TYPE_CHECKING:
    from remote_signing.rssp.openapi.collection import Request
    from remote_signing.rssp.openapi.operation import Object

SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def collection(document: Object) -> Object:
    """The whole collection, one folder for each tag."""
    folders: dict[str, list[Object]] = {each["name"]: [] for each in document["tags"]}
    for one in requests(document):
        folders[one.folder].append(_item(one))
    base = {"key": BASE_URL, "value": document["servers"][0]["url"]}
    own = [
        {"key": name, "value": "", "type": "secret" if name in SECRET else "string"}
        for name in variables(document)
    ]
    return {
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": SCHEMA,
        },
        "item": [{"name": name, "item": items} for name, items in folders.items() if items],
        "variable": [base, *own],
    }


def _item(one: Request) -> Object:
    query = [{"key": name, "value": f"{{{{{name}}}}}"} for name in one.query]
    raw = f"{{{{{BASE_URL}}}}}{one.path}"
    if query:
        raw += "?" + urlencode({each["key"]: each["value"] for each in query}, safe="{}")
    url: Object = {
        "raw": raw,
        "host": [f"{{{{{BASE_URL}}}}}"],
        "path": one.path.strip("/").split("/"),
    }
    if query:
        url["query"] = query
    known = [] if one.media in {None, MULTIPART} else [one.media]  # the client adds a boundary
    headers = [{"key": "Content-Type", "value": media} for media in known]
    request: Object = {
        "method": one.method,
        "header": headers,
        "url": url,
        "auth": _auth(*one.auth),
        "description": one.about,
    }
    if one.media is not None:
        request["body"] = _body(one)
    return {"name": one.name, "request": request, "response": []}


def _auth(kind: str, names: dict[str, str]) -> Object:
    if kind == "none":
        return {"type": "noauth"}
    values = [
        {"key": key, "value": f"{{{{{name}}}}}", "type": "string"} for key, name in names.items()
    ]
    return {"type": kind, kind: values}


def _body(one: Request) -> dict[str, Any]:
    if isinstance(one.body, dict) and one.media == MULTIPART:
        return {
            "mode": "formdata",
            "formdata": [{"key": key, "type": "file", "src": []} for key in one.body],
        }
    if isinstance(one.body, dict):
        form = [{"key": key, "value": text, "type": "text"} for key, text in one.body.items()]
        return {"mode": "urlencoded", "urlencoded": form}
    if one.body is None:
        return {"mode": "file", "file": {}}
    return {"mode": "raw", "raw": one.body, "options": {"raw": {"language": "json"}}}
