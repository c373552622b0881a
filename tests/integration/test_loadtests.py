"""Each load scenario once against a whole service that the load tests start themselves.

It is two hosts beside one database, and requests go to them in turn.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import time
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from loadtests import accounting, compare, generators, hosts, people, portal
from loadtests.generators import Generators
from loadtests.hosts import Balancer
from loadtests.once import place_of, take_turns
from loadtests.options import Options
from loadtests.place import Needs
from loadtests.plain_engine import PlainHttp
from loadtests.scenarios import SCENARIOS
from loadtests.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadtests.people import Official
    from loadtests.place import Place, Scenario

ALL = Needs(consent_page=True, sim=True, passkey=True)
SIGNATURES = {"sign_in": 0, "read_mostly": 0, "batch": 3, "seal": 3}
PEOPLE = 4  # a code is good once, and five scenarios use one each


@dataclass(frozen=True)
class Stage:
    site: Site
    place: Place
    persons: list[Official]
    organisations: list[Official]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("site")
    options = Options("working_day", kept=folder, hosts=2, sam_workers=1)
    with Site(options, ALL) as site:
        people.found_agency(site)
        portal.register(site, dpop=True)
        persons = people.enrol(site, PEOPLE, "p256", ALL)
        people.sign_in_all(site, persons)
        people.give_phones(site, persons[:1], ALL)
        seals = people.enrol(site, 1, "p256", SCENARIOS["seal"].needs)
        yield Stage(site, place_of(site), persons, seals)


class Counted(Balancer):
    """How many requests were sent to each of the two hosts."""

    def __init__(self, site: Site) -> None:
        super().__init__(hosts.behind(site.hosts))
        self._first = site.hosts[0].addresses
        self.first = self.second = 0

    @contextmanager
    def at(self, url: str) -> Iterator[str]:
        with super().at(url) as found:
            is_first = found.startswith(self._first)
            self.first += is_first
            self.second += not is_first
            yield found


def official_for(stage: Stage, scenario: Scenario) -> Official:
    if scenario.needs.scal == "1":
        return stage.organisations[0]
    if not scenario.needs.codes:
        return stage.persons[0]
    # A code is good once: who has used one longest ago.
    return min(stage.persons, key=lambda each: each.last_step)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "working_day"])
def test_scenario_ends_well(stage: Stage, name: str) -> None:
    official, asked = official_for(stage, SCENARIOS[name]), Counted(stage.site)
    recorder = take_turns(stage.place, [official], name, asked)
    assert asked.first
    assert asked.second
    assert not recorder.errors
    assert not recorder.short
    assert recorder.ceremonies.count == 1
    assert recorder.signatures == SIGNATURES.get(name, 1)
    assert len(recorder.activations) == (recorder.signatures > 0)
    assert stage.site.count_missing(recorder.activations) == 0
    assert stage.site.count_missing([*recorder.activations, "0" * 26]) == 1


def test_consent_without_the_page_between(stage: Stage) -> None:
    official = official_for(stage, SCENARIOS["portal_decoupled"])
    place = place_of(stage.site, consent_page=False)
    recorder = take_turns(place, [official], "portal_decoupled")
    assert not recorder.errors
    assert recorder.signatures == 1


def test_every_program_is_accounted_for(stage: Stage) -> None:
    found = accounting.usage(stage.site.roots)
    roles = {"sam", "sam_workers", "rssp", "consent_app", "sim_adapter", "operator", "phones"}
    assert set(found) == roles
    assert found["sam_workers"].processes == stage.site.worker_count
    assert all(used.cpu > 0 and used.pss > 0 and used.files > 0 for used in found.values())


def test_generators_share_the_load_and_their_figures_add_up(stage: Stage) -> None:
    options = Options("read_mostly", users=2, seconds=1.5, warm_up=0.2, generators=2)
    orders = generators.plans(stage.site, options, stage.persons)
    for order in orders:
        order["engine"] = "plain"
    running = Generators(stage.site.folder, sys.executable, orders)
    try:
        times = running.begin(options)
        recorder = running.gather()
    finally:
        running.kill()
    assert not recorder.errors
    assert times.end - times.start == pytest.approx(1.5)
    assert recorder.kinds["read_mostly"] == recorder.done > 0
    assert recorder.ceremonies.count > 0
    assert not recorder.unfinished
    plans = list((stage.site.folder / "secrets").glob("plan-*.json"))
    assert {plan.stat().st_mode & 0o777 for plan in plans} == {0o600}


class TheOther(ThreadingHTTPServer):
    """In the place of the server that ours is compared with; how often it was asked to sign."""

    pid = os.getpid()
    asked = 0

    def __init__(self) -> None:
        answers = {"authorize": {"SAD": "a"}, "signHash": {"signatures": ["c2ln"]}}

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                step = self.path.rpartition("/")[2]
                TheOther.asked += step == "signHash"
                body = json.dumps(answers[step]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait_until_ready(self) -> None:
        """It is, from the beginning."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


def signed(site: Site) -> int:
    """How many activations have been signed there."""
    with closing(sqlite3.connect(site.folder / "rssp.sqlite3")) as file:
        (count,) = file.execute(
            "SELECT count(*) FROM signature_activation WHERE state = 'SIGNED'"
        ).fetchone()
    return int(count)


def test_comparison_asks_both_for_the_same_and_tells_how_many_times(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compare, "GOALS", {"p256": 0.0})
    monkeypatch.setattr(compare, "Site", lambda *_: nullcontext(stage.site))
    for done, name in ((people, "found_agency"), (portal, "register")):  # the stage's
        monkeypatch.setattr(done, name, lambda *_, **__: None)
    monkeypatch.setattr(compare, "python_of_compared", lambda _: sys.executable)
    monkeypatch.setattr(compare, "SimpleServer", lambda *_: TheOther())
    before = signed(stage.site)
    asked = ["--users", "1", "--seconds", "0.3", "--officials", "24", "--engine", "plain"]
    assert compare.main([*asked, "--database", "sqlite", "--out", str(tmp_path)]) == 0
    (found,) = json.loads((tmp_path / "compare.json").read_text("utf-8")).values()
    # Where anything had gone wrong there were no figures. A busy machine may end none in that time.
    assert signed(stage.site) > before
    assert TheOther.asked > 0
    ours, other = found["ours"], found["other"]
    assert found["ratio"] == (ours / other if other else 0.0)
    assert {"sam", "sam_workers", "rssp"} <= set(found["our_processes"])
    assert found["other_processes"] >= 1


def test_plain_client_opens_a_connection_that_the_host_has_closed() -> None:
    class Once(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("X-Asked", self.path)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True  # without saying so

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Once)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client, url = PlainHttp(), f"http://127.0.0.1:{server.server_port}/a?b=c"
    for number in range(3):
        answer = client.send("x", "POST", url, {}, b"%d" % number)
        assert (answer.status, answer.body) == (201, b"%d" % number)
        assert answer.headers["x-asked"] == "/a?b=c"
        time.sleep(0.05)
    server.shutdown()
    server.server_close()
    assert client.send("x", "POST", url, {}, b"").status == 0
    client.close()
