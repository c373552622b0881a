"""A real SAM for tests: SoftHSM nodes, a ceremony, the process itself, and handles to hurt it.

One ceremony serves a whole test session: each SAM gets a copy of its tokens, which are files.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remote_signing.clock import SystemClock
from remote_signing.errors import SamUnavailable
from remote_signing.sam.ceremony import (
    AuthorityNames,
    Foundation,
    Services,
    certify_services,
    initialise,
)
from remote_signing.sam.config import AuthorityConfig, NodeConfig
from remote_signing.sap import SapClient, UnixAddress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remote_signing.sam.softhsm import DevelopmentToken

POLICY: dict[str, Any] = {
    "policy_oid": "1.3.6.1.4.1.55555.1.1",
    "practice_statement_url": "http://pki.example/cps",
    "crl_url": "http://pki.example/issuing.crl",
    "ocsp_url": "http://pki.example/ocsp",
    "issuer_url": "http://pki.example/issuing.crt",
}
_SECONDS_TO_READY = 120


def toml(value: object) -> str:
    """A TOML value; enough for a configuration file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{name}" = {toml(item)}' for name, item in value.items()) + " }"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def node_config(token: DevelopmentToken, workers: int = 2) -> NodeConfig:
    """The configuration of a node that is this token."""
    return NodeConfig(
        name=token.label,
        module=token.module,
        token_label=token.label,
        pin_file=token.pin_file,
        environment=dict(token.environment),
        workers=workers,
    )


def found_cluster(tokens: Sequence[DevelopmentToken], folder: Path) -> Path:
    """A ceremony over ``tokens``, 2 of 3 custodians; the cluster file."""
    locks = folder / "locks"
    locks.mkdir(parents=True)
    plan = Foundation(
        nodes=[node_config(token) for token in tokens],
        lock_folder=locks,
        out_folder=folder / "ceremony",
        custodians=("Bình", "Chi", "Dũng"),
        threshold=2,
        authority=AuthorityNames("Cơ quan thử nghiệm", "Test Root CA", "Test Issuing CA"),
        operators=("Em",),
    )
    initialise(plan, SystemClock())
    certify(plan.nodes[0], locks, folder / "ceremony")
    return folder / "ceremony" / "cluster.json"


def certify(node: NodeConfig, locks: Path, folder: Path, **changes: Any) -> None:
    """Keys for OCSP and time stamps beside the cluster file in ``folder``."""
    plan = Services(
        node=node,
        lock_folder=locks,
        cluster_file=folder / "cluster.json",
        services_file=folder / "service-keys.json",
        authority=AuthorityConfig(**POLICY),
        transcript_file=folder / "services-transcript.json",
        operators=("Em",),
    )
    certify_services(replace(plan, **changes), SystemClock())


def copied(token: DevelopmentToken, folder: Path) -> DevelopmentToken:
    """A copy of a token, keys and all, in ``folder``."""
    source = token.pin_file.parent
    target = folder / token.label
    shutil.copytree(source, target)
    configuration = target / "softhsm2.conf"
    text = configuration.read_text("utf-8").replace(str(source), str(target))
    configuration.write_text(text, "utf-8")
    return replace(
        token, pin_file=target / "pin", environment={"SOFTHSM2_CONF": str(configuration)}
    )


@dataclass
class RunningSam:
    """One SAM host in ``folder``. ``settings`` go into its configuration as they are."""

    folder: Path
    tokens: Sequence[DevelopmentToken]
    cluster_file: Path
    registration_keys: Mapping[str, bytes]
    settings: Mapping[str, object]
    workers: int = 2
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> UnixAddress:
        return UnixAddress(self.folder / "sap.sock")

    @property
    def config_file(self) -> Path:
        return self.folder / "sam.toml"

    def client(self, timeout: float = 30.0) -> SapClient:
        return SapClient(self.address, timeout)

    def write_config(self) -> None:
        self.folder.mkdir(exist_ok=True)
        members: dict[str, object] = {
            "cluster_file": self.cluster_file,
            "state_folder": self.folder / "state",
            "socket": self.address.path,
            "allowed_uids": [os.getuid()],
            "registration_keys": {
                name: base64.b64encode(key).decode() for name, key in self.registration_keys.items()
            },
            "authority": POLICY,
            **self.settings,
        }
        text = "".join(f"{name} = {toml(value)}\n" for name, value in members.items())
        for token in self.tokens:
            text += f"""
[[nodes]]
name = {toml(token.label)}
module = {toml(token.module)}
token_label = {toml(token.label)}
pin_file = {toml(token.pin_file)}
environment = {toml(dict(token.environment))}
workers = {self.workers}
"""
        self.config_file.write_text(text, "utf-8")

    def start(self) -> RunningSam:
        """Start the process and wait until every node is healthy."""
        self.write_config()
        with (self.folder / "sam.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "remote_signing.sam", "--config", str(self.config_file)],
                stderr=log,
            )
        self.wait_for(lambda nodes: all(nodes.values()))
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process, if it runs; its exit status."""
        assert self.process is not None
        if self.process.poll() is not None:
            return self.process.returncode
        for pid in self.worker_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.process.send_signal(number)
        return self.process.wait(30)

    def nodes(self) -> dict[str, bool]:
        """Node → healthy; empty while nobody answers."""
        client = self.client(2.0)
        try:
            return {node["name"]: node["healthy"] for node in client.status().nodes}
        except SamUnavailable:
            return {}
        finally:
            client.close()

    def wait_for(self, condition: object, seconds: float = _SECONDS_TO_READY) -> float:
        """Wait until ``condition(nodes)`` holds; the seconds it took."""
        assert callable(condition)
        start = time.monotonic()
        while not ((nodes := self.nodes()) and condition(nodes)):
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "sam.log").read_text()
            assert time.monotonic() - start < seconds, (self.folder / "sam.log").read_text()
            time.sleep(0.05)
        return time.monotonic() - start

    def wait_until_replaced(self, victims: Sequence[int]) -> None:
        """Wait until none of these workers is left and each node has all of its workers again."""

        def replaced(_nodes: dict[str, bool]) -> bool:
            client = self.client(2.0)
            ready = [node["workers"] for node in client.status().nodes]
            client.close()
            return (
                not set(victims) & set(self._children())
                and len(self.worker_pids()) == len(ready) * self.workers
                and all(count == self.workers for count in ready)
            )

        self.wait_for(replaced)

    def worker_pids(self, node: str = "") -> list[int]:
        """Process ids of the workers, of one node or of all."""
        found = []
        for pid in self._children():
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"remote_signing.sam.worker" in command and node.encode() in b" ".join(command):
                    found.append(pid)
        return found

    def _children(self) -> list[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def lose_node(self, label: str) -> None:
        """The token's files vanish, as if the node were cut off."""
        folder = self._token_folder(label)
        folder.rename(folder.with_name(folder.name + ".lost"))

    def find_node(self, label: str) -> None:
        """They are back."""
        folder = self._token_folder(label)
        folder.with_name(folder.name + ".lost").rename(folder)

    def _token_folder(self, label: str) -> Path:
        token = next(token for token in self.tokens if token.label == label)
        configuration = Path(token.environment["SOFTHSM2_CONF"]).read_text("utf-8")
        line = next(line for line in configuration.splitlines() if "tokendir" in line)
        return Path(line.split("=", 1)[1].strip())
