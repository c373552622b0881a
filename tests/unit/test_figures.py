"""What is counted for Prometheus: judged by its own client's parser."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from consent_app import figures as consent_figures
from remote_signing.rssp import figures as rssp_figures
from remote_signing.rssp import figures_of_state, management
from remote_signing.sam.figures import BUCKETS, Figures
from sim_adapter import figures as sim_figures
from tests.support.world import new_world

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Message, Scope

    from remote_signing.sap import NodeReport
    from tests.support.sqlite import SqliteFolder

Told = dict[tuple[str, frozenset[tuple[str, str]]], float]


def told(text: bytes) -> Told:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


class Route:
    path = "/things/{name}"


async def answer(scope: Scope, _receive: object, send: object) -> None:
    assert callable(send)
    if scope["path"] == "/crash":
        raise RuntimeError("no answer")
    if not scope["path"].startswith("/nowhere"):
        scope["route"] = Route()
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def nothing(*_: object) -> Message:
    return {"type": "http.request"}


def visit(app: object, method: str, path: str, kind: str = "http") -> None:
    assert callable(app)
    asyncio.run(app({"type": kind, "method": method, "path": path}, nothing, nothing))


def test_sam_figures_are_text_that_prometheus_reads() -> None:
    figures = Figures()
    with figures.queued():
        assert figures.waiting == 1
    with figures.busy("node-1"):
        pass
    figures.answered("sign", b'{"id":1,"ok":{}}', 0.0015)
    figures.answered("sign", b'{"id":1,"error":{}}', 99.0)
    figures.failed("node-2")
    nodes: list[NodeReport] = [
        {"name": "node-1", "healthy": True, "workers": 3, "last_fault": None},
        {"name": "node-2", "healthy": False, "workers": 0, "last_fault": "gone"},
    ]
    found = told(figures.text(nodes, {"node-1": 1}, {"sam_revocation_number": 7.0}))
    assert found[of("sam_requests_total", verb="sign", outcome="ok")] == 1
    assert found[of("sam_requests_total", verb="sign", outcome="error")] == 1
    assert found[of("sam_request_seconds_bucket", verb="sign", le="0.001")] == 0
    assert found[of("sam_request_seconds_bucket", verb="sign", le="0.002")] == 1
    assert found[of("sam_request_seconds_bucket", verb="sign", le=str(BUCKETS[-1]))] == 1
    assert found[of("sam_request_seconds_bucket", verb="sign", le="+Inf")] == 2
    assert found[of("sam_request_seconds_count", verb="sign")] == 2
    assert found[of("sam_request_seconds_sum", verb="sign")] == pytest.approx(99.0015)
    assert found[of("sam_hsm_operations_total", node="node-1")] == 1
    assert found[of("sam_worker_faults_total", node="node-2")] == 1
    assert found[of("sam_hsm_node_up", node="node-1")] == 1
    assert found[of("sam_hsm_node_up", node="node-2")] == 0
    assert found[of("sam_workers", node="node-1", state="idle")] == 1
    assert found[of("sam_workers", node="node-1", state="busy")] == 2
    assert found[of("sam_requests_waiting")] == 0
    assert found[of("sam_revocation_number")] == 7
    assert found[of("sam_wait_seconds_total")] >= 0


def test_rssp_labels_are_templates_whatever_is_asked() -> None:
    registry = CollectorRegistry()
    figures = rssp_figures.Figures(registry)
    app = rssp_figures.Measured(answer, figures)
    for path in ("/things/1", "/things/2", "/nowhere", "/nowhere/else"):
        visit(app, "GET", path)
    visit(app, "BREW", "/things/1")
    visit(app, "", "", "lifespan")
    with pytest.raises(RuntimeError):
        visit(app, "GET", "/crash")
    found = told(generate_latest(registry))
    counts = {
        (dict(labels)["route"], dict(labels)["status"]): value
        for (name, labels), value in found.items()
        if name == "rssp_requests_total"
    }
    assert counts == {
        ("GET /things/{name}", "200"): 2,
        ("other", "200"): 3,
        ("other", "0"): 1,
    }
    assert figures.running == 0


@pytest.mark.parametrize("prefix", ["consent", "sim_adapter"])
def test_the_other_programs_count_likewise(prefix: str) -> None:
    kinds = sim_figures if prefix == "sim_adapter" else consent_figures
    figures = kinds.Figures()
    app = kinds.Measured(answer, figures)
    visit(app, "GET", "/things/1")
    visit(app, "BREW", "/things/1")
    visit(app, "", "", "lifespan")
    log = logging.getLogger(f"test.{prefix}")
    log.propagate = False
    log.addHandler(kinds.CountedLog(figures))
    log.warning("refused", extra={"error": "SimBusy", "fault": "SimBusy"})
    log.error("alarm: look")
    found = told(figures.text())
    assert found[of(f"{prefix}_requests_total", route="GET /things/{name}", status="200")] == 1
    assert found[of(f"{prefix}_requests_total", route="other", status="200")] == 1
    assert found[of(f"{prefix}_refusals_total", fact="SimBusy")] == 1
    assert found[of(f"{prefix}_log_lines_total", level="alarm")] == 1
    assert found[of(f"{prefix}_log_lines_total", level="warning")] == 1


def test_lines_of_the_log_are_counted_by_fact_and_level() -> None:
    registry = CollectorRegistry()
    log = logging.getLogger("test.rssp")
    log.propagate = False
    log.addHandler(rssp_figures.CountedLog(rssp_figures.Figures(registry)))
    log.setLevel(logging.INFO)
    log.info("refused", extra={"error": "SadExpired"})
    log.info("answered", extra={"error": None})
    log.error("alarm: look")
    log.error("unforeseen")
    found = told(generate_latest(registry))
    assert found[of("rssp_refusals_total", fact="SadExpired")] == 1
    assert found[of("rssp_log_lines_total", level="alarm")] == 1
    assert found[of("rssp_log_lines_total", level="error")] == 1
    assert found[of("rssp_log_lines_total", level="warning")] == 0, "from the beginning"


def test_a_check_that_fails_is_told_and_the_others_go_on(sqlite_folder: SqliteFolder) -> None:
    with new_world(sqlite_folder) as world:
        registry = CollectorRegistry()
        state = figures_of_state.FiguresOfState(world.services)
        registry.register(state)
        world.sam.healthy = False
        found = told(generate_latest(registry))
        assert found[of("rssp_check_up", check="certificates")] == 0  # the fake SAM has none
        assert found[of("rssp_check_up", check="webhooks")] == 1
        assert found[of("rssp_hsm_node_up", node="fake")] == 0
        assert found[of("rssp_audit_newest_age_seconds")] == pytest.approx(60, abs=5)
        calls = world.sam.calls["status"]
        generate_latest(registry)
        assert world.sam.calls["status"] == calls, "found out ten seconds ago at most"
        world.clock.advance(10)
        generate_latest(registry)
        assert world.sam.calls["status"] > calls


def test_what_an_ended_process_had_in_use_is_forgotten_and_what_it_counted_stays(
    sqlite_folder: SqliteFolder, tmp_path: Path
) -> None:
    program = (
        "from remote_signing.rssp.figures import Figures; f = Figures();"
        "f.answered('GET /x', 200, 0.1); f._running.set(3)"
    )
    environment = os.environ | {management.FOLDER_VARIABLE: str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert list(tmp_path.glob("gauge_livesum_*.db"))
    with new_world(sqlite_folder) as world:
        state = figures_of_state.FiguresOfState(world.services)
        found = told(management.exposition(str(tmp_path), state))
    assert found[of("rssp_requests_total", route="GET /x", status="200")] == 1
    assert of("rssp_requests_running") not in found
    assert list(tmp_path.glob("gauge_livesum_*.db")) == []
