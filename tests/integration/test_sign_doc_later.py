"""``signDoc`` in asynchronous mode: kept, signed once, finished when time can be had, wiped."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import io
import json
import threading
import time
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from asn1crypto import cms
from sqlalchemy import func, select, update
from starlette.responses import StreamingResponse

from remote_signing.errors import HsmUnavailable, SamUnavailable, Unavailable
from remote_signing.identifiers import new_id
from remote_signing.rssp import activation, bearer, job_parts, signing_jobs
from remote_signing.rssp.config import AsynchronousConfig
from remote_signing.rssp.csc.v2 import polling
from remote_signing.rssp.documents.model import Material
from remote_signing.rssp.documents.signing import Desk
from remote_signing.rssp.documents.workshop import Workshop
from remote_signing.rssp.job_parts import PIECE, Part
from remote_signing.rssp.models import credential, job_part, signing_job
from remote_signing.rssp.signing_worker import step
from tests.support.csc_schema import check_answer, check_request
from tests.support.documents import DECISION, TEXT, DocumentPortal, decision, document
from tests.support.examples import example
from tests.support.foreign_timestamps import Foreign
from tests.support.world import ECDSA_SHA256, PORTAL, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from remote_signing.rssp.deps import Services
    from tests.support.world import World

SIGN, POLL = "signatures/signDoc", "signatures/signPolling"
ECDSA_SHA384 = "1.2.840.10045.4.3.3"
LONG = b"long " * 400_000  # three pieces


@pytest.fixture
def portal(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[DocumentPortal]:
    """What worker processes are for is shown elsewhere: here the stages run in this one."""

    def do(_workshop: Workshop, stage: Callable[..., Any], *arguments: Any) -> Any:
        return stage(*arguments)

    monkeypatch.setattr(Workshop, "do", do)
    world.database.run(update(credential).values(chain="[]"))  # the SAM in software makes none
    made = DocumentPortal.at(world)
    yield made
    made.close()


def configured(portal: DocumentPortal, **changes: Any) -> DocumentPortal:
    world = portal.world
    config = replace(world.services.config, asynchronous=AsynchronousConfig(**changes))
    world.services = replace(world.services, config=config)
    return DocumentPortal.at(world)


def accepted(portal: DocumentPortal, *entries: dict[str, Any], **changes: Any) -> str:
    order = portal.prepared(portal.order(*entries)) | {"operationMode": "A"} | changes
    check_request("v2", SIGN, {name: order[name] for name in order if name != "claimedTime"})
    answer = portal.post(SIGN, order)
    assert (answer.status_code, answer.json().keys()) == (200, {"responseID"}), answer.text
    check_answer("v2", SIGN, answer)
    return str(answer.json()["responseID"])


def poll(portal: DocumentPortal, request_id: str) -> httpx.Response:
    return portal.post(POLL, {"requestID": request_id})


def work(portal: DocumentPortal, services: Services | None = None) -> bool:
    make = functools.partial(polling.make, desk=portal.app.state.desk)
    return step(services or portal.world.services, make)


def kept(portal: DocumentPortal) -> list[str]:
    rows = portal.world.database.all(select(job_part.c.name).order_by(job_part.c.id))
    return [row.name for row in rows]


def signer_info(message: bytes) -> Any:
    (info,) = cms.ContentInfo.load(message)["content"]["signer_infos"]
    return info


class Authority:
    """A time-stamping authority in the SAM's place; away as often as ``faults`` says."""

    def __init__(self) -> None:
        self.foreign = Foreign()
        self.faults = 0

    def stamp(self, request: Any) -> bytes:
        if self.faults:
            self.faults -= 1
            raise SamUnavailable("away")
        return self.foreign.stamp(request)


@pytest.fixture
def authority(portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority()
    monkeypatch.setattr(portal.world.sam, "timestamp", made.stamp, raising=False)
    return made


def test_documents_are_signed_after_the_answer_and_fetched(portal: DocumentPortal) -> None:
    request_id = accepted(
        portal,
        document(LONG),
        decision(),
        document(signed_envelope_property="Detached"),
    )
    assert portal.world.sam.calls["sign"] == 0
    assert (poll(portal, request_id).status_code, set(kept(portal))) == (
        202,
        {"document-0", "document-1"},
    )
    assert work(portal)
    assert {name.partition("-")[0] for name in kept(portal)} == {"result"}
    for _ in range(2):
        found = poll(portal, request_id)
        assert found.status_code == 200
        check_answer("v2", POLL, found)
        inside, pdf = map(base64.b64decode, found.json()["DocumentWithSignature"])
        signed = cms.ContentInfo.load(inside)["content"]
        assert signed["encap_content_info"]["content"].native == LONG
        assert pdf.startswith(DECISION.read_bytes())
        (apart,) = map(base64.b64decode, found.json()["SignatureObject"])
        attributes = {e["type"].native: e["values"] for e in signer_info(apart)["signed_attrs"]}
        assert attributes["message_digest"][0].native == hashlib.sha256(TEXT).digest()
    assert portal.world.sam.calls["sign"] == 1


def test_a_container_is_made_so_too(portal: DocumentPortal) -> None:
    entries = [
        document(content, signature_format="X", documentName=name)
        for name, content in (("a.txt", LONG), ("b.txt", TEXT))
    ]
    order = portal.prepared(portal.order(*entries, container="ASiC-E")) | {"operationMode": "A"}
    request_id = portal.post(SIGN, order).json()["responseID"]
    assert work(portal)
    (made,) = poll(portal, request_id).json()["DocumentWithSignature"]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(made))) as container:
        assert container.read("a.txt") == LONG
        assert container.read("b.txt") == TEXT


def test_digests_are_signed_so_too(portal: DocumentPortal) -> None:
    entry = {
        "hashes": [base64.b64encode(hashlib.sha256(TEXT).digest()).decode()],
        "signature_format": "J",
        "signAlgo": ECDSA_SHA256,
    }
    order = portal.prepared(portal.order(entry)) | {"operationMode": "A"}
    answer = example("a digest, JAdES, asynchronous", portal.post(SIGN, order))
    assert kept(portal) == []
    assert work(portal)
    polled = example("a signature of a digest", poll(portal, answer.json()["responseID"]))
    (signed,) = polled.json()["SignatureObject"]
    assert base64.b64decode(signed).count(b"..") == 1


def test_an_authority_that_is_away_delays_and_the_key_is_used_once(
    portal: DocumentPortal, authority: Authority
) -> None:
    authority.faults = 3
    request_id = accepted(portal, document(conformance_level="Ades-B-T"))
    for seconds in (1, 2, 1200):  # the authorisation is over by then
        assert work(portal)
        assert not work(portal)
        assert poll(portal, request_id).status_code == 202
        portal.world.clock.advance(seconds)
    assert work(portal)
    (text,) = poll(portal, request_id).json()["DocumentWithSignature"]
    (stamp,) = signer_info(base64.b64decode(text))["unsigned_attrs"]
    assert stamp["type"].native == "signature_time_stamp_token"
    assert portal.world.sam.calls["sign"] == 1


def test_a_key_that_is_away_is_asked_again(portal: DocumentPortal) -> None:
    portal.world.sam.faults["sign"] = [HsmUnavailable("away")]
    request_id = accepted(portal, document())
    assert work(portal)
    assert poll(portal, request_id).status_code == 202
    portal.world.clock.advance(1)
    assert work(portal)
    assert poll(portal, request_id).status_code == 200


def test_another_process_goes_on_with_what_one_left(
    portal: DocumentPortal, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = accepted(portal, document(LONG, conformance_level="Ades-B-T"))

    def stamp(_request: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(portal.world.sam, "timestamp", stamp)
        with pytest.raises(KeyboardInterrupt):
            work(portal)
    assert not work(portal)  # its lease is not over
    portal.world.clock.advance(signing_jobs.LEASE_MS / 1000)
    url = portal.world.database.engine.url.render_as_string(hide_password=False)
    successor = connect(url, portal.world.clock)
    assert work(portal, replace(successor.services, sam=portal.world.services.sam))
    successor.services.close()
    assert poll(portal, request_id).status_code == 200
    assert portal.world.sam.calls["sign"] == 1
    assert authority.faults == 0


def test_a_process_on_its_way_out_leaves_the_rest_to_others(portal: DocumentPortal) -> None:
    request_id = accepted(portal, document(), document(LONG))
    portal.world.services.drain.started = True
    assert work(portal)
    portal.world.services.drain.started = False
    assert poll(portal, request_id).status_code == 202
    portal.world.clock.advance(1)
    assert work(portal)
    assert len(poll(portal, request_id).json()["DocumentWithSignature"]) == 2
    assert portal.world.sam.calls["sign"] == 1


def test_what_was_fetched_is_wiped_soon_and_all_else_when_its_time_is_over(
    portal: DocumentPortal,
) -> None:
    fetched, left = accepted(portal, document(LONG)), accepted(portal, document(LONG))
    assert work(portal)
    assert work(portal)
    clock, services = portal.world.clock, portal.world.services
    assert poll(portal, fetched).status_code == 200
    clock.advance(599)
    assert poll(portal, fetched).status_code == 200
    clock.advance(1)
    assert poll(portal, fetched).json()["error_description"] == "Invalid parameter requestID"
    clock.advance(100)
    activation.prune(services)
    assert len(kept(portal)) == 3
    assert poll(portal, left).status_code == 200
    clock.advance(3700)
    activation.prune(services)
    assert kept(portal) == []
    assert portal.world.database.one(select(func.count()).select_from(signing_job)) == (0,)


def test_what_is_kept_comes_back_whole(portal: DocumentPortal, tmp_path: Path) -> None:
    services = portal.world.services
    for size in (0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE):
        came, job_id = tmp_path / f"{size}", new_id(portal.world.clock.now_ms())
        came.write_bytes(bytes(size))
        job_parts.keep(services, Part(job_id, "document-0", 2**50), came)
        job_parts.load(services, job_id, "document-0", tmp_path / job_id)
        assert (tmp_path / job_id).stat().st_size == size


def test_a_document_that_is_wiped_while_it_is_read_is_no_complete_answer(
    portal: DocumentPortal,
) -> None:
    request_id = accepted(portal, document(LONG))
    assert work(portal)
    services = portal.world.services
    caller = bearer.Caller("service", PORTAL, None, None, (), mock.Mock())
    outcome = polling.poll(services, caller, polling.PollRequest(request_id, None))
    answer = polling.give(services, outcome)
    assert isinstance(answer, StreamingResponse)

    async def read_on() -> bytes:
        chunks: Any = aiter(answer.body_iterator)
        read = b""
        while len(read) < PIECE:
            read += bytes(await anext(chunks))
        portal.world.clock.advance(600 + signing_jobs.LEASE_MS / 1000 + 1)
        activation.prune(services)
        async for chunk in chunks:
            read += bytes(chunk)
        return read

    with pytest.raises(job_parts.PieceMissing):
        asyncio.run(read_on())


def test_a_job_that_is_never_done_is_wiped_with_its_documents(portal: DocumentPortal) -> None:
    request_id = accepted(portal, document(LONG), validity_period=60_000)
    portal.world.clock.advance(60)
    assert not work(portal)
    assert poll(portal, request_id).status_code == 400
    portal.world.clock.advance(signing_jobs.LEASE_MS / 1000 + 1)
    activation.prune(portal.world.services)
    assert kept(portal) == []


MISTAKES: list[tuple[dict[str, Any], int, str]] = [
    ({"SAD": "x"}, 400, "Invalid parameter SAD"),
    ({"validity_period": 86_400_001}, 400, "Out of bounds parameter validity_period"),
    ({"response_uri": "https://127.0.0.1/"}, 400, "Invalid parameter response_uri"),
    ({"claimedTime": "2020-01-01T00:00:00Z"}, 400, "Invalid parameter claimedTime"),
    (
        {"documents": [document(LONG + b"!")]},
        403,
        "Document or documentDigest does not match authorized hash",
    ),
]


def test_a_mistake_is_told_at_once_and_nothing_kept(portal: DocumentPortal) -> None:
    order = portal.prepared(portal.order(document(LONG))) | {"operationMode": "A"}
    for changes, status, text in MISTAKES:
        answer = portal.post(SIGN, order | changes)
        assert (answer.status_code, answer.json()["error_description"]) == (status, text)
        assert kept(portal) == []
        assert not work(portal)


def test_no_more_is_kept_than_there_is_room_for(portal: DocumentPortal) -> None:
    portal = configured(portal, kept=3)  # megabytes: four pieces
    accepted(portal, document(LONG))
    order = portal.prepared(portal.order(document(LONG))) | {"operationMode": "A"}
    answer = portal.post(SIGN, order)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert len(kept(portal)) == 3
    assert work(portal)  # what came in has room to go out


def test_an_outcome_may_be_an_error_and_takes_the_documents_with_it(
    portal: DocumentPortal,
) -> None:
    request_id = accepted(portal, document(LONG))
    portal.world.database.run(update(credential).values(state="disabled"))
    assert work(portal)
    answer = poll(portal, request_id)
    text = "The credential identified by credentialID is disabled"
    assert (answer.status_code, answer.json()["error_description"]) == (400, text)
    assert kept(portal) == []


def test_a_credential_that_is_gone_or_certified_anew_signs_nothing(
    portal: DocumentPortal,
) -> None:
    gone, other = accepted(portal, document()), accepted(portal, document())
    name = portal.world.credential_id
    portal.world.database.run(update(credential).values(state="destroyed"))
    assert work(portal)
    assert poll(portal, gone).json()["error_description"] == "Invalid parameter credentialID"
    portal.world.new_credential()
    certificate = select(credential.c.certificate).where(
        credential.c.id == portal.world.credential_id
    )
    change = update(credential).where(credential.c.id == name)
    portal.world.database.run(
        change.values(state="enabled", certificate=certificate.scalar_subquery())
    )
    assert work(portal)
    assert poll(portal, other).status_code == 403
    assert portal.world.sam.calls["sign"] == 0


@pytest.mark.parametrize("kind", ["document", "order"])
def test_what_was_changed_while_it_waited_is_not_signed(portal: DocumentPortal, kind: str) -> None:
    request_id = accepted(portal, document(LONG))
    database = portal.world.database
    if kind == "document":
        database.run(update(job_part).where(job_part.c.number == 1).values(content=b"x" * 500_000))
    else:
        row = database.one(select(signing_job.c.request))
        assert row is not None
        request = row.request.replace(ECDSA_SHA256, ECDSA_SHA384)
        database.run(update(signing_job).values(request=request))
    assert work(portal)
    answer = poll(portal, request_id)
    assert answer.status_code >= 400
    if kind == "document":
        example("the document is another one", answer)
    assert portal.world.sam.calls["sign"] == 0


def test_the_row_holds_no_secret(portal: DocumentPortal) -> None:
    order = portal.prepared(portal.order(document())) | {"operationMode": "A"}
    portal.post(SIGN, order)
    row = portal.world.database.one(select(signing_job))
    assert row is not None
    assert order["SAD"].partition(".")[2] not in json.dumps(list(map(str, row)))
    assert work(portal)
    row = portal.world.database.one(select(signing_job))
    assert row is not None
    assert (row.request, row.state) == ("{}", "DONE")


def test_a_worker_that_was_overtaken_leaves_the_outcome_alone(
    portal: DocumentPortal, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = accepted(portal, document(conformance_level="Ades-B-T"))
    note = signing_jobs.note

    def overtaken(services: Services, *arguments: Any) -> bool:
        monkeypatch.setattr(signing_jobs, "note", note)
        portal.world.clock.advance(signing_jobs.LEASE_MS / 1000)
        assert work(portal)  # another worker, start to end
        return note(services, *arguments)

    monkeypatch.setattr(signing_jobs, "note", overtaken)
    assert work(portal)
    assert len(poll(portal, request_id).json()["DocumentWithSignature"]) == 1
    assert portal.world.sam.calls["sign"] == 1
    assert authority.faults == 0


def test_validation_data_is_told_where_it_is_asked_for(
    portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Material] = []

    def material(*_: object) -> Material:
        if not found:
            raise SamUnavailable("away")
        return found[0]

    monkeypatch.setattr(Desk, "material", material)
    request_id = accepted(portal, document(), returnValidationInfo=True)
    assert work(portal)
    assert poll(portal, request_id).status_code == 202
    found.append(Material((b"c",), (b"o",), (b"l",)))
    portal.world.clock.advance(1)
    assert work(portal)
    told = poll(portal, request_id).json()["validationInfo"]
    assert told == {"ocsp": ["bw=="], "crl": ["bA=="], "certificates": ["Yw=="]}


def test_a_lease_is_renewed_while_the_work_runs(portal: DocumentPortal) -> None:
    accepted(portal, document())
    services = portal.world.services
    job = signing_jobs.claim(services)
    assert job is not None
    with signing_jobs.held(services, job, period=0.01):
        portal.world.clock.advance(signing_jobs.LEASE_MS / 1000)
        deadline = time.monotonic() + 10
        while services.database.one(select(signing_job.c.due_at)) == (due(job),):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert signing_jobs.claim(services) is None


def test_a_lease_that_cannot_be_renewed_now_is_renewed_later(
    portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accepted(portal, document())
    services = portal.world.services
    job = signing_jobs.claim(services)
    assert job is not None
    one = type(services.database).one
    told = threading.Event()
    faults = iter([Unavailable("away")])

    def sometimes(*arguments: Any) -> Any:
        for fault in faults:
            raise fault
        told.set()
        return one(*arguments)

    monkeypatch.setattr(type(services.database), "one", sometimes)
    with signing_jobs.held(services, job, period=0.01):
        assert told.wait(10)
    assert "lease not renewed" in caplog.text


def due(job: signing_jobs.Claimed) -> int:
    return job.expires_at - 3600 * 1000 + signing_jobs.LEASE_MS
