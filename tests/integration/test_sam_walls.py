"""The walls around a real SAM: who may call it, how it ends, what its keys can do."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from remote_signing.clock import SystemClock
from remote_signing.errors import RecordRevoked, RevocationListInvalid, SamUnavailable
from remote_signing.identifiers import new_id
from remote_signing.sam.revocation import HEAD_FILE, IDS_FILE
from remote_signing.sap import CreatedCredential, SapClient, TlsAddress
from tests.support.official import ask, consent, enrol, sign_request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remote_signing.sap import NodeReport
    from tests.support.official import Official
    from tests.support.registration import TestAuthority
    from tests.support.sam import RunningSam

DIGEST = bytes(range(32))
NOW = datetime.now(UTC)
STATUS = b'{"id":1,"verb":"status","args":{}}\n'


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def start_alone(sam: RunningSam) -> None:
    """Start the process without asking it anything: it will not answer us."""
    sam.write_config()
    with (sam.folder / "sam.log").open("ab") as log:
        command = [sys.executable, "-m", "remote_signing.sam", "--config", str(sam.config_file)]
        sam.process = subprocess.Popen(command, stderr=log)
    deadline = time.monotonic() + 30
    while not sam.address.path.exists():
        assert time.monotonic() < deadline, (sam.folder / "sam.log").read_text()
        time.sleep(0.05)


def log_lines(sam: RunningSam) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (sam.folder / "sam.log").read_text().splitlines()]


# Who may call


def test_caller_of_another_user_is_refused(start_sam: Callable[..., RunningSam]) -> None:
    sam = start_sam(workers=1)
    sam.stop()
    sam.settings = {**sam.settings, "allowed_uids": [os.getuid() + 1]}
    start_alone(sam)
    with pytest.raises(SamUnavailable):
        sam.client(5.0).status()
    refused = [line for line in log_lines(sam) if line["message"] == "refused caller"]
    assert [line["uid"] for line in refused] == [os.getuid()]


@dataclass(frozen=True)
class Issued:
    certificate: Path
    key: Path


class Ca:
    """A certification authority for TLS, in ``folder``."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.issued = self._issue(name, self._name, ca=True, key=self._key)

    def issue(self, name: str) -> Issued:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        key = ec.generate_private_key(ec.SECP256R1())
        return self._issue(name, subject, ca=False, key=key)

    def _issue(
        self, name: str, subject: x509.Name, *, ca: bool, key: ec.EllipticCurvePrivateKey
    ) -> Issued:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(hours=1))
            .not_valid_after(NOW + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(issuer, critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = Issued(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        pem = serialization.Encoding.PEM
        files.certificate.write_bytes(certificate.public_bytes(pem))
        files.key.touch(0o600)
        files.key.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return files


@dataclass(frozen=True)
class OverNetwork:
    port: int
    ca: Ca
    stranger: Ca
    sam: RunningSam

    def client(self, own: Issued) -> SapClient:
        ca = self.ca.issued.certificate
        return SapClient(TlsAddress("localhost", self.port, ca, own.certificate, own.key), 20.0)


@pytest.fixture(scope="module")
def network(
    tmp_path_factory: pytest.TempPathFactory, sam_factory: Callable[..., RunningSam]
) -> OverNetwork:
    folder, port = tmp_path_factory.mktemp("tls"), free_port()
    ca, stranger = Ca(folder, "ca"), Ca(folder, "stranger-ca")
    server = ca.issue("localhost")
    tls = {
        "host": "127.0.0.1",
        "port": port,
        "certificate": server.certificate,
        "key": server.key,
        "client_ca": ca.issued.certificate,
        "client_names": ["rssp.example"],
    }
    return OverNetwork(port, ca, stranger, sam_factory(workers=1, tls=tls))


def test_rssp_on_another_host_signs_over_tls(
    network: OverNetwork, registration: TestAuthority
) -> None:
    client = network.client(network.ca.issue("rssp.example"))
    official = enrol(client, registration)
    asked = ask(client, official, (DIGEST,))
    request = sign_request(official, asked, consent(client, official, asked).sad)
    assert client.sign(request).signatures
    client.close()


def test_caller_of_another_name_or_another_authority_is_refused(network: OverNetwork) -> None:
    for own in (network.ca.issue("portal.example"), network.stranger.issue("rssp.example")):
        with pytest.raises(SamUnavailable):
            network.client(own).status()
    refused = [line for line in log_lines(network.sam) if line["message"] == "refused caller"]
    assert [line["names"] for line in refused] == [["portal.example"]]


def test_caller_without_a_certificate_does_not_get_through_the_handshake(
    network: OverNetwork,
) -> None:
    context = ssl.create_default_context(cafile=network.ca.issued.certificate)
    before = (network.sam.folder / "sam.log").read_text().count("refused caller")
    with (
        socket.create_connection(("127.0.0.1", network.port), 10) as raw,
        suppress(OSError),
        context.wrap_socket(raw, server_hostname="localhost") as link,
    ):
        link.sendall(STATUS)
        assert not link.recv(1)
    # Whom the handshake lets through and the names do not, is logged.
    assert (network.sam.folder / "sam.log").read_text().count("refused caller") == before


def test_older_tls_is_refused(network: OverNetwork) -> None:
    context = ssl.create_default_context(cafile=network.ca.issued.certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", network.port), 10) as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(raw, server_hostname="localhost")


def test_another_program_that_answers_at_the_address_is_not_the_sam(
    network: OverNetwork,
) -> None:
    own = network.ca.issue("rssp.example")
    trusted = network.stranger.issued.certificate
    address = TlsAddress("localhost", network.port, trusted, own.certificate, own.key)
    with pytest.raises(SamUnavailable):
        SapClient(address, 5.0).status()


# How it ends


def slow_order(registration: TestAuthority) -> Any:
    """RSA-4096: seconds of work."""
    now_ms = SystemClock().now_ms()
    return registration.order(
        "create_credential",
        new_id(now_ms),
        now_ms,
        owner="subscriber",
        algorithm="rsa4096",
        scal="2",
        multisign=1,
        factors=[{"id": new_id(now_ms), "kind": "pin"}],
    )


def readiness(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


def test_what_was_taken_before_the_end_is_answered_though_all_its_processes_are_told_to_end(
    start_sam: Callable[..., RunningSam], registration: TestAuthority
) -> None:
    port = free_port()
    sam = start_sam(workers=1, health_port=port, deadlines={"drain": 60.0})
    made: list[CreatedCredential] = []
    client = sam.client()

    def create() -> None:
        made.append(client.create_credential(slow_order(registration)))

    threads = [threading.Thread(target=create) for _ in sam.nodes()]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert sam.process is not None
    assert readiness(port) == 200
    for pid in (*sam.worker_pids(), sam.process.pid):  # as systemd does it
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.2)
    if any(thread.is_alive() for thread in threads):
        assert readiness(port) == 503
        with pytest.raises(SamUnavailable):
            sam.client(2.0).status()
    for thread in threads:
        thread.join(90)
    assert len(made) == len(threads)
    assert sam.process.wait(30) == 0
    client.close()


# What is gone


def test_no_process_of_a_sam_may_leave_a_core_behind(start_sam: Callable[..., RunningSam]) -> None:
    sam = start_sam()
    assert sam.process is not None
    workers = sam.worker_pids()
    assert workers
    for pid in (sam.process.pid, *workers):
        limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
        assert re.search(r"Max core file size +0 +0 ", limits)


def test_list_put_back_is_told_by_both_nodes_and_mended_by_a_copy_of_the_newer_one(
    start_sam: Callable[..., RunningSam], registration: TestAuthority, tmp_path: Path
) -> None:
    port = free_port()
    sam = start_sam(workers=1, probe_every=0.2, health_port=port)
    client, state = sam.client(), sam.folder / "state"
    officials = [enrol(client, registration) for _ in range(2)]

    def destroy(official: Official) -> None:
        now_ms = SystemClock().now_ms()
        order = registration.order("destroy", official.credential_id, now_ms)
        client.destroy(official.sealed, order)

    destroy(officials[0])
    shutil.copytree(state, tmp_path / "older")
    destroy(officials[1])
    shutil.copytree(state, tmp_path / "newer")
    asked = ask(client, officials[1], (DIGEST,))
    time.sleep(2)  # both nodes have been asked whether they live, and have seen the newer list
    client.close()
    sam.stop()
    for name in (HEAD_FILE, IDS_FILE):
        shutil.copy(tmp_path / "older" / name, state / name)
    start_alone(sam)
    sam.wait_for(lambda _nodes: all(node["workers"] for node in sam_report(sam)))
    assert {node["last_fault"] for node in sam_report(sam)} == {"RevocationListInvalid"}
    assert not any(sam.nodes().values())
    assert readiness(port) == 503
    client = sam.client()
    official, evidence = officials[1], officials[1].evidence()
    for _ in range(4):
        with pytest.raises(RevocationListInvalid):
            client.activate(official.sealed, asked.challenge.token, evidence)
    newer = tmp_path / "newer"
    client.merge_revocations((newer / IDS_FILE).read_bytes(), (newer / HEAD_FILE).read_bytes())
    sam.wait_for(lambda nodes: all(nodes.values()))
    with pytest.raises(RecordRevoked):
        client.activate(official.sealed, asked.challenge.token, evidence)
    client.close()


def sam_report(sam: RunningSam) -> Sequence[NodeReport]:
    client = sam.client(5.0)
    try:
        return client.status().nodes
    finally:
        client.close()
