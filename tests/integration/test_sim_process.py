"""The adapter as a process, its schema, and TLS on both sides towards an operator."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from sim_adapter import migrations
from sim_adapter.ap import requests
from sim_adapter.ap.client import OperatorClient
from sim_adapter.clock import SystemClock
from sim_adapter.config import OperatorConfig
from sim_adapter.db import Database
from sim_adapter.errors import OperatorSlow, OperatorUnreachable, Unavailable
from sim_adapter.models import metadata
from sim_adapter.mss import soap
from sim_adapter.mss.model import ProfileResp, ReceiptResp
from tests.support.mss_messages import ANSWERS, HEAD, REQUESTS
from tests.support.served import NO_TLS, free_port
from tests.support.tls import TlsFiles, make_tls_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.support.postgres import PostgresServer


def test_migrations_make_exactly_what_the_models_say(database_url: str) -> None:
    migrations.upgrade(database_url)
    migrations.upgrade(database_url)
    database = Database(database_url)
    assert migrations.at_head(database)
    migrations.check(database)
    options = {
        "compare_type": True,
        "compare_server_default": True,
        "version_table": "sim_adapter_version",
    }
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    database.close()


def test_a_database_without_the_tables_is_refused(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(Unavailable):
        migrations.check(database)
    database.close()


def test_the_schema_of_a_later_release_is_taken_and_an_older_one_refused(
    database_url: str,
) -> None:
    migrations.upgrade(database_url)
    database = Database(database_url)
    for revision, is_taken in (("0001", False), ("9999", True)):
        database.all(text("UPDATE sim_adapter_version SET version_num = :to"), {"to": revision})
        assert migrations.at_head(database) == is_taken
    database.all(text("DELETE FROM sim_adapter_version"))
    assert not migrations.at_head(database)
    database.close()


def test_no_call_to_a_server_waits_for_ever(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh(migrations.upgrade)
    database = Database(url)
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        row = database.one(text(f"SHOW {name}"))
        assert row is not None
        assert row[0] != "0", name
    with database.engine.connect() as connection:
        pgconn = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]  # psycopg
        link = {option.keyword: option.val for option in pgconn.info}
    assert link[b"tcp_user_timeout"] == b"15000"
    assert link[b"keepalives_idle"] == b"10"
    database.close()
    hasty = Database(f"{url}&options=-c%20statement_timeout=200")
    with pytest.raises(Unavailable, match="statement timeout"):
        hasty.one(text("SELECT pg_sleep(5)"))
    hasty.close()
    postgres_server.drop(url)


def test_a_database_that_is_away_is_unavailable() -> None:
    database = Database(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/x")
    with pytest.raises(Unavailable):
        database.one(text("SELECT 1"))
    database.close()


def wait_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False, verify=NO_TLS).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("not ready")


def test_the_process_drains_when_told_to_stop(tmp_path: Path) -> None:
    port, management = free_port(), free_port()
    (tmp_path / "bearer").write_text("secret", encoding="utf-8")
    file = tmp_path / "sim.toml"
    file.write_text(
        f"[management]\nport = {management}\n"
        f'[listen]\nport = {port}\nnotice = 1\n[database]\nurl = "sqlite:///{tmp_path}/a.sqlite3"\n'
        '[api]\nsecret_files = ["bearer"]\n[[operators]]\nname = "one"\nap_id = "urn:ap"\n'
        f'prefixes = ["84"]\nurl = "http://127.0.0.1:{free_port()}"\n',
        encoding="utf-8",
    )
    program = [sys.executable, "-m", "sim_adapter", "--config", str(file)]
    subprocess.run([*program, "--upgrade"], check=True, timeout=60)
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    url, headers = f"http://127.0.0.1:{port}", {"Authorization": "Bearer secret"}
    wait_ready(url)
    body = {
        "msisdn": "84900000001",
        "mode": "text",
        "display_text": "Ký",
        "verification_code": "4821",
        "consent": "AAAA",
        "deadline": int((time.time() + 60) * 1000),
    }
    path = f"{url}/v1/transactions/transaction-1"
    made = httpx.put(path, json=body, headers=headers, trust_env=False)
    assert made.status_code == 201
    held: list[int] = []

    def poll() -> None:
        answer = httpx.get(
            f"{path}?wait=25&version=99", headers=headers, timeout=60, trust_env=False
        )
        held.append(answer.status_code)

    waiting = threading.Thread(target=poll)
    waiting.start()
    time.sleep(0.3)
    watched = f"http://127.0.0.1:{management}"
    told = httpx.get(f"{watched}/metrics", trust_env=False).text
    route = "PUT /v1/transactions/{identifier}"
    assert f'sim_adapter_requests_total{{route="{route}",status="201"}} 1.0' in told
    assert "84900000001" not in told
    assert httpx.get(f"{watched}/startupz", trust_env=False).status_code == 200
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert httpx.get(f"{watched}/readyz", trust_env=False).status_code == 503
    assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 503
    _, errors = process.communicate(timeout=30)
    waiting.join(30)
    assert process.returncode == 0
    assert held == [200]
    lines = [json.loads(line) for line in errors.splitlines()]
    assert any(line["message"] == "created" for line in lines)
    assert "84900000001" not in errors
    assert "Bearer" not in errors


class _Handler(BaseHTTPRequestHandler):
    """An operator that answers receipts."""

    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        body = soap.write_answer("MSS_Receipt", ANSWERS["MSS_Receipt"])
        self.send_response(200)
        self.send_header("Content-Type", soap.MEDIA_TYPE)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def operator(tls: TlsFiles) -> Iterator[str]:
    """A server that wants a client certificate of its CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    context.load_verify_locations(tls.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(**row: Any) -> object:
    async def run() -> object:
        config = OperatorConfig(name="tls", ap_id=HEAD.ap.ap_id, **row)
        client = OperatorClient(config)
        try:
            request: Any = REQUESTS["MSS_Receipt"]
            return await client.ask(request, ReceiptResp, 5)
        finally:
            await client.close()

    return asyncio.run(run())


def test_both_sides_show_a_certificate(operator: str, tls: TlsFiles) -> None:
    answer = ask(url=operator, ca=tls.ca, certificate=tls.certificate, key=tls.key)
    assert answer == ANSWERS["MSS_Receipt"]


def test_an_operator_of_another_authority_is_not_asked(operator: str, tls: TlsFiles) -> None:
    with pytest.raises(OperatorUnreachable):
        ask(url=operator, certificate=tls.certificate, key=tls.key)


def test_without_our_certificate_the_operator_turns_us_away(operator: str, tls: TlsFiles) -> None:
    # In TLS 1.3 the refusal may arrive while the question is being sent, or after it.
    with pytest.raises((OperatorUnreachable, OperatorSlow)):
        ask(url=operator, ca=tls.ca)


def test_an_operator_that_never_answers_costs_bounded_time() -> None:
    import socket  # noqa: PLC0415 - of this test alone

    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        port = silent.getsockname()[1]

        async def run() -> None:
            config = OperatorConfig(
                name="silent", ap_id="urn:ap", url=f"http://127.0.0.1:{port}", connect_timeout=0.3
            )
            client = OperatorClient(config)
            request: Any = REQUESTS["MSS_Receipt"]
            with pytest.raises(OperatorSlow):
                await client.ask(request, ReceiptResp, 0.3)
            await client.close()

        asyncio.run(run())
        assert time.monotonic() - began < 5


def test_a_question_waits_a_moment_for_a_connection_and_not_as_long_as_for_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket  # noqa: PLC0415 - of this test alone

    async def run(port: int) -> None:
        monkeypatch.setattr("sim_adapter.ap.client._ASIDE", 0)
        config = OperatorConfig(name="busy", ap_id="urn:ap", url=f"http://127.0.0.1:{port}")
        client = OperatorClient(config, concurrency=1)
        request: Any = REQUESTS["MSS_Receipt"]
        holding = asyncio.create_task(client.ask(request, ReceiptResp, 60))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            with pytest.raises(OperatorUnreachable, match="PoolTimeout"):
                await client.ask(request, ReceiptResp, 60)
        holding.cancel()
        await client.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(run(silent.getsockname()[1]))


def test_the_test_mssp_and_the_phones_are_processes_too(tmp_path: Path) -> None:
    """A profile query through four processes' worth of sockets: MSSP, SMPP, radio, card."""
    for name in ("ap", "smpp"):
        _secret(tmp_path / name, b"pass-wd")
    _secret(tmp_path / "master", bytes(range(32)))
    smpp, port = free_port(), free_port()
    vsim = [
        *(sys.executable, "-m", "sim_adapter.vsim", "--port", str(smpp)),
        *("--password-file", str(tmp_path / "smpp"), "--master-key-file", str(tmp_path / "master")),
    ]
    mssp = [
        *(sys.executable, "-m", "sim_adapter.mssp", "--port", str(port), "--smpp-port", str(smpp)),
        *("--ap-id", HEAD.ap.ap_id, "--ap-password-file", str(tmp_path / "ap")),
        *("--password-file", str(tmp_path / "smpp"), "--master-key-file", str(tmp_path / "master")),
        *("--state-folder", str(tmp_path / "state")),
    ]
    with (
        subprocess.Popen(vsim, stdout=subprocess.PIPE, text=True) as phones,
        subprocess.Popen(mssp, stderr=subprocess.DEVNULL) as operator,
    ):
        url = f"http://127.0.0.1:{port}/soap/services/{{port}}"
        found = asyncio.run(_profile(url, tmp_path / "ap"))
        for process in (operator, phones):
            process.send_signal(signal.SIGTERM)
        assert [process.wait(20) for process in (operator, phones)] == [0, 0]
    assert found.status.profile is not None
    assert (found.status.profile.state, found.status.profile.network) == ("INACTIVE", "Test Mobile")


def _secret(path: Path, secret: bytes) -> None:
    path.write_bytes(secret)
    path.chmod(0o600)


async def _profile(url: str, password: Path) -> ProfileResp:
    config = OperatorConfig(name="test", ap_id=HEAD.ap.ap_id, url=url, password_file=password)
    client = OperatorClient(config)
    try:
        for _ in range(300):
            request = requests.profile(client, "84900000001", SystemClock().now_ms())
            try:
                answer = await client.ask(request, ProfileResp, 20)
            except OperatorUnreachable:
                await asyncio.sleep(0.1)
                continue
            assert isinstance(answer, ProfileResp), answer
            return answer
    finally:
        await client.close()
    raise AssertionError("the MSSP does not start")
