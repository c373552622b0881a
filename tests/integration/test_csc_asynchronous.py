"""``operationMode`` "A": accepted now, signed later, by whatever process is there then."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from remote_signing.errors import HsmUnavailable
from remote_signing.rssp import activation, callback, clients, credentials, signing_jobs
from remote_signing.rssp.config import AsynchronousConfig
from remote_signing.rssp.csc.errors import CscError
from remote_signing.rssp.csc.v2 import polling
from remote_signing.rssp.models import audit_event, credential, signing_job
from remote_signing.rssp.signing_worker import SigningWorker, step
from tests.support.csc import DOCUMENT, CscPortal, application
from tests.support.world import connect, digest

if TYPE_CHECKING:
    import httpx

    from tests.support.world import World

SIGN, POLL = "signatures/signHash", "signatures/signPolling"


@pytest.fixture
def portal(world: World) -> CscPortal:
    return CscPortal.at(world)


def configured(portal: CscPortal, **changes: Any) -> CscPortal:
    """The same with another configuration of asynchronous mode."""
    world = portal.world
    config = replace(world.services.config, asynchronous=AsynchronousConfig(**changes))
    world.services = replace(world.services, config=config)
    return replace(portal, app=application(world.services))


def accepted(portal: CscPortal, *documents: str, **changes: Any) -> str:
    """The responseID of a request that may be signed."""
    body = portal.sign_body(*documents, SAD=portal.sad(*documents), operationMode="A") | changes
    answer = portal.post(SIGN, body)
    assert (answer.status_code, answer.json().keys()) == (200, {"responseID"}), answer.text
    return str(answer.json()["responseID"])


def poll(portal: CscPortal, request_id: str, token: str = "", **body: Any) -> httpx.Response:
    return portal.post(POLL, {"requestID": request_id, **body}, token)


def work(portal: CscPortal) -> bool:
    return step(portal.world.services, polling.make)


def certificate_of(portal: CscPortal) -> bytes:
    world = portal.world
    found = credentials.visible(
        world.database, world.credential_id, subscriber_id=world.subscriber_id
    )
    assert found is not None
    assert found.certificate is not None
    return found.certificate


def test_signature_is_made_after_the_answer(portal: CscPortal) -> None:
    request_id = accepted(portal)
    assert portal.world.sam.calls["sign"] == 0
    waiting = poll(portal, request_id)
    assert (waiting.status_code, waiting.json()["error"]) == (202, "accepted_request")
    assert work(portal)
    assert not work(portal)
    for _ in range(2):
        done = poll(portal, request_id)
        assert done.status_code == 200
        (signature,) = done.json()["signatures"]
        value = base64.b64decode(signature)
        portal.world.verify(certificate_of(portal), digest(DOCUMENT), value)


def test_credential_token_alone_is_enough(portal: CscPortal) -> None:
    token = portal.credential_token()
    answer = portal.post(SIGN, portal.sign_body(operationMode="A"), token)
    assert work(portal)
    assert poll(portal, answer.json()["responseID"], token).json()["signatures"]


def test_row_holds_no_secret_that_was_presented(portal: CscPortal) -> None:
    sad, token = portal.sad(), portal.user_token()
    portal.post(SIGN, portal.sign_body(SAD=sad, operationMode="A"), token)
    row = portal.world.database.one(select(signing_job))
    assert row is not None
    for secret in (sad.partition(".")[2], token.rpartition(".")[2]):
        assert secret not in json.dumps(list(map(str, row)))
    assert work(portal)
    row = portal.world.database.one(select(signing_job))
    assert row is not None
    assert (row.request, row.state, row.due_at) == ("{}", "DONE", None)
    event = select(audit_event).where(audit_event.c.kind == "job.accepted")
    assert len(portal.world.database.all(event)) == 1


def test_other_processes_sign_what_one_accepted_before_it_ended(portal: CscPortal) -> None:
    request_id = accepted(portal)
    url = portal.world.database.engine.url.render_as_string(hide_password=False)
    successor = connect(url, portal.world.clock)
    assert step(successor.services, polling.make)
    successor.services.close()
    assert poll(portal, request_id).status_code == 200


def test_worker_that_dies_after_the_signature_costs_no_second_use_of_the_key(
    portal: CscPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = accepted(portal)

    def finish(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(signing_jobs, "finish", finish)
        with pytest.raises(KeyboardInterrupt):
            work(portal)
    assert not work(portal)  # its lease is not over
    assert poll(portal, request_id).status_code == 202
    portal.world.clock.advance(signing_jobs.LEASE_MS / 1000)
    assert work(portal)
    assert poll(portal, request_id).json()["signatures"]
    assert portal.world.sam.calls["sign"] == 1


def test_worker_that_comes_too_late_changes_nothing(portal: CscPortal) -> None:
    request_id = accepted(portal)
    services = portal.world.services
    slow = signing_jobs.claim(services)
    assert slow is not None
    portal.world.clock.advance(signing_jobs.LEASE_MS / 1000)
    assert work(portal)
    assert not signing_jobs.finish(services, slow, signing_jobs.Outcome(500, {"error": "late"}))
    signing_jobs.put_off(services, slow)
    assert poll(portal, request_id).status_code == 200


def test_many_workers_make_each_signature_once(portal: CscPortal) -> None:
    ids = [accepted(portal, f"văn bản {number}") for number in range(4)]

    def drain() -> None:
        while work(portal):
            pass

    threads = [threading.Thread(target=drain) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [poll(portal, name).status_code for name in ids] == [200] * 4
    assert portal.world.sam.calls["sign"] == 4


def test_signature_waits_for_a_node_that_comes_back(portal: CscPortal) -> None:
    request_id = accepted(portal)
    portal.world.sam.faults["sign"] = [HsmUnavailable("away")] * 3
    for seconds in (1, 2, 4):
        assert work(portal)
        assert not work(portal)
        assert poll(portal, request_id).status_code == 202
        portal.world.clock.advance(seconds)
    assert work(portal)
    assert poll(portal, request_id).status_code == 200


def test_outcome_may_be_the_error_that_a_synchronous_call_would_have_had(
    portal: CscPortal,
) -> None:
    request_id = accepted(portal)
    disabled = update(credential).values(state="disabled")
    portal.world.database.run(disabled)
    assert work(portal)
    answer = poll(portal, request_id)
    text = "The credential identified by credentialID is disabled"
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "invalid_request", "error_description": text},
    )


def test_fault_of_ours_is_told_as_one_and_not_tried_for_ever(
    portal: CscPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = accepted(portal)

    def sign_hash(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(activation, "sign_hash", sign_hash)
    assert work(portal)
    answer = poll(portal, request_id)
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")


def test_outcome_may_be_an_error_of_the_wire(
    portal: CscPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = accepted(portal)

    def refuse(*_: object) -> None:
        raise CscError("Document or documentDigest does not match authorized hash", status=403)

    monkeypatch.setattr(polling, "MAKERS", {SIGN: refuse})
    assert work(portal)
    assert poll(portal, request_id).status_code == 403


@pytest.mark.parametrize("name", ["", "x", "0" * 25, "0" * 26 + ".x"])
def test_request_id_of_another_shape_is_invalid(portal: CscPortal, name: str) -> None:
    assert poll(portal, name).json()["error_description"] == "Invalid parameter requestID"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"SAD": "x"}, "Invalid parameter SAD"),
        ({"SAD": None}, "Missing (or invalid type) string parameter SAD"),
        ({"hashes": [base64.b64encode(bytes(32)).decode()]}, "Hash is not authorized by the SAD"),
        ({"validity_period": 0}, "Invalid parameter validity_period"),
        ({"validity_period": 86_400_001}, "Out of bounds parameter validity_period"),
        ({"response_uri": "https://127.0.0.1/"}, "Invalid parameter response_uri"),
        ({"response_uri": "http://localhost/"}, "Invalid parameter response_uri"),
    ],
)
def test_mistake_is_told_at_once(portal: CscPortal, change: dict[str, Any], text: str) -> None:
    body = portal.sign_body(SAD=portal.sad(), operationMode="A") | change
    answer = portal.post(SIGN, body)
    assert (answer.status_code, answer.json()["error_description"]) == (400, text)
    assert not work(portal)


def test_signed_hash_is_not_accepted_for_another_request(portal: CscPortal) -> None:
    sad = portal.sad()
    body = portal.sign_body(SAD=sad)
    first = portal.post(SIGN, body).json()["signatures"]
    again = portal.post(SIGN, body | {"operationMode": "A"})  # the same request: the same answer
    assert work(portal)
    assert poll(portal, again.json()["responseID"]).json()["signatures"] == first
    other = body | {"operationMode": "A", "signAlgo": "1.2.840.10045.2.1"}
    refused = portal.post(SIGN, other | {"hashAlgorithmOID": "2.16.840.1.101.3.4.2.1"})
    assert refused.json()["error_description"] == "Hash is not authorized by the SAD"


def test_companions_count_in_asynchronous_mode_only(portal: CscPortal) -> None:
    odd = {"validity_period": "x", "response_uri": 7, "operationMode": "S"}
    answer = portal.post(SIGN, portal.sign_body(SAD=portal.sad()) | odd)
    assert answer.status_code == 200


def test_outcome_is_kept_for_the_validity_period(portal: CscPortal) -> None:
    request_id = accepted(portal, validity_period=60_000)
    assert work(portal)
    portal.world.clock.advance(59)
    assert poll(portal, request_id).status_code == 200
    portal.world.clock.advance(1)
    answer = poll(portal, request_id)
    assert answer.json()["error_description"] == "Invalid parameter requestID"
    portal.world.clock.advance(1)
    activation.prune(portal.world.services)
    assert portal.world.database.one(select(signing_job)) is None


def test_only_its_client_and_its_signer_hear_of_a_job(portal: CscPortal) -> None:
    request_id, world = accepted(portal), portal.world
    assert work(portal)
    signer = world.subscriber_id
    new = clients.NewClient("stranger", "X", "client_secret_post", ("https://x.example/",))
    clients.register(world.database, world.clock, new)
    mine, own = portal.user_token(), portal.client_token()
    foreign_client = portal.user_token(client_id="stranger")
    world.new_signer("binh.tran")
    foreign_signer = portal.user_token()
    world.subscriber_id = signer
    assert poll(portal, request_id, mine).status_code == 200
    assert poll(portal, request_id, own).status_code == 200
    assert poll(portal, request_id, own, userID=signer).status_code == 200
    for token, body in (
        (foreign_client, {}),
        (foreign_signer, {}),
        (own, {"userID": "0" * 26}),
    ):
        answer = poll(portal, request_id, token, **body)
        assert answer.json()["error_description"] == "Invalid parameter requestID"


def test_mode_that_is_not_offered_is_refused_and_not_told_of(portal: CscPortal) -> None:
    portal = configured(portal, threads=0)
    info = portal.raw("POST", "info").json()
    assert info["asynchronousOperationMode"] is False
    assert POLL not in info["methods"]
    assert poll(portal, "0" * 26).status_code == 501
    answer = portal.post(SIGN, portal.sign_body(SAD=portal.sad(), operationMode="A"))
    assert answer.json()["error_description"] == "Invalid parameter operationMode"


class Receiver:
    """Stands for :func:`callback.notify`; ``takes`` has "y" or "n" for each call."""

    def __init__(self, takes: str) -> None:
        self.answers = [letter == "y" for letter in takes]
        self.told: list[tuple[str, Any]] = []

    def __call__(self, _config: object, uri: str, members: Any) -> bool:
        self.told.append((uri, members))
        return self.answers.pop(0)


URI = "https://93.184.216.34/done"


def test_client_is_called_back_until_it_takes_the_call(
    portal: CscPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver("nny")
    monkeypatch.setattr(callback, "notify", receiver)
    request_id = accepted(portal, response_uri=URI)
    assert work(portal)
    assert receiver.told == []
    for seconds in (1, 2):
        assert work(portal)
        assert not work(portal)
        assert poll(portal, request_id).status_code == 200
        portal.world.clock.advance(seconds)
    assert work(portal)
    assert receiver.told == [(URI, {"responseID": request_id})] * 3
    portal.world.clock.advance(600)
    assert not work(portal)


def test_receiver_that_never_takes_the_call_is_given_up(
    portal: CscPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver("n" * 9)
    monkeypatch.setattr(callback, "notify", receiver)
    portal = configured(portal, callback_tries=3)
    request_id = accepted(portal, response_uri=URI)
    for _ in range(12):
        work(portal)
        portal.world.clock.advance(10)
    assert len(receiver.told) == 3
    assert poll(portal, request_id).status_code == 200


def test_worker_that_dies_while_calling_back_calls_again(
    portal: CscPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver("yy")
    monkeypatch.setattr(callback, "notify", receiver)
    accepted(portal, response_uri=URI)
    assert work(portal)
    assert signing_jobs.claim(portal.world.services) is not None  # and is never heard of again
    portal.world.clock.advance(signing_jobs.LEASE_MS / 1000)
    assert work(portal)
    assert len(receiver.told) == 1
    assert not work(portal)


def test_threads_sign_what_is_accepted_and_what_was_left(
    portal: CscPortal, caplog: pytest.LogCaptureFixture
) -> None:
    left = accepted(portal, "a")
    faults = iter([ZeroDivisionError("once")])

    def make(*arguments: Any) -> Any:
        for fault in faults:
            raise fault
        return polling.make(*arguments)

    worker = SigningWorker(portal.world.services, make, period=0.05)
    worker.start()
    try:
        new = accepted(portal, "b")
        deadline = time.monotonic() + 20
        while poll(portal, new).status_code == 202:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        portal.world.clock.advance(signing_jobs.LEASE_MS / 1000)
        while 202 in {poll(portal, left).status_code, poll(portal, new).status_code}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        worker.stop()
    assert "signing job" in caplog.text
