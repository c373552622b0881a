from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from remote_signing import errors
from remote_signing.rssp.edge import problem, request_id
from remote_signing.rssp.edge.body import MAX_BODY, read_object
from remote_signing.rssp.edge.middleware import SECURITY_HEADERS, install
from tests.support.asgi import call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope

JSON = {"Content-Type": "application/json"}


async def _echo(request: Request) -> Response:
    return JSONResponse({"got": await read_object(request)})


async def _crash(_request: Request) -> Response:
    raise RuntimeError("secret-of-the-house")


async def _half(_request: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("secret-of-the-house")

    return StreamingResponse(body())


async def _wrong_code(_request: Request) -> Response:
    raise errors.EvidenceReplayed("the private cause", attempts_left=2, hidden="secret")


async def _no_node(_request: Request) -> Response:
    raise errors.HsmUnavailable("no node")


async def _own_header(_request: Request) -> Response:
    return Response(headers={"Cache-Control": "no-cache, no-store"})


async def _request_id(_request: Request) -> Response:
    return JSONResponse(request_id.current.get())


@pytest.fixture(scope="module")
def app() -> Starlette:
    app = Starlette(
        routes=[
            Route("/echo", _echo, methods=["POST"]),
            Route("/crash", _crash),
            Route("/half", _half),
            Route("/wrong-code", _wrong_code),
            Route("/no-node", _no_node),
            Route("/own-header", _own_header),
            Route("/oauth2/request-id", _request_id),
        ]
    )
    install(app)
    return app


def test_request_id_of_the_client_is_kept_and_known_inside(app: Starlette) -> None:
    headers = {"X-Request-Id": "portal-0042_a.b~c"}
    answer = call(app, "GET", "/oauth2/request-id", headers=headers)
    assert answer.json() == answer.headers["X-Request-Id"] == "portal-0042_a.b~c"


@pytest.mark.parametrize("offered", ["", "short", "a" * 65, "with space", "a\tbcdefgh", "ä" * 8])
def test_request_id_that_could_harm_a_log_is_replaced(app: Starlette, offered: str) -> None:
    headers = {"X-Request-Id": offered.encode()}
    answer = call(app, "GET", "/oauth2/request-id", headers=headers)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])
    assert answer.json() == answer.headers["X-Request-Id"]


def test_two_request_ids_are_replaced(app: Starlette) -> None:
    headers = [("X-Request-Id", "portal-0042"), ("X-Request-Id", "portal-0043")]
    answer = call(app, "GET", "/oauth2/request-id", headers=headers)
    assert not answer.headers["X-Request-Id"].startswith("portal")


def test_outside_a_request_there_is_no_request_id() -> None:
    assert request_id.current.get() == "-"


@pytest.mark.parametrize("path", ["/echo", "/crash", "/nowhere", "/wrong-code"])
def test_every_answer_has_security_headers(app: Starlette, path: str) -> None:
    answer = call(app, "GET", path)
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_header_of_a_handler_is_kept(app: Starlette) -> None:
    assert call(app, "GET", "/own-header").headers["Cache-Control"] == "no-cache, no-store"


def test_unforeseen_error_tells_nothing_but_the_request_id(
    app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    answer = call(app, "GET", "/crash", headers={"X-Request-Id": "portal-0042"})
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/json"
    members = answer.json()
    assert members.pop("error_description").startswith("The authorization server encountered")
    assert members == {"error": "server_error", "request_id": "portal-0042"}
    assert "secret-of-the-house" in caplog.text
    assert "secret-of-the-house" not in answer.text


def test_error_in_the_middle_of_an_answer_breaks_the_connection(app: Starlette) -> None:
    with pytest.raises(RuntimeError, match="secret-of-the-house"):
        call(app, "GET", "/half")


def test_domain_error_becomes_a_problem_without_its_cause(app: Starlette) -> None:
    answer = call(app, "GET", "/wrong-code", headers={"X-Request-Id": "portal-0042"})
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "The PIN or the code is wrong.",
        "status": 403,
        "code": "evidence_invalid",
        "request_id": "portal-0042",
        "attempts_left": 2,
    }


def test_unavailable_says_when_to_try_again(app: Starlette) -> None:
    answer = call(app, "GET", "/no-node")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("GET", "/echo", 405, "method_not_allowed")],
)
def test_router_refusals_are_problems(
    app: Starlette, method: str, path: str, status: int, code: str
) -> None:
    answer = call(app, method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_every_domain_error_has_a_problem() -> None:
    for kind in errors.type_registry.values():
        if not kind.__module__.startswith("tests"):
            assert problem.problem_for(kind()).status != 500, kind


def test_error_outside_the_table_is_a_server_error() -> None:
    response = problem.problem_response(errors.RemoteSigningError("odd"))
    assert response.status_code == 500
    assert json.loads(bytes(response.body))["code"] == "server_error"


def test_other_http_error_of_the_framework_is_a_problem(app: Starlette) -> None:
    async def teapot(_request: Request) -> Response:
        raise HTTPException(418)

    app.router.routes.append(Route("/teapot", teapot))
    answer = call(app, "GET", "/teapot")
    assert (answer.status_code, answer.json()["code"]) == (418, "invalid_request")


def test_strict_json_gets_through(app: Starlette) -> None:
    answer = call(app, "POST", "/echo", content='{"tên":"Bộ Tài chính 😀"}'.encode(), headers=JSON)
    assert answer.json() == {"got": {"tên": "Bộ Tài chính 😀"}}


@pytest.mark.parametrize("content", [b"", b"  \n"])
def test_empty_body_is_an_empty_object(app: Starlette, content: bytes) -> None:
    assert call(app, "POST", "/echo", content=content).json() == {"got": {}}


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0000"}',
        b'{"a":9223372036854775808}',
        b'{"a":' + b"1" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 20 + b"1" + b"}" * 20,
        b"[]",
        b'"text"',
        b"null",
        b"\x0b",
        b'{"a":1} {}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_loose_json_is_a_clear_400(app: Starlette, content: bytes) -> None:
    answer = call(app, "POST", "/echo", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/json;charset=utf-16",
    ],
)
def test_body_that_is_not_declared_json_is_refused(app: Starlette, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert call(app, "POST", "/echo", content=b"{}", headers=headers).status_code == 415


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON ; charset=UTF-8", 'application/json;charset="utf-8"'],
)
def test_json_may_name_its_charset(app: Starlette, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert call(app, "POST", "/echo", content=b"{}", headers=headers).status_code == 200


def test_declared_length_over_the_limit_is_refused_without_reading(app: Starlette) -> None:
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"{}", "more_body": True}

    assert _post_raw(app, receive, [(b"content-length", b"%d" % (MAX_BODY + 1))]) == 413
    assert _post_raw(app, receive, [(b"content-length", b"9" * 5000)]) == 413
    assert asked == 0


def test_body_over_the_limit_is_refused_while_it_streams(app: Starlette) -> None:
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b" " * 65_536, "more_body": True}

    assert _post_raw(app, receive, []) == 413
    assert asked == MAX_BODY // 65_536 + 1


def test_body_of_exactly_the_limit_is_read(app: Starlette) -> None:
    content = b'{"a":"' + b"x" * (MAX_BODY - 8) + b'"}'
    assert call(app, "POST", "/echo", content=content, headers=JSON).status_code == 200


def test_client_that_goes_away_leaves_no_trace_of_an_error(
    app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    assert _post_raw(app, receive, []) is None
    assert "Traceback" not in caplog.text


def test_each_request_is_one_line_without_its_query(
    app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    headers = {"X-Request-Id": "portal-0042"}
    for path in ("/oauth2/request-id?code=secret-of-the-house", "/nowhere"):
        call(app, "GET", path, headers=headers)
    lines = [line for line in caplog.records if line.message == "answered"]
    told = [(vars(line)["method"], vars(line)["path"], vars(line)["status"]) for line in lines]
    assert told == [("GET", "/oauth2/request-id", 200), ("GET", "/nowhere", 404)]
    assert all(0 <= vars(line)["ms"] < 60_000 for line in lines)
    assert "secret-of-the-house" not in str([vars(line) for line in lines])


def test_the_line_of_an_unforeseen_error_tells_its_status(
    app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    call(app, "GET", "/crash")
    with pytest.raises(RuntimeError, match="secret-of-the-house"):
        call(app, "GET", "/half")
    lines = [line for line in caplog.records if line.message == "answered"]
    assert [vars(line)["status"] for line in lines] == [500, 200]


def test_double_slash_before_oauth2_is_one(app: Starlette) -> None:
    assert call(app, "GET", "https://rssp.test//oauth2/request-id").status_code == 200
    assert call(app, "GET", "https://rssp.test//echo").status_code == 404


def test_other_kinds_of_scope_pass(app: Starlette) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup" if not sent else "lifespan.shutdown"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app({"type": "lifespan", "app": app, "state": {}}, receive, send))
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def _post_raw(app: Starlette, receive: Receive, headers: list[tuple[bytes, bytes]]) -> int | None:
    """The status of a POST whose body ``receive`` gives; None when nothing was answered."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), *headers],
    }
    asyncio.run(app(scope, receive, send))
    return statuses[0] if statuses else None


def test_an_answer_ends_its_connection_once_the_process_is_leaving() -> None:
    leaving: list[bool] = []
    app = Starlette(routes=[Route("/", _request_id)])
    install(app, is_leaving=lambda: bool(leaving))
    assert "connection" not in call(app, "GET", "/").headers
    leaving.append(True)
    assert call(app, "GET", "/").headers["connection"] == "close"
