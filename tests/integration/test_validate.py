"""``POST /validate`` with a real SAM: documents of this service, and files that are none."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.config import ValidationConfig
from tests.support.asgi import call
from tests.support.documents import DECISION, TEXT, DocumentPortal, decision, document
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

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
