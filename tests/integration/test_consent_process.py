"""The consent page as a process: configuration, start, log lines, drain at SIGTERM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from anyio import to_thread

from consent_app.__main__ import main
from tests.support.consent_api import PASSWORD, FakeRssp
from tests.support.consent_visitor import BRAND, hidden_fields
from tests.support.served import NO_TLS, free_port, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

SECONDS_TO_START = 20


@dataclass
class Running:
    """The process and where it answers."""

    process: subprocess.Popen[str]
    home: str

    def status(self, path: str) -> int:
        try:
            return httpx.get(self.home + path, verify=NO_TLS).status_code
        except httpx.TransportError:
            return 0

    def stop(self) -> tuple[int, list[dict[str, object]]]:
        """Ask it to end; its exit status and its log."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line) for line in log.splitlines()]


@contextmanager
def running(
    folder: Path, rssp: str, notice: int = 0, management: int | None = None
) -> Iterator[Running]:
    home = f"http://127.0.0.1:{free_port()}"
    port = home.rpartition(":")[2]
    brand = "".join(f'{name} = "{value}"\n' for name, value in BRAND.items())
    path = folder / "consent.toml"
    path.write_text(
        f'[public]\nurl = "{home}"\n[rssp]\nurl = "{rssp}"\n'
        f"[listen]\nport = {port}\nnotice = {notice}\n[brand]\n{brand}"
        + ("" if management is None else f"[management]\nport = {management}\n"),
        "utf-8",
    )
    command = [sys.executable, "-m", "consent_app", "--config", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        found = Running(process, home)
        deadline = time.monotonic() + SECONDS_TO_START
        try:
            while found.status("/readyz") != 200:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield found
        finally:
            process.kill()


def test_it_signs_in_over_real_http_and_logs_nothing_typed(tmp_path: Path) -> None:
    rssp = FakeRssp()
    rssp.add_request()
    with served(lambda _: rssp.app()) as address, running(tmp_path, address) as page:
        with httpx.Client(base_url=page.home, headers={"Origin": page.home}) as visitor:
            form = hidden_fields(visitor.get("/sign-in").text, "/sign-in")
            form |= {"username": "minhkhai", "password": PASSWORD}
            answer = visitor.post("/sign-in", data=form)
            assert answer.headers["location"] == "/"
            assert "Cổng một cửa" in visitor.get("/").text
            assert "server" not in answer.headers
        status, log = page.stop()
    assert status == 0
    answered = [line for line in log if line["message"] == "answered"]
    assert [(line["method"], line["path"], line["status"]) for line in answered] == [
        ("GET", "/sign-in", 200),
        ("POST", "/sign-in", 303),
        ("GET", "/", 200),
    ]
    assert all(len(str(line["request_id"])) == 16 for line in answered)
    assert PASSWORD not in json.dumps(log, ensure_ascii=False)


def test_an_answer_under_way_is_given_before_it_ends(tmp_path: Path) -> None:
    waits, goes_on = threading.Event(), threading.Event()

    async def pause() -> None:
        waits.set()
        await to_thread.run_sync(goes_on.wait)

    answers: list[int] = []

    def sign_in(home: str) -> None:
        with httpx.Client(base_url=home, headers={"Origin": home}, timeout=30) as visitor:
            form = hidden_fields(visitor.get("/sign-in").text, "/sign-in")
            form |= {"username": "minhkhai", "password": PASSWORD}
            answers.append(visitor.post("/sign-in", data=form).status_code)

    with (
        served(lambda _: FakeRssp(pause=pause).app()) as address,
        running(tmp_path, address) as page,
    ):
        thread = threading.Thread(target=sign_in, args=[page.home])
        thread.start()
        assert waits.wait(10)
        page.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert page.process.poll() is None
        goes_on.set()
        thread.join()
        assert page.process.wait(20) == 0
    assert answers == [303]


def test_it_gives_notice_before_it_refuses_visitors(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "http://127.0.0.1:1", notice=20, management=port) as page:

        def managed(path: str) -> httpx.Response:
            return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10, verify=NO_TLS)

        assert [managed(path).status_code for path in ("/startupz", "/readyz")] == [200, 200]
        page.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while page.status("/readyz") != 503:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert page.status("/sign-in") == 200
        visited = httpx.get(f"{page.home}/sign-in")
        assert visited.headers["connection"] == "close"
        assert managed("/readyz").status_code == 503
        told = managed("/metrics").text
        assert 'consent_requests_total{route="GET /sign-in",status="200"} 2.0' in told
        page.process.send_signal(signal.SIGTERM)
        assert page.process.wait(10) == 0


def test_a_wrong_configuration_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "consent.toml"
    path.write_text('[public]\nurl = "http://ky.example"\n', "utf-8")
    assert main(["--config", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("consent_app: ")
    assert told.count("\n") == 1
