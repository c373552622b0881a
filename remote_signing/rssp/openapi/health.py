"""Health, and the description itself, described."""

from __future__ import annotations

from remote_signing.rssp.health import DOWN, OK
from remote_signing.rssp.openapi import consent
from remote_signing.rssp.openapi.operation import Answer, Operation, in_path, in_query
from remote_signing.rssp.openapi.problems import problem
from remote_signing.rssp.openapi.schema import choice, members, text

_TAG = "Status"
_SHARED = {500: "Fault"}
_PAGE = Answer("A page.", text(), "text/html")
_LANG = in_query("lang", "The page's language.", choice(("vi", "en")))


def operations() -> list[Operation]:
    """What operators and integrators look at."""
    state = choice((OK, DOWN))
    report = members(
        {
            "status": state,
            "checks": {"type": "object", "additionalProperties": state},
        },
        *("status", "checks"),
    )
    alive = members({"status": choice((OK,))}, "status")
    return [
        Operation(
            *("GET", "/healthz", _TAG, "Tiến trình còn sống", "The process answers"),
            answers={200: Answer("It does.", alive)},
            shared=_SHARED,
        ),
        Operation(
            *("GET", "/readyz", _TAG, "Sẵn sàng phục vụ", "Whether to send requests here"),
            answers={200: Answer("Ready.", report), 503: Answer("Not ready.", report)},
            shared=_SHARED,
        ),
        consent.sim_events(),
        *_description(),
    ]


def _description() -> list[Operation]:
    described = {200: Answer("OpenAPI 3.1.", {"type": "object"}, "application/openapi+json")}
    return [
        Operation(
            *("GET", "/openapi.json", _TAG, "Mô tả giao diện", "This description"),
            answers=described,
            shared=_SHARED,
        ),
        Operation(
            *("GET", "/docs", _TAG, "Tài liệu tra cứu", "The reference"),
            answers={200: _PAGE},
            parameters=(_LANG,),
            shared=_SHARED,
        ),
        Operation(
            *("GET", "/docs/{operation}", _TAG, "Một thao tác", "One operation of the reference"),
            answers={200: _PAGE, 404: problem(404)},
            parameters=(in_path("operation", "Its operationId.", text()), _LANG),
            shared=_SHARED,
        ),
        Operation(
            *("GET", "/docs.css", _TAG, "Kiểu trình bày", "How the reference looks"),
            answers={200: Answer("A style sheet.", text(), "text/css")},
            shared=_SHARED,
        ),
    ]
