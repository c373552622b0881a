"""The page on which anybody has a signed document checked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from consent_app.faults import RequestMalformed
from consent_app.validator import Validator
from tests.support.consent_api import problem
from tests.support.consent_visitor import HOME, Visitor
from tests.support.reports import report, signature

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OURS = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}
FILE = {"document": b"%PDF-1.7 of somebody"}


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()


def check(visitor: Visitor, answer: Response | None, **options: Any) -> httpx.Response:
    visitor.rssp.validated = answer
    return visitor.ask("POST", "/validate", **{"files": FILE, "headers": OURS} | options)


def test_the_form_needs_no_session_and_no_script(visitor: Visitor) -> None:
    page = visitor.get("/validate")
    assert page.status_code == 200
    assert 'enctype="multipart/form-data"' in page.text
    assert "Kiểm tra văn bản đã ký số" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy


def test_the_file_goes_to_the_validator_as_it_came_and_the_report_is_shown(
    visitor: Visitor,
) -> None:
    page = check(visitor, JSONResponse(report(signature())))
    assert page.status_code == 200
    assert FILE["document"] in visitor.rssp.sent
    for words in (
        "Chữ ký số hợp lệ",
        "Nguyễn Văn An",
        "05/01/2026 10:00:05 +07:00",
        "TOTAL-PASSED",
    ):
        assert words in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("language", "words"),
    [("vi", "Tất cả chữ ký số đều hợp lệ"), ("en", "All digital signatures are valid")],
)
def test_several_signatures_are_called_valid_all_together(language: str, words: str) -> None:
    page = check(Visitor(language=language), JSONResponse(report(signature(), signature())))
    assert f"<h1>{words}</h1>" in page.text


def test_the_report_is_told_in_english_too() -> None:
    page = check(Visitor(language="en"), JSONResponse(report(signature())))
    assert "The digital signature is valid" in page.text


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ("TOTAL-FAILED", "Có chữ ký số không hợp lệ"),
        ("INDETERMINATE", "Chưa đủ căn cứ để kết luận"),
    ],
)
def test_what_does_not_pass_is_never_called_valid(visitor: Visitor, main: str, words: str) -> None:
    found = signature(indication=main, sub_indication="REVOKED_NO_POE", reasons=["revoked"])
    page = check(visitor, JSONResponse(report(found)))
    assert words in page.text
    assert "Chữ ký số hợp lệ" not in page.text
    assert "Chứng thư số đã bị thu hồi" in page.text


def test_text_from_the_file_is_shown_as_text(visitor: Visitor) -> None:
    found = signature(name="<script>alert(1)</script>")
    found["signer"]["name"] = "<b>An</b>\u202eNguyễn"
    page = check(visitor, JSONResponse(report(found, format="<i>")))
    assert "<b>An" not in page.text
    assert "<i>" not in page.text
    assert "\u202e" not in page.text


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (problem(422, "document_unusable", reason="encrypted"), 422, "đặt mật khẩu"),
        (problem(422, "document_unusable", reason="not_known_here"), 422, "Không kiểm tra được"),
        (problem(413, "content_too_large"), 413, "Tệp quá lớn"),
        (problem(400, "invalid_request", parameter="document"), 422, "Chưa chọn tệp"),
        (problem(503, "temporarily_unavailable"), 503, "tạm thời chưa sử dụng được"),
        (problem(500, "server_error"), 503, "tạm thời chưa sử dụng được"),
        (Response("no JSON", 502), 503, "tạm thời chưa sử dụng được"),
        (JSONResponse({"indication": "TOTAL-PASSED"}), 503, "tạm thời chưa sử dụng được"),
    ],
    ids=["encrypted", "unknown", "large", "none", "busy", "fault", "proxy", "half"],
)
def test_what_went_wrong_is_told_beside_the_form(
    visitor: Visitor, answer: Response, status: int, words: str
) -> None:
    page = check(visitor, answer)
    assert page.status_code == status
    assert words in page.text
    assert 'role="alert"' in page.text
    assert "hợp lệ" not in page.text


def test_a_form_that_is_none_is_an_error_page(visitor: Visitor) -> None:
    page = check(visitor, problem(415, "unsupported_media_type"), files=None, content=b"x")
    assert page.status_code == 400


def test_a_media_type_of_strange_letters_is_no_form(visitor: Visitor) -> None:
    headers = OURS | {"Content-Type": b"multipart/form-data; boundary=\xe9"}
    page = check(visitor, None, files=None, content=b"x", headers=headers)
    assert page.status_code == 400
    assert visitor.rssp.calls == []


@pytest.mark.parametrize("is_whole", [True, False])
def test_only_the_sending_has_its_time_and_not_the_checking(
    monkeypatch: pytest.MonkeyPatch, *, is_whole: bool
) -> None:
    monkeypatch.setattr("consent_app.validator._SECONDS_TO_SEND", 0.1)

    async def answer(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.3)
        return httpx.Response(200, json=report(signature()))

    async def body() -> AsyncIterator[bytes]:
        yield b"a file"
        if not is_whole:
            await asyncio.Event().wait()

    async def scene() -> None:
        url, rssp = "https://rssp.example", httpx.MockTransport(answer)
        async with httpx.AsyncClient(base_url=url, transport=rssp) as http:
            await Validator(http).report(body(), "multipart/form-data; boundary=x", "")

    if is_whole:
        asyncio.run(scene())
    else:
        with pytest.raises(RequestMalformed):
            asyncio.run(scene())


def test_another_sites_form_makes_us_do_nothing(visitor: Visitor) -> None:
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    page = check(visitor, JSONResponse(report(signature())), headers=foreign)
    assert page.status_code == 403
    assert visitor.rssp.calls == []
    assert '<a class="main" href="/validate">' in page.text, "no form for who signs in"
    assert visitor.switch(page) == "/validate"


def test_the_language_switch_comes_back_to_the_form(visitor: Visitor) -> None:
    assert visitor.switch(visitor.get("/validate")) == "/validate"
    assert visitor.switch(check(visitor, JSONResponse(report(signature())))) == "/validate"
