"""One operation of the description: what is asked, what may be answered, and examples of both."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from remote_signing.rssp.openapi import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.rssp.openapi.schema import Schema

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

Object: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back with one status. ``schema`` None: no body, or bytes of another standard."""

    about: str
    schema: Schema | None = None
    media: str | None = JSON
    headers: tuple[str, ...] = ()
    examples: Object = field(default_factory=dict)

    @classmethod
    def empty(cls, about: str, *headers: str) -> Answer:
        """Without a body."""
        return cls(about, None, None, headers)


@dataclass(frozen=True, slots=True)
class Asked:
    """The body of a request; ``also`` are further media types that are taken."""

    schema: Schema | None
    media: str = JSON
    required: bool = True
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """``vi`` and ``en`` name it in a few words; ``about`` says in English what has to be known.

    ``security`` are the ways to authorise, any one of which will do; none: nobody has to.
    """

    method: str
    path: str
    tag: str
    vi: str
    en: str
    answers: Mapping[int, Answer]
    about: str = ""
    asked: Asked | None = None
    parameters: tuple[Object, ...] = ()
    security: tuple[str, ...] = ()
    deprecated: bool = False
    shared: Mapping[int, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its name for programs, made from method and path."""
        return operation_id(self.method, self.path)

    def described(self) -> Object:
        """The Operation Object (OpenAPI 3.1 cl. 4.8.10)."""
        known = examples.of(self.id)
        made: Object = {
            "operationId": self.id,
            "tags": [self.tag],
            "summary": f"{self.vi} · {self.en}",
        }
        if self.about:
            made["description"] = self.about
        if self.parameters:
            made["parameters"] = list(self.parameters)
        if self.asked is not None:
            made["requestBody"] = self._body(self.asked, known)
        told = {
            status: self._told(answer, status, known) for status, answer in self.answers.items()
        }
        told |= {n: {"$ref": f"#/components/responses/{name}"} for n, name in self.shared.items()}
        made["responses"] = {str(status): told[status] for status in sorted(told)}
        made["security"] = [{name: []} for name in self.security]
        if self.deprecated:
            made["deprecated"] = True
        return made

    @staticmethod
    def _body(asked: Asked, known: list[examples.Example]) -> Object:
        content: Object = {}
        for media in (asked.media, *asked.also):
            content[media] = {} if asked.schema is None else {"schema": asked.schema}
            given = {
                one.key: {"summary": one.name, **one.asked}
                for one in known
                if one.asked and (one.asked_media is None or one.asked_media == media)
            }
            if given:
                content[media]["examples"] = given
        return {"required": asked.required, "content": content}

    @staticmethod
    def _told(answer: Answer, status: int, known: list[examples.Example]) -> Object:
        made: Object = {"description": answer.about}
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in answer.headers}
        if headers:
            made["headers"] = headers
        if answer.media is not None:
            content: Object = {} if answer.schema is None else {"schema": answer.schema}
            told = dict(answer.examples) | {
                one.key: {"summary": one.name, **one.told}
                for one in known
                if one.status == status and one.told
            }
            if told:
                content["examples"] = told
            made["content"] = {answer.media: content}
        return made


def operation_id(method: str, path: str) -> str:
    """``post_csc_v2_signatures_signHash`` for ``POST /csc/v2/signatures/signHash``."""
    words = re.findall("[A-Za-z0-9]+", path)
    return "_".join((method.lower(), *words))


def in_path(name: str, about: str, schema: Schema) -> Object:
    """A parameter in the path."""
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema}


def in_query(name: str, about: str, schema: Schema, *, required: bool = False) -> Object:
    """A parameter in the query."""
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": about,
        "schema": schema,
    }


def in_header(name: str, about: str, schema: Schema, *, required: bool = False) -> Object:
    """A parameter in a header."""
    return in_query(name, about, schema, required=required) | {"in": "header"}
