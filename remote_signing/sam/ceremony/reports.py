"""``hsm status`` and ``hsm bench``: what the nodes are and what they can do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from remote_signing.algorithms import ALGORITHMS
from remote_signing.errors import RemoteSigningError
from remote_signing.sam.ceremony.child import SECONDS, NodeProcess
from remote_signing.sam.ceremony.nodes import agrees, missing_mechanisms
from remote_signing.sam.hsm.bench import OF_ALGORITHMS, OF_NODES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from remote_signing.sam.cluster import Cluster, Members
    from remote_signing.sam.config import NodeConfig


@dataclass(slots=True)
class NodeStatus:
    """One node as it was found. ``fault`` is the first thing that went wrong.

    ``reachable``: its module answers and it took the PIN. ``agrees``: check values and public keys
    are the cluster's. ``latency_ms`` is that of one canary signature with its verification.
    """

    name: str
    reachable: bool = False
    token: str = ""
    missing_mechanisms: tuple[str, ...] = ()
    agrees: bool = False
    canary: bool = False
    latency_ms: float | None = None
    fault: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether the node can serve the cluster."""
        return self.agrees and self.canary and not self.missing_mechanisms


@dataclass(frozen=True, slots=True)
class Rate:
    """One measurement; ``algorithm`` is None where the operation has none."""

    operation: str
    algorithm: str | None
    per_second: float
    count: int


def status(
    nodes: Sequence[NodeConfig], lock_folder: Path, cluster: Cluster, seconds: float = 20.0
) -> list[NodeStatus]:
    """Every node, looked at in a process of its own; each of three steps has ``seconds``."""
    with ThreadPoolExecutor(max(len(nodes), 1)) as pool:
        return list(
            pool.map(lambda node: _status(node, lock_folder.resolve(), cluster, seconds), nodes)
        )


def _status(config: NodeConfig, lock_folder: Path, cluster: Cluster, seconds: float) -> NodeStatus:
    found = NodeStatus(config.name)
    try:
        with NodeProcess(config, lock_folder) as node:
            opened = node.open(seconds)
            found.reachable = True
            found.token = str(cast("Members", opened["description"])["label"])
            found.missing_mechanisms = missing_mechanisms(opened)
            found.agrees = agrees(node.call("examine", seconds), cluster)
            answer = node.call("canary", seconds)
            found.canary = True
            found.latency_ms = cast("int", answer["microseconds"]) / 1000
    except RemoteSigningError as error:
        found.fault = error.cause
    return found


def bench(
    config: NodeConfig,
    lock_folder: Path,
    seconds: float = 1.0,
    algorithms: Sequence[str] = tuple(ALGORITHMS),
) -> Iterator[Rate]:
    """Rates of one node, one process, one after another, ``seconds`` for each; ``HsmFault``."""
    measured = [(operation, name) for name in algorithms for operation in OF_ALGORITHMS]
    measured += [(operation, "") for operation in OF_NODES]
    with NodeProcess(config, lock_folder.resolve()) as node:
        node.open()
        for operation, name in measured:
            answer = node.call(
                "bench",
                SECONDS + seconds,
                operation=operation,
                algorithm=name or None,
                duration=seconds,
            )
            per_second = cast("float", answer["per_second"])
            yield Rate(operation, name or None, per_second, cast("int", answer["count"]))
