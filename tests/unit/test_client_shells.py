"""What the shells make of httpx: the same flows, blocking and asyncio."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from remote_signing.client import (
    ECDSA_SHA256,
    SHA256,
    AnswerUnusable,
    AsyncSigningClient,
    Authorization,
    Document,
    DocumentOrder,
    HashNotAuthorised,
    HashOrder,
    NotReached,
    OutcomeUnknown,
    Retry,
    Sad,
    Service,
    SigningClient,
    Token,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SERVICE = Service("https://rssp.example")
SIGNED = b'{"DocumentWithSignature":["AAAA"]}'
RETRY = Retry(tries=3, first=0.001, longest=0.01)


def blocking(handle: Callable[[httpx.Request], httpx.Response], method: str, *args: Any) -> Any:
    transport = httpx.MockTransport(handle)
    with SigningClient(SERVICE, retry=RETRY, transport=transport) as client:
        return getattr(client, method)(*args)


def awaited(handle: Callable[[httpx.Request], httpx.Response], method: str, *args: Any) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(handle)
        async with AsyncSigningClient(SERVICE, retry=RETRY, transport=transport) as client:
            return await getattr(client, method)(*args)

    return asyncio.run(run())


EITHER = pytest.mark.parametrize("run", [blocking, awaited])


@EITHER
def test_a_call_is_one_post_of_json_with_its_length(run: Any) -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"name": "Ký số"})

    assert run(handle, "info")["name"] == "Ký số"
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", "https://rssp.example/csc/v2/info")
    assert (request.content, request.headers["content-length"]) == (b"{}", "2")
    assert "transfer-encoding" not in request.headers
    assert "authorization" not in request.headers


@EITHER
@pytest.mark.parametrize(
    ("fault", "kind", "times"),
    [
        (httpx.ConnectError("no route"), NotReached, 3),
        (httpx.ConnectTimeout("slow"), NotReached, 3),
        (httpx.PoolTimeout("busy"), NotReached, 3),
        (httpx.ReadTimeout("silence"), OutcomeUnknown, 1),
        (httpx.WriteError("reset"), OutcomeUnknown, 1),
        (httpx.RemoteProtocolError("cut"), OutcomeUnknown, 1),
    ],
    ids=lambda value: getattr(type(value), "__name__", ""),
)
def test_faults_are_told_by_whether_anything_was_sent(
    run: Any, fault: Exception, kind: type[Exception], times: int
) -> None:
    tries = []

    def handle(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        raise fault

    with pytest.raises(kind, match=type(fault).__name__):
        run(handle, "call", None, "credentials/create", {})
    assert len(tries) == times


@EITHER
def test_a_busy_service_is_asked_again_and_then_told(run: Any) -> None:
    tries = []

    def handle(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        return httpx.Response(503, json={"error": "temporarily_unavailable"})

    with pytest.raises(Unavailable):
        run(handle, "call", None, "credentials/create", {})
    assert len(tries) == 3


@EITHER
def test_an_answer_that_does_not_end_is_left(run: Any) -> None:
    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b" " * (17 * 1024 * 1024))

    with pytest.raises(AnswerUnusable, match="too long"):
        run(handle, "info")


@EITHER
def test_a_document_goes_to_a_file_and_a_refusal_is_told(run: Any, tmp_path: Path) -> None:
    document, folder = tmp_path / "a.pdf", tmp_path / "signed"
    document.write_bytes(b"%PDF-1.7")
    folder.mkdir()
    order = DocumentOrder("c", (Document(document, ECDSA_SHA256),), claimed_time="2026")
    refused = {"error": "invalid_hash", "error_description": "not authorised"}
    answers = iter((httpx.Response(403, json=refused), httpx.Response(200, content=SIGNED)))

    def handle(_request: httpx.Request) -> httpx.Response:
        return next(answers)

    with pytest.raises(HashNotAuthorised, match="not authorised"):
        run(handle, "sign_doc", Token("t"), order, folder)
    assert list(folder.iterdir()) == []
    signed = run(handle, "sign_doc", Token("t"), order, folder)
    assert [path.read_bytes() for path in signed.documents] == [b"\0\0\0"]


@EITHER
@pytest.mark.parametrize("end", [b'?AAA"]}', b""], ids=["no base64", "no end"])
def test_of_an_answer_that_is_no_document_nothing_is_left(
    run: Any, tmp_path: Path, end: bytes
) -> None:
    document = tmp_path / "a.pdf"
    document.write_bytes(b"%PDF-1.7")
    order = DocumentOrder("c", (Document(document, ECDSA_SHA256),), claimed_time="2026")
    content = b'{"DocumentWithSignature":["' + b"A" * 4000 + end

    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=content)

    with pytest.raises(AnswerUnusable):
        run(handle, "sign_doc", Token("t"), order, tmp_path)
    assert list(tmp_path.iterdir()) == [document]


@EITHER
def test_a_redirect_is_not_followed_with_what_is_secret(run: Any) -> None:
    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(307, headers={"location": "https://evil.example/"})

    with pytest.raises(Exception, match="307"):
        run(handle, "info")


def test_both_clients_have_the_same_methods_with_the_same_texts() -> None:
    def methods(kind: type[Any]) -> dict[str, tuple[str | None, str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: (member.__doc__, str(inspect.signature(member)))
            for name, member in found
            if hasattr(member, "__wrapped__")
        }

    ours = methods(SigningClient)
    assert ours == methods(AsyncSigningClient)
    assert {"sign_hash", "redeem", "sign_doc"} <= ours.keys()
    assert all(text for text, _ in ours.values())


ORDER = HashOrder("c", (b"\1" * 32,), ECDSA_SHA256, SHA256, b"\2")
SENT = {
    "credentialID": "c",
    "hashes": ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="],
    "signAlgo": ECDSA_SHA256,
    "hashAlgorithmOID": SHA256,
    "signAlgoParams": "Ag==",
}


@EITHER
@pytest.mark.parametrize(
    ("method", "given", "sent", "answer", "expected"),
    [
        ("list_credentials", ("u",), {"userID": "u", "onlyValid": True}, {}, ()),
        ("sign_hash", (ORDER,), SENT, {"signatures": ["AQI="]}, (b"\1\2",)),
        (
            "sign_hash_later",
            (ORDER, Sad("s", 60), "https://portal.example/done"),
            SENT
            | {"SAD": "s", "operationMode": "A", "response_uri": "https://portal.example/done"},
            {"responseID": "r"},
            "r",
        ),
        (
            "extend_transaction",
            (Authorization("c"), Sad("s", 60)),
            {"credentialID": "c", "SAD": "s"},
            {"SAD": "t"},
            Sad("t", 3600),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_asked_is_written_as_the_standard_has_it(  # noqa: PLR0913, PLR0917 - a table of cases
    run: Any, method: str, given: tuple[Any, ...], sent: Any, answer: Any, expected: Any
) -> None:
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((json.loads(request.content), request.headers["authorization"]))
        return httpx.Response(200, json=answer)

    assert run(handle, method, Token("t"), *given) == expected
    assert seen == [(sent, "Bearer t")]


@EITHER
@pytest.mark.parametrize("signatures", [[], ["AQI=", "AQI="]])
def test_another_number_of_signatures_than_asked_for_is_none(
    run: Any, signatures: list[str]
) -> None:
    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"signatures": signatures})

    with pytest.raises(AnswerUnusable, match="signatures for 1 digests"):
        run(handle, "sign_hash", Token("t"), ORDER)
