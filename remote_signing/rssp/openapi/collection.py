"""A collection of requests to try, made from the document; Postman and Bruno each have a form.

Nothing in it is anybody's: what a person or a portal has of its own is a variable without a value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from remote_signing.rssp.openapi.operation import FORM, JSON, MULTIPART

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.rssp.openapi.operation import Object

BASE_URL: Final = "base_url"
OWN: Final = {
    # member on the wire → variable
    "credentialID": "credential_id",
    "userID": "user_id",
    "sub": "user_id",
    "requestID": "request_id",
    "SAD": "sad",
    "handle": "handle",
    "PIN": "pin",
    "OTP": "otp",
    "pin": "pin",
    "otp": "otp",
    "username": "username",
    "password": "password",
    "client_id": "client_id",
    "client_secret": "client_secret",
    "client_assertion": "client_assertion",
    "redirect_uri": "redirect_uri",
    "request_uri": "request_uri",
    "code": "code",
    "code_verifier": "code_verifier",
    "code_challenge": "code_challenge",
    "refresh_token": "refresh_token",
    "token": "token",
    "factor_id": "factor_id",
    "binding": "binding",
    "state": "state",
    "new_pin": "new_pin",
    "claimedTime": "claimed_time",
}
SECRET: Final = frozenset(
    {
        *("sad", "handle", "pin", "otp", "password", "client_secret", "client_assertion", "code"),
        *("binding", "state", "new_pin"),
        *("code_verifier", "refresh_token", "token", "request_uri", "access_token", "session"),
    }
)
_AUTHORISATION: Final = {
    "bearer": ("bearer", {"token": "access_token"}),
    "session": ("bearer", {"token": "session"}),
    "password": ("basic", {"username": "username", "password": "password"}),
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``auth`` is a kind (``none``, ``bearer``, ``basic``) and its variables.

    ``body`` is the text of JSON, the members of a form (the names of files, where it has files), or
    None: without a body, or with bytes that a collection cannot hold.
    """

    folder: str
    name: str
    about: str
    method: str
    path: str
    query: tuple[str, ...]
    auth: tuple[str, dict[str, str]]
    media: str | None
    body: str | dict[str, str] | None


def requests(document: Object) -> Iterator[Request]:
    """One for each example of a request, and one for each operation that has none."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _of_operation(path, method, operation)


def variables(document: Object) -> list[str]:
    """The names that requests use, besides :data:`BASE_URL`."""
    names: set[str] = set()
    for one in requests(document):
        texts = (one.path, json.dumps(one.body), *(f"{{{{{name}}}}}" for name in one.query))
        names |= {name for text in texts for name in re.findall(r"\{\{(\w+)\}\}", text)}
        names |= set(one.auth[1].values())
    return sorted(names)


def _of_operation(path: str, method: str, operation: Object) -> Iterator[Request]:
    content = operation.get("requestBody", {}).get("content", {})
    media = next(iter(content), None)
    given = content[media].get("examples", {}) if media else {}
    for example in given.values() or [{}]:
        more = f" – {example['summary']}" if len(given) > 1 else ""
        yield Request(
            folder=operation["tags"][0],
            name=f"{operation['summary']}{more}",
            about=operation.get("description", ""),
            method=method.upper(),
            path=path.replace("{", "{{").replace("}", "}}"),
            query=tuple(
                each["name"] for each in operation.get("parameters", ()) if _is_asked(each)
            ),
            auth=_auth(operation),
            media=media,
            body=_body(media, example),
        )


def _is_asked(parameter: Object) -> bool:
    """Whether a parameter is worth a line: those of a request that was pushed before."""
    return parameter["in"] == "query" and parameter["name"] in {"client_id", "request_uri"}


def _auth(operation: Object) -> tuple[str, dict[str, str]]:
    for way in operation["security"]:
        for name in way:
            if name in _AUTHORISATION:
                return _AUTHORISATION[name]
    return "none", {}  # or the client's secret, which is in the form


def _body(media: str | None, example: Object) -> str | dict[str, str] | None:
    if "value" not in example:
        return None
    value = _without_own(example["value"])
    if media in {FORM, MULTIPART}:
        return {name: str(text) for name, text in value.items()}
    return json.dumps(value, ensure_ascii=False, indent=2) if media == JSON else None


def _without_own(value: Any) -> Any:  # noqa: ANN401 - JSON, whatever it is
    """``value`` with variables for what is somebody's own."""
    if isinstance(value, list):
        return [_without_own(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"id", "value"}:  # a factor of authData
        return {"id": "{{factor_id}}", "value": "{{otp}}"}
    made = {}
    for name, given in value.items():
        if name == "authorization_details" and isinstance(given, str):  # JSON in a form
            made[name] = json.dumps(_without_own(json.loads(given)), ensure_ascii=False)
        else:
            own = isinstance(given, str) and name in OWN
            made[name] = f"{{{{{OWN[name]}}}}}" if own else _without_own(given)
    return made
