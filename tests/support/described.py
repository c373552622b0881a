"""Every exchange of a test with the rssp, compared with what the service says of itself.

``call`` and ``served`` put :class:`Judged` around an application: an answer that the description
does not know, in status, media type, headers or members, fails the test that got it, and so does a
request that was served though the description would not let anybody write it. Answers of the CSC
API are compared with the standard's schema too, whatever the test is about.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import jsonschema_rs

from remote_signing.rssp.csc.v1.routes import VERSION as V1
from remote_signing.rssp.csc.v2.routes import VERSION as V2
from remote_signing.rssp.openapi.document import document
from remote_signing.rssp.openapi.operation import FORM, MULTIPART
from tests.support.csc_schema import answer_mistakes, request_mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from remote_signing.rssp.config import RsspConfig
    from remote_signing.rssp.csc.dispatch import Version

WHERE = "describe it in remote_signing/rssp/openapi, see docs/openapi.md"
_NOTHING_HERE = {404, 405, 501}
_VERSIONS: dict[str, Version] = {"v1": V1, "v2": V2}
_OURS = {"signatures/prepareDoc"}
_MOST_COMPARED = 200_000  # bytes of a body; longer ones are documents
# Members of which a bad value is passed over: by the standard, in mode "S", without ``revoke``.
LENIENT = {"lang", "maxResults", "validity_period", "response_uri", "revocationReason"}
seen: Counter[str] = Counter()
"""How many exchanges of each kind were compared in this process."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer."""

    method: str
    path: str
    asked: bytes
    status: int
    headers: dict[str, str]
    told: bytes

    @property
    def media(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]

    @property
    def members(self) -> Any:
        return json.loads(self.told)


class Description:
    """The document of one configuration, its answers closed: no member but those it names."""

    def __init__(self, config: RsspConfig) -> None:
        self._whole = document(config)
        self._patterns = [
            (re.compile(re.sub(r"\\{\w+\\}", part, re.escape(path)) + "/?"), path)
            for part in ("[^/]+", ".+")
            for path in self._whole["paths"]
        ]

    def find(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """Path and Operation Object."""
        path = re.sub("/{2,}oauth2/", "/oauth2/", path)
        exact = [path] if path in self._whole["paths"] else []
        for name in exact + [known for pattern, known in self._patterns if pattern.fullmatch(path)]:
            found = self._whole["paths"][name].get(method.lower())
            if found is not None:
                return name, found
        return None

    @lru_cache(4096)  # noqa: B019 - descriptions live as long as the tests
    def validator(self, *place: str) -> Any:
        """Of the schema at that place; None where there is none."""
        schema = self._at(*place)
        components = self._whole["components"]
        if place[-3] == "content" and "requestBody" not in place:
            schema, components = _closed(schema), _closed(components)
        options = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        return jsonschema_rs.Draft202012Validator(
            {**options, **schema, "components": components}, validate_formats=True
        )

    def _at(self, *place: str) -> dict[str, Any]:
        found: Any = self._whole
        for name in place:
            found = found[name]
        return dict(found)

    def mistakes(self, one: Exchange) -> Iterator[str]:
        """What of an exchange is not as described."""
        found = self.find(one.method, one.path)
        if found is None:
            if one.status not in _NOTHING_HERE:
                yield f"it is not described: {WHERE}"
            return
        path, operation = found
        told = operation["responses"].get(str(one.status))
        if told is None and one.path.endswith("/") and one.status in _NOTHING_HERE:
            return  # strict mode knows no slash at the end
        if told is None:
            yield f"status {one.status} is not described: {WHERE}"
            return
        place = ("paths", path, one.method.lower(), "responses", str(one.status))
        if "$ref" in told:
            place = tuple(told["$ref"].removeprefix("#/").split("/"))
            told = self._at(*place)
        yield from self._answer(one, told, place)
        if one.status < 300 and len(one.asked) < _MOST_COMPARED:
            yield from self._request(one, path, operation)

    def _answer(self, one: Exchange, told: dict[str, Any], place: tuple[str, ...]) -> Iterator[str]:
        for header in told.get("headers", {}):
            if header.lower() not in one.headers:
                yield f"the header {header} is not there"
        content = told.get("content")
        if content is None:
            if one.told:
                yield "there is a body"
            return
        browser = one.media == "text/html" and one.path.endswith("/authorize")
        if one.media not in content and not browser:
            yield f"media type {one.media} is not described: {WHERE}"
        elif one.media.endswith("json") and len(one.told) < _MOST_COMPARED:
            check = self.validator(*place, "content", one.media, "schema")
            yield from (_line(error) for error in check.iter_errors(one.members))

    def _request(self, one: Exchange, path: str, operation: dict[str, Any]) -> Iterator[str]:
        content = operation.get("requestBody", {}).get("content", {})
        for media, described in content.items():
            if "schema" not in described or (not one.asked and "json" in media):
                continue
            place = ("paths", path, one.method.lower(), "requestBody", "content", media, "schema")
            forms = _FORMS[media](one) if media in _FORMS else _spellings(one)
            check = self.validator(*place)
            if not any(check.is_valid(members) for members in forms):
                errors = check.iter_errors(forms[0])
                yield from (f"it was served, but {_line(error)}" for error in errors)


def _line(error: Any) -> str:
    return f"{'.'.join(map(str, error.instance_path))}: {error.message[:300]}"


def _closed(schema: Any) -> Any:
    """The same, its objects without further members."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _closed(value) for name, value in schema.items()}
    if made.get("type") == "object" and made.get("properties"):
        made.setdefault("additionalProperties", False)
    return made


def _form(one: Exchange) -> list[dict[str, str]]:
    return [dict(parse_qsl(one.asked.decode("utf-8")))]


def _files(one: Exchange) -> list[dict[str, str]]:
    """The names of a form's files: what is in them is another standard's."""
    found = re.findall(rb'form-data; name="(\w+)"', one.asked)
    return [dict.fromkeys((name.decode() for name in found), "")]


_FORMS = {FORM: _form, MULTIPART: _files}


def _spellings(one: Exchange) -> list[dict[str, Any]]:
    """The members as they came and as the standard names them; without null, which is absent."""
    given = {name: value for name, value in json.loads(one.asked).items() if value is not None}
    match = re.match("/csc/(v[12])/", one.path)
    if match is None:
        return [given, json.loads(one.asked)]  # what is ours may ask for a null
    given = _told_strictly(given)
    spelling = _VERSIONS[match[1]].spelling.names
    names = {each: known[0] for known in spelling.values() for each in known[1:]}
    return [given, {names.get(name, name): value for name, value in given.items()}]


def _told_strictly(members: dict[str, Any]) -> dict[str, Any]:
    """Without the members of which a bad value is passed over."""
    return {
        name: _told_strictly(value) if isinstance(value, dict) else value
        for name, value in members.items()
        if name not in LENIENT
    }


@lru_cache(64)
def description(config: RsspConfig) -> Description:
    return Description(config)


def standards_mistakes(config: RsspConfig, one: Exchange) -> list[str]:
    """What of an exchange with the CSC API is not as the standard has it.

    Requests in strict mode alone: elsewhere other spellings are served too.
    """
    match = re.fullmatch("/csc/(v[12])/(.+?)/?", one.path)
    if match is None or match[2] not in _VERSIONS[match[1]].methods or match[2] in _OURS:
        return []
    version, method = match[1], match[2]
    found: list[str] = []
    if 0 < len(one.told) < _MOST_COMPARED:
        seen[f"answers of {version}"] += 1
        found += answer_mistakes(version, method, one.status, one.members)
    if config.csc.strict and one.status < 300 and 0 < len(one.asked) < _MOST_COMPARED:
        seen[f"requests of {version}"] += 1
        asked = {name: value for name, value in json.loads(one.asked).items() if value is not None}
        found += request_mistakes(version, method, asked)
    return found


def judge(config: RsspConfig, one: Exchange) -> None:
    """Fail unless the exchange is as described."""
    found = [*description(config).mistakes(one), *standards_mistakes(config, one)]
    seen["all"] += 1
    assert not found, f"{one.method} {one.path}: {one.status}: " + "; ".join(found)


class Judged:
    """ASGI middleware around an application that has the rssp's services; others pass through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._config: RsspConfig | None = _config_of(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._config is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked, told = bytearray(), bytearray()
        start: dict[str, Any] = {}

        async def listening() -> Message:
            message = await receive()
            if len(asked) <= _MOST_COMPARED:
                asked.extend(message.get("body", b""))
            return message

        async def telling(message: Message) -> None:
            start.update(message if message["type"] == "http.response.start" else {})
            if len(told) <= _MOST_COMPARED:
                told.extend(message.get("body", b""))
            await send(message)

        path, method = scope["path"], scope["method"]
        await self._app(scope, listening, telling)
        headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in start["headers"]}
        one = Exchange(method, path, bytes(asked), start["status"], headers, bytes(told))
        judge(self._config, one)


def _config_of(app: ASGIApp) -> RsspConfig | None:
    services = getattr(getattr(app, "state", None), "services", None)
    config: RsspConfig | None = getattr(services, "config", None)
    return config if hasattr(config, "csc") else None
