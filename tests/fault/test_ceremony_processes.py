"""A node's process that hangs, dies or talks nonsense does not take the ceremony with it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from remote_signing.errors import HsmFault, InvalidInput
from remote_signing.sam.ceremony import child as child_module
from remote_signing.sam.ceremony import status
from remote_signing.sam.ceremony.child import NodeProcess
from remote_signing.sam.cluster import Cluster
from tests.support.cluster import node_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remote_signing.sam.softhsm import DevelopmentToken


@pytest.fixture(scope="module")
def token(make_tokens: Callable[[int], list[DevelopmentToken]]) -> DevelopmentToken:
    return make_tokens(1)[0]


@pytest.fixture
def node(token: DevelopmentToken, tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(node_config(token), tmp_path) as process:
        yield process


def test_a_hung_process_is_killed_at_its_deadline(node: NodeProcess) -> None:
    node.open()
    os.kill(node.pid, signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(HsmFault, match=r"did not answer open in 0\.3 s"):
        node.open(0.3)
    assert time.monotonic() - start < 5
    with pytest.raises(HsmFault):
        node.open(5.0)


def test_a_dead_process_is_a_fault(node: NodeProcess) -> None:
    os.kill(node.pid, signal.SIGKILL)
    with pytest.raises(HsmFault, match="node node-1"):
        node.open()


def test_a_hung_process_is_ended_when_it_is_no_longer_wanted(
    token: DevelopmentToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_SECONDS_TO_END", 0.1)
    with NodeProcess(node_config(token), tmp_path) as node:
        node.open()
        os.kill(node.pid, signal.SIGSTOP)
    with pytest.raises(ProcessLookupError):
        os.kill(node.pid, 0)


def test_an_endless_answer_is_cut_off(node: NodeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "MAX_LINE", 10)
    node._buffer += b"x" * 20  # noqa: SLF001 - as if it had been received
    with pytest.raises(HsmFault, match="its process ended"):
        node.open()


@pytest.mark.parametrize("step", ["examine", "forget_recovery_key", "create"])
def test_steps_before_opening_are_faults_and_the_process_lives(
    node: NodeProcess, step: str
) -> None:
    with pytest.raises(HsmFault, match="not open"):
        node.call(step)
    node.open()


def test_steps_out_of_order_are_faults_and_the_process_lives(node: NodeProcess) -> None:
    node.open()
    with pytest.raises(HsmFault, match="no recovery key"):
        node.call("forget_recovery_key")
    with pytest.raises(HsmFault, match="0 of the private key rs-transport"):
        node.call("receive_recovery_key", wrapped="AAAA")
    with pytest.raises(InvalidInput, match="base64"):
        node.call("receive_recovery_key", wrapped="?")
    node.call("create")
    small = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li"
        "/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q=="
    )
    with pytest.raises(HsmFault, match="RSA of at least 3072 bits"):
        node.call("send_recovery_key", transport_key=small)


def test_status_of_a_hung_node_comes_in_time(
    token: DevelopmentToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = NodeProcess.open

    def stopped(self: NodeProcess, seconds: float = 60.0) -> object:
        os.kill(self.pid, signal.SIGSTOP)
        return original(self, seconds)

    monkeypatch.setattr(NodeProcess, "open", stopped)
    cluster = Cluster.__new__(Cluster)  # never looked at
    start = time.monotonic()
    (found,) = status([node_config(token)], tmp_path, cluster, seconds=0.3)
    assert time.monotonic() - start < 5
    assert not found.reachable
    assert "did not answer" in (found.fault or "")
