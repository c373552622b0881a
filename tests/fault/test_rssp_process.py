"""The rssp as a process with a real SAM: ready, drained, out of nodes, killed in mid-signature."""

from __future__ import annotations

import base64
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import select

from remote_signing.rssp import audit
from remote_signing.rssp.models import signature_activation
from tests.support.rssp_process import running
from tests.support.world import ECDSA_SHA256, digest, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remote_signing.identifiers import Ticket
    from tests.conftest import Databases
    from tests.support.rssp_process import RsspProcess
    from tests.support.sam import RunningSam
    from tests.support.world import World

DOCUMENT = "quyết định.pdf"
PATIENCE: dict[str, dict[str, object]] = {"sam": {"timeout": 2.0}, "lifetimes": {"signing": 5}}


@dataclass
class Site:
    """A signer's world, its SAM, and where its rssp is run."""

    world: World
    sam: RunningSam
    folder: Path

    @property
    def url(self) -> str:
        return self.world.services.config.database.url

    def token(self) -> Ticket:
        """A token for the document: of a new credential, which no one-time code was used for."""
        self.world.join(self.world.services.sam)  # by the machine's clock, as the processes go
        self.world.new_credential()
        return self.world.token(DOCUMENT)

    def sign(self, rssp: RsspProcess, token: Ticket) -> httpx.Response:
        body = {
            "credentialID": self.world.credential_id,
            "hashes": [base64.b64encode(digest(DOCUMENT)).decode()],
            "signAlgo": ECDSA_SHA256,
        }
        url = f"{rssp.home}/csc/v2/signatures/signHash"
        return httpx.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def state(self, token: Ticket) -> str:
        query = select(signature_activation.c.state).where(
            signature_activation.c.id == token.row_id
        )
        row = self.world.database.one(query)
        assert row is not None
        return str(row.state)

    def kinds(self, token: Ticket) -> list[str]:
        events = audit.events(self.world.database, activation_id=token.row_id)
        return [event.kind for event in events if event.kind.startswith("signing.")]

    def hang(self) -> None:
        for pid in self.sam.worker_pids():
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for pid in self.sam.worker_pids():
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def site(
    databases: Databases,
    sam_factory: Callable[..., RunningSam],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    with new_world(databases) as world:
        pinned = {world.authority.key_id: world.authority.public_key}
        sam = sam_factory(workers=1, pinned=pinned)
        world.join(sam.client())
        yield Site(world, sam, tmp_path_factory.mktemp("rssp"))
        sam.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_it_gives_notice_answers_what_it_has_taken_and_ends_well(site: Site, workers: int) -> None:
    listen = {"workers": workers, "notice": 1}
    with running(site.folder, site.url, site.sam, listen=listen) as rssp:
        assert rssp.status("/healthz") == 200
        assert httpx.get(f"{rssp.home}/readyz").json()["checks"] == {
            "database": "ok",
            "migrations": "ok",
            "sam": "ok",
            "hsm:node-1": "ok",
            "hsm:node-2": "ok",
        }
        token = site.token()
        site.hang()
        with ThreadPoolExecutor(2) as pool:
            answer = pool.submit(site.sign, rssp, token)
            wait_for(lambda: site.state(token) == "SIGNING")
            end = pool.submit(rssp.stop)
            if workers == 1:  # of several, another may answer that was not told yet
                wait_for(lambda: rssp.status("/readyz") == 503, 5)
            site.go_on()
            assert answer.result().status_code == 200
            assert end.result() == 0
    assert site.state(token) == "SIGNED"


def test_without_a_node_the_consent_stays_usable_until_one_is_back(site: Site) -> None:
    with running(site.folder, site.url, site.sam) as rssp:
        token = site.token()
        for node in ("node-1", "node-2"):
            site.sam.lose_node(node)
        for pid in site.sam.worker_pids():
            os.kill(pid, signal.SIGKILL)
        refused = site.sign(rssp, token)
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        assert site.state(token) == "AUTHORIZED"
        assert httpx.get(f"{rssp.home}/readyz").status_code == 503
        for node in ("node-1", "node-2"):
            site.sam.find_node(node)
        site.sam.wait_for(lambda nodes: any(nodes.values()))
        assert site.sign(rssp, token).status_code == 200
        assert site.kinds(token) == [
            *("signing.started", "signing.returned"),
            *("signing.started", "signing.done"),
        ]
        assert rssp.stop() == 0


def test_hung_workers_are_replaced_and_the_client_gets_its_signature(site: Site) -> None:
    with running(site.folder, site.url, site.sam) as rssp:
        token = site.token()
        (victim, *_) = site.sam.worker_pids("node-1")
        os.kill(victim, signal.SIGSTOP)
        for _ in range(2):  # whichever worker is asked first
            assert site.sign(rssp, token).status_code == 200
        assert site.kinds(token) == ["signing.started", "signing.done", "signing.repeated"]


def test_killed_between_intent_and_outcome_it_explains_the_state_and_signs_no_second_time(
    site: Site,
) -> None:
    with running(site.folder, site.url, site.sam, **PATIENCE) as rssp:
        token = site.token()
        site.hang()
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(site.sign, rssp, token)
            wait_for(lambda: site.state(token) == "SIGNING")
            rssp.kill()
            with pytest.raises(httpx.TransportError):
                lost.result()
        site.go_on()
        rssp.start()
        wait_for(lambda: site.state(token) == "FAILED")
        assert site.kinds(token) == ["signing.started", "signing.unknown"]
        assert site.sign(rssp, token).status_code == 401  # its token is over
        again = site.token()
        assert site.sign(rssp, again).status_code == 200
        assert rssp.stop() == 0
