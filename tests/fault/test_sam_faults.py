"""Workers killed and hung, nodes lost and found, while signatures are asked for."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from remote_signing.errors import HsmUnavailable, SamUnavailable
from tests.support.official import Official, ask, consent, enrol, sign_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remote_signing.sap import SignRequest
    from tests.support.registration import TestAuthority
    from tests.support.sam import RunningSam

DIGEST = hashlib.sha256(b"document").digest()
ROUNDS = 8
DEADLINES = {"activation": 2.0, "canary": 1.0, "wait": 8.0, "start": 8.0, "drain": 5.0}


@pytest.fixture
def sam(start_sam: Callable[..., RunningSam]) -> RunningSam:
    return start_sam(deadlines=DEADLINES, probe_every=0.5, attempt_limit=10)


@pytest.fixture
def official(sam: RunningSam, registration: TestAuthority) -> Iterator[Official]:
    client = sam.client()
    yield enrol(client, registration)
    client.close()


def authorised(sam: RunningSam, official: Official) -> SignRequest:
    client = sam.client()
    asked = ask(client, official, (DIGEST,))
    request = sign_request(official, asked, consent(client, official, asked).sad)
    client.close()
    return request


def check(official: Official, signature: bytes) -> None:
    key = cast("ec.EllipticCurvePublicKey", serialization.load_der_public_key(official.public_key))
    key.verify(signature, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_signatures_go_on_while_workers_are_killed_and_hung(
    sam: RunningSam, official: Official, capsys: pytest.CaptureFixture[str]
) -> None:
    request = authorised(sam, official)
    stop, slowest, signed = threading.Event(), [0.0], [0]
    failures: list[Exception] = []

    def portal() -> None:
        client = sam.client(30.0)
        while not (stop.is_set() or failures):
            start = time.monotonic()
            try:
                check(official, client.sign(request).signatures[0])
            except Exception as error:  # noqa: BLE001 - whatever it is, the test must fail with it
                failures.append(error)
            signed[0] += 1
            slowest[0] = max(slowest[0], time.monotonic() - start)
        client.close()

    portals = [threading.Thread(target=portal) for _ in range(3)]
    for thread in portals:
        thread.start()
    kills = hangs = 0
    chance = random.Random(7)  # noqa: S311 - a repeatable choice of victims, no secret
    nodes = sorted(sam.nodes())
    try:
        for _ in range(ROUNDS):
            # One node at a time is hurt; the other must carry the work.
            victims = sam.worker_pids(nodes[chance.randrange(len(nodes))])
            how = chance.choice((signal.SIGKILL, signal.SIGSTOP))
            for pid in victims:
                with suppress(ProcessLookupError):
                    os.kill(pid, how)
            kills += len(victims) * (how == signal.SIGKILL)
            hangs += len(victims) * (how == signal.SIGSTOP)
            sam.wait_until_replaced(victims)
    finally:
        stop.set()
        for thread in portals:
            thread.join()
    with capsys.disabled():
        print(
            f"\n[faults] {kills} kills, {hangs} hangs, {signed[0]} signatures,"
            f" {len(failures)} failed, slowest {slowest[0]:.2f} s"
        )
    assert not failures
    assert slowest[0] < 5


def test_lost_node_is_left_out_and_comes_back(
    sam: RunningSam, official: Official, capsys: pytest.CaptureFixture[str]
) -> None:
    request = authorised(sam, official)
    client = sam.client()
    sam.lose_node("node-1")
    slowest = 0.0
    for _ in range(50):
        start = time.monotonic()
        signed = client.sign(request)
        slowest = max(slowest, time.monotonic() - start)
        check(official, signed.signatures[0])
    noticed = sam.wait_for(lambda nodes: not nodes["node-1"])
    assert client.sign(request).node == "node-2"
    sam.find_node("node-1")
    back = sam.wait_for(lambda nodes: nodes["node-1"])
    with capsys.disabled():
        print(
            f"\n[faults] node lost: slowest signature {slowest:.2f} s,"
            f" noticed after {noticed:.2f} s, back after {back:.2f} s"
        )
    assert {client.sign(request).node for _ in range(20)} == {"node-1", "node-2"}
    client.close()


def test_all_nodes_lost_is_a_clean_refusal_and_nothing_is_consumed(
    sam: RunningSam, official: Official
) -> None:
    client = sam.client()
    asked = ask(client, official, (DIGEST,))
    evidence = official.evidence()
    for label in ("node-1", "node-2"):
        sam.lose_node(label)
    sam.wait_for(lambda nodes: not any(nodes.values()))
    with pytest.raises(HsmUnavailable):
        client.activate(official.sealed, asked.challenge.token, evidence)
    for label in ("node-1", "node-2"):
        sam.find_node(label)
    sam.wait_for(lambda nodes: all(nodes.values()))
    activated = client.activate(official.sealed, asked.challenge.token, evidence)
    check(official, client.sign(sign_request(official, asked, activated.sad)).signatures[0])
    client.close()


def test_consent_survives_a_worker_that_dies_after_it_used_the_code_up(
    sam: RunningSam, official: Official
) -> None:
    client = sam.client()
    asked = ask(client, official, (DIGEST,))
    evidence = official.evidence()
    for _ in range(3):
        client.activate(official.sealed, asked.challenge.token, evidence)
        victims = sam.worker_pids()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        sam.wait_until_replaced(victims)
    client.close()


def test_sigterm_refuses_cleanly_what_comes_later_and_leaves_no_process(
    sam: RunningSam, official: Official
) -> None:
    request = authorised(sam, official)
    pids = sam.worker_pids()
    outcome: list[str] = []

    def portal() -> None:
        client = sam.client(10.0)
        while True:
            try:
                check(official, client.sign(request).signatures[0])
            except SamUnavailable:
                outcome.append("refused cleanly")
                return

    thread = threading.Thread(target=portal)
    thread.start()
    time.sleep(0.3)
    assert sam.stop() == 0
    thread.join(15)
    assert outcome == ["refused cleanly"]
    assert not sam.address.path.exists()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_killed_supervisor_leaves_no_worker_behind(sam: RunningSam) -> None:
    pids = sam.worker_pids()
    sam.stop(signal.SIGKILL)
    deadline = time.monotonic() + 10
    alive = set(pids)
    while alive and time.monotonic() < deadline:
        for pid in list(alive):
            with suppress(ProcessLookupError):
                os.kill(pid, 0)
                continue
            alive.discard(pid)
        time.sleep(0.05)
    assert not alive


def test_worn_worker_is_replaced_without_a_lost_request(
    start_sam: Callable[..., RunningSam], registration: TestAuthority
) -> None:
    sam = start_sam(recycle_after=5, workers=1)
    client = sam.client()
    official = enrol(client, registration)
    before = set(sam.worker_pids())
    request = authorised(sam, official)
    for _ in range(40):
        check(official, client.sign(request).signatures[0])
    sam.wait_for(lambda nodes: all(nodes.values()))
    assert not before & set(sam.worker_pids())
    client.close()


def test_thousand_signatures_in_one_request_are_no_hung_worker(
    start_sam: Callable[..., RunningSam], registration: TestAuthority
) -> None:
    sam = start_sam(workers=1, deadlines={**DEADLINES, "activation": 0.5})
    client = sam.client()
    official = enrol(client, registration, "rsa2048", multisign=1000)
    hashes_asked = tuple(hashlib.sha256(b"%d" % number).digest() for number in range(1000))
    asked = ask(client, official, hashes_asked)
    request = sign_request(official, asked, consent(client, official, asked).sad, "rsa")
    before = sam.worker_pids()
    start = time.monotonic()
    assert len(client.sign(request).signatures) == 1000
    assert time.monotonic() - start > 0.5, "too quick to show anything"
    assert sam.worker_pids() == before
    client.close()
