"""Two processes of the rssp under one address: what they count together, and how they leave."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.rssp_process import running
from tests.support.served import NO_TLS, free_port
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.rssp_process import RsspProcess
    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder

INFO = "/csc/v2/info"
HOPS = 8


class Site:
    """The rssp's two processes, its SAM, and their management addresses."""

    def __init__(self, rssp: RsspProcess, port: int, sam_port: int) -> None:
        self.rssp = rssp
        self.management = f"http://127.0.0.1:{port}"
        self.sam = f"http://127.0.0.1:{sam_port}"

    def figures(self, home: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        answer = httpx.get(f"{home}/metrics", timeout=20, verify=NO_TLS)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def value(self, home: str, name: str, **labels: str) -> float | None:
        return self.figures(home).get((name, frozenset(labels.items())))

    def status(self, path: str) -> int:
        return httpx.get(self.management + path, timeout=20, verify=NO_TLS).status_code


@pytest.fixture(scope="module")
def site(
    sqlite_folder: SqliteFolder,
    sam_factory: Callable[..., RunningSam],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    with new_world(sqlite_folder) as world:
        port, sam_port = free_port(), free_port()
        pinned = {world.authority.key_id: world.authority.public_key}
        sam = sam_factory(workers=1, pinned=pinned, health_port=sam_port)
        url = world.services.config.database.url
        tables: dict[str, dict[str, object]] = {
            "listen": {"workers": 2, "notice": 2},
            "management": {"port": port},
        }
        with running(tmp_path_factory.mktemp("rssp"), url, sam, **tables) as rssp:
            yield Site(rssp, port, sam_port)
        sam.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_figures_of_all_processes_are_one_sum(site: Site) -> None:
    def count(route: str, status: int) -> float:
        told = {"route": route, "status": str(status)}
        return site.value(site.management, "rssp_requests_total", **told) or 0

    for _ in range(20):  # each on a connection of its own, so that either process may get it
        httpx.post(site.rssp.home + INFO, json={})
    httpx.post(f"{site.rssp.home}/csc/v2/signatures/signHash", json={})
    httpx.post(f"{site.rssp.home}/csc/v2/no-such-method", json={})
    httpx.request("BREW", f"{site.rssp.home}/pot")
    for made_up in ("a", "b"):
        httpx.get(f"{site.rssp.home}/consent/v1/requests/{made_up}")
    assert count(f"POST {INFO}", 200) == 20
    assert count("POST /csc/v2/signatures/signHash", 400) == 1
    assert count("GET /consent/v1/requests/{name}", 401) == 2
    figures = site.figures(site.management)
    routes = {dict(labels).get("route") for name, labels in figures if name.startswith("rssp_requ")}
    assert {route for route in routes if route and ("such" in route or "pot" in route)} == set()
    assert "other" in routes
    assert count("POST /csc/v2/{method:path}", 200) == 0
    facts = {dict(labels)["fact"] for name, labels in figures if name == "rssp_refusals_total"}
    assert facts == {"BearerRefused", "SessionInvalid"}
    assert (
        site.value(site.management, "rssp_request_seconds_bucket", route=f"POST {INFO}", le="+Inf")
        == 20
    )
    assert figures["rssp_event_loop_lag_seconds", frozenset()] >= 0


def test_state_is_found_out_when_asked(site: Site) -> None:
    figures = site.figures(site.management)
    for check in ("webhooks", "audit", "sam", "certificates"):
        assert figures["rssp_check_up", frozenset({("check", check)})] == 1
    assert figures["rssp_webhooks_waiting", frozenset()] == 0
    for node in ("node-1", "node-2"):
        assert figures["rssp_hsm_node_up", frozenset({("node", node)})] == 1
    ends = {
        dict(labels)["certificate"]: value
        for (name, labels), value in figures.items()
        if name == "rssp_certificate_end_seconds"
    }
    assert {"issuing", "root"} <= set(ends)
    assert min(ends.values()) > time.time()


def test_a_sam_host_tells_its_figures_without_http_beyond_a_request_line(site: Site) -> None:
    # Its nodes' workers are idle; the rssp has asked for its service certificates.
    wait_for(lambda: site.value(site.sam, "sam_workers", node="node-1", state="idle") == 1)
    figures = site.figures(site.sam)
    assert figures["sam_requests_waiting", frozenset()] == 0
    asked = frozenset({("verb", "service_certificates"), ("outcome", "ok")})
    refused = frozenset({("verb", "service_certificates"), ("outcome", "error")})
    assert figures.get(("sam_requests_total", asked), 0) + figures.get(
        ("sam_requests_total", refused), 0
    )
    busy = [value for (name, _), value in figures.items() if name == "sam_hsm_busy_seconds_total"]
    assert len(busy) == 2
    assert sum(busy) > 0
    for path, status in (("/startupz", 200), ("/readyz", 200), ("/else", 404)):
        assert httpx.get(site.sam + path).status_code == status


def test_the_management_address_tells_health_and_nothing_else(site: Site) -> None:
    assert [site.status(path) for path in ("/healthz", "/startupz", "/readyz")] == [200, 200, 200]
    assert site.status(INFO) == 404


def test_leaving_under_load_loses_no_request(site: Site) -> None:
    """Clients keep their connections, and come until a load balancer has seen ``/readyz`` fail."""
    sent, lost, closing = [0] * HOPS, [0] * HOPS, [0] * HOPS
    told = threading.Event()

    def ask(place: int) -> None:
        with httpx.Client(base_url=site.rssp.home, timeout=20) as client:
            while not told.is_set():
                try:
                    answer = client.post(INFO, json={})
                except httpx.TransportError:
                    lost[place] += 1
                    return
                sent[place] += answer.status_code == 200
                closing[place] += answer.headers.get("connection") == "close"
                time.sleep(0.01)

    threads = [threading.Thread(target=ask, args=[place]) for place in range(HOPS)]
    for thread in threads:
        thread.start()
    wait_for(lambda: min(sent) > 0)
    assert site.rssp.process is not None
    site.rssp.process.send_signal(signal.SIGTERM)
    wait_for(lambda: site.status("/readyz") == 503)
    time.sleep(0.5)  # until the balancer has asked as often as it wants to
    assert site.status("/startupz") == 200
    told.set()
    for thread in threads:
        thread.join(30)
    assert site.rssp.process.wait(30) == 0
    assert lost == [0] * HOPS
    assert min(closing) > 0
