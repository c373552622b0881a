"""``POST /validate`` with a real SAM: documents of this service, and files that are none."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import httpx
import pytest

from consent_app.app import create_app
from remote_signing.errors import DocumentUnusable, Unavailable
from remote_signing.rssp.config import ValidationConfig
from tests.support.asgi import call
from tests.support.consent_visitor import HOME, settings
from tests.support.documents import DECISION, TEXT, DocumentPortal, decision, document
from tests.support.examples import example
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")


@pytest.fixture(scope="module")
def portal(
    sam_factory: Callable[..., RunningSam], sqlite_folder: SqliteFolder
) -> Iterator[DocumentPortal]:
    with new_world(sqlite_folder) as world:
        pinned = {world.authority.key_id: world.authority.public_key}
        world.join(sam_factory(workers=1, pinned=pinned).client())
        made = DocumentPortal.at(world)
        made.now()
        world.new_credential(algorithm="p256")
        yield made
        made.close()
        made.app.state.validation.close()


@pytest.fixture(scope="module")
def signed(portal: DocumentPortal) -> dict[str, bytes]:
    """One of each level and format, and a detached one, with one consent."""
    entries = [decision(conformance_level=f"Ades-{level}") for level in LEVELS]
    entries += [document(conformance_level=f"Ades-{level}") for level in LEVELS]
    answer = portal.sign(*entries, document(signed_envelope_property="Detached"))
    made = map(base64.b64decode, answer["DocumentWithSignature"] + answer["SignatureObject"])
    names = [f"{kind} {level}" for kind in "PC" for level in LEVELS]
    return dict(zip([*names, "detached"], made, strict=True))


def post(portal: DocumentPortal, **files: bytes) -> httpx.Response:
    return call(portal.app, "POST", "/validate", files=files)


@pytest.mark.parametrize("kind", ["P", "C"])
@pytest.mark.parametrize("level", LEVELS)
def test_document_of_this_service_passes(
    portal: DocumentPortal, signed: dict[str, bytes], kind: str, level: str
) -> None:
    answer = post(portal, document=signed[f"{kind} {level}"])
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["signatures"]
    assert (found["indication"], found["level"]) == ("TOTAL-PASSED", level)
    assert found["signer"]["name"] == "Nguyễn Văn An"


def test_examples_of_reports(portal: DocumentPortal, signed: dict[str, bytes]) -> None:
    def sent(**files: tuple[str, bytes]) -> httpx.Response:
        return call(portal.app, "POST", "/validate", files=files)

    example("a decision that was signed here", sent(document=("quyet-dinh.pdf", signed["P B-LTA"])))
    message = ("quyet-dinh.p7s", signed["detached"])
    changed = sent(document=message, content=("quyet-dinh.docx", b"x"))
    example("a detached signature of another file", changed)


def test_without_our_own_authority_its_documents_are_of_a_stranger(
    portal: DocumentPortal, signed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = portal.app.state.validation
    monkeypatch.setattr(desk, "config", ValidationConfig(own=False))
    answer = post(portal, document=signed["P B-LT"])
    assert answer.json()["indication"] == "INDETERMINATE"
    assert answer.json()["signatures"][0]["sub_indication"] == "NO_CERTIFICATE_CHAIN_FOUND"


def test_detached_signature_comes_with_its_file(
    portal: DocumentPortal, signed: dict[str, bytes]
) -> None:
    message = signed["detached"]
    assert post(portal, document=message, content=TEXT).json()["indication"] == "TOTAL-PASSED"
    assert post(portal, document=message, content=b"x").json()["indication"] == "TOTAL-FAILED"
    assert reason(post(portal, document=message)) == "content_missing"
    assert reason(post(portal, document=message, content=b"")) == "content_missing"


def reason(answer: httpx.Response) -> str:
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] == "document_unusable"
    return str(problem["reason"])


def test_what_is_no_document_is_refused_by_name(portal: DocumentPortal) -> None:
    assert reason(post(portal, document=b"hello")) == "unknown_format"
    assert reason(post(portal, document=DECISION.read_bytes()[:200])) == "damaged"
    empty = post(portal, document=b"")
    assert (empty.status_code, empty.json()["parameter"]) == (400, "document")


def send(portal: DocumentPortal, body: bytes, kind: str) -> tuple[int, str]:
    headers = {"Content-Type": kind}
    answer = call(portal.app, "POST", "/validate", content=body, headers=headers)
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, str(answer.json()["code"])


FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="document"\r\n\r\nx'


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"x", "multipart/form-data", 415),
        (b"", FORM, 400),
        (b"hello" + PART, FORM, 400),
        (PART, FORM, 400),
        (PART + b"\r\n--b", FORM, 400),
        (PART + b"\r\n--bx\r\n", FORM, 400),
        (PART + b"\r\n--b--hello", FORM, 400),
        (PART + b"\r\n" + PART + b"\r\n--b--", FORM, 400),
        (PART.replace(b"document", b"other") + b"\r\n--b--", FORM, 400),
        (PART.replace(b"; name", b"; name=x; name") + b"\r\n--b--", FORM, 400),
        (PART.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"), FORM, 400),
        (b"--b\r\n" + b"a" * 5000, FORM, 400),
        (b"--b--", FORM, 400),
    ],
    ids=[
        *("json", "no-boundary", "empty", "preamble", "cut", "half", "longer", "epilogue"),
        *("twice", "unknown", "two-names", "encoded", "head", "nothing"),
    ],
)
def test_form_that_is_none_is_refused(
    portal: DocumentPortal, body: bytes, kind: str, status: int
) -> None:
    code = {400: "invalid_request", 415: "unsupported_media_type"}[status]
    assert send(portal, body, kind) == (status, code)


def test_files_that_are_too_large_are_refused_before_they_are_read(
    portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal.app.state.validation, "config", ValidationConfig(largest=1000))
    assert post(portal, document=bytes(2000)).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        yield PART
        yield bytes(2000)

    headers = {"Content-Type": FORM}
    answer = call(portal.app, "POST", "/validate", content=pieces(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")


def test_form_that_does_not_arrive_is_not_waited_for(
    portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote_signing.rssp.edge.multipart.SECONDS", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield PART
        await asyncio.sleep(5)
        yield b"\r\n--b--"

    headers = {"Content-Type": FORM}
    answer = call(portal.app, "POST", "/validate", content=slowly(), headers=headers)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "body")


def test_without_a_list_of_revocations_nothing_is_certain(
    portal: DocumentPortal, signed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> bytes:
        raise Unavailable("no SAM")

    monkeypatch.setattr(portal.app.state.status, "crl", away)
    report = post(portal, document=signed["P B-T"]).json()
    assert report["signatures"][0]["sub_indication"] == "TRY_LATER"


def test_what_costs_too_much_is_refused_by_name(
    portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter(("it takes too long", "it takes too much"))  # the workshop's words

    def fall(*_: object) -> None:
        raise DocumentUnusable(reason=next(told))

    monkeypatch.setattr(portal.app.state.validation._workshop, "do", fall)  # noqa: SLF001 - its own tests show when it says so
    assert reason(post(portal, document=b"hello")) == "too_slow"
    assert reason(post(portal, document=b"hello")) == "too_heavy"


def test_who_comes_when_all_places_are_taken_is_told_to_come_back(portal: DocumentPortal) -> None:
    desk = portal.app.state.validation
    before, desk._free = desk._free, 0  # noqa: SLF001 - as if so many were sending
    try:
        answer = post(portal, document=b"hello")
    finally:
        desk._free = before  # noqa: SLF001 - as above
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_it_can_be_switched_off(portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal.app.state.validation, "config", ValidationConfig(workers=0))
    assert post(portal, document=b"hello").status_code == 404


def test_the_page_tells_what_the_validator_found(
    portal: DocumentPortal, signed: dict[str, bytes]
) -> None:
    page = create_app(settings(), httpx.ASGITransport(portal.app))
    headers = {"Origin": HOME}
    files = {"document": signed["P B-LTA"], "content": b""}  # as a browser sends what is not chosen
    answer = call(page, "POST", "/validate", files=files, headers=headers)
    assert answer.status_code == 200, answer.text
    for words in ("Chữ ký số hợp lệ", "Nguyễn Văn An", "PAdES B-LTA", "không bị thu hồi"):
        assert words in answer.text
    other = call(page, "POST", "/validate", files={"document": b"hello"}, headers=headers)
    assert (other.status_code, "chưa nhận biết được loại tệp" in other.text) == (422, True)
