"""A founded cluster of SoftHSM nodes for tests of keys and ceremonies."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remote_signing.clock import SystemClock
from remote_signing.sam.ceremony import Accession, AuthorityNames, Foundation, initialise
from remote_signing.sam.cluster import Cluster, load_cluster
from remote_signing.sam.config import NodeConfig
from remote_signing.sam.hsm import Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from remote_signing.sam.softhsm import DevelopmentToken

CUSTODIANS = ("Nguyễn Văn An", "Trần Thị Bình", "Lê Minh Châu")
NAMES = AuthorityNames(
    organization="Ban Cơ yếu Chính phủ",
    root_common_name="Chứng thực gốc – thử nghiệm",
    issuing_common_name="Chứng thực cấp phát – thử nghiệm",
    root_crl_url="http://pki.example/root.crl",
    root_certificate_url="http://pki.example/root.crt",
)


def node_config(token: DevelopmentToken) -> NodeConfig:
    return NodeConfig(
        name=token.label,
        module=token.module,
        token_label=token.label,
        pin_file=token.pin_file,
        environment=dict(token.environment),
    )


def foundation(nodes: Sequence[NodeConfig], folder: Path, threshold: int = 2) -> Foundation:
    """An order to found a cluster, with ``folder/state`` and ``folder/out``."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    return Foundation(
        nodes=nodes,
        lock_folder=state,
        out_folder=folder / "out",
        custodians=CUSTODIANS,
        threshold=threshold,
        authority=NAMES,
        operators=("Phạm Quốc Dũng",),
        witnesses=("Hoàng Thị Em",),
    )


@dataclass(frozen=True)
class Founded:
    """Two of three custodians open its recovery package."""

    nodes: Sequence[NodeConfig]
    state: Path
    out: Path

    @property
    def cluster(self) -> Cluster:
        return load_cluster(self.out / "cluster.json")

    def share(self, index: int) -> Path:
        return self.out / f"share-{index}-of-{len(CUSTODIANS)}.json"

    @contextmanager
    def opened(self, index: int = 0) -> Iterator[Node]:
        """A session with a node, in this process, which may have one at a time."""
        with environment_kept(), Node.open(self.nodes[index], self.state) as node:
            yield node

    def accession(
        self, node: NodeConfig, folder: Path, shares: Sequence[int] = (1, 3)
    ) -> Accession:
        return Accession(
            node=node,
            lock_folder=self.state,
            cluster_file=self.out / "cluster.json",
            package_file=self.out / "recovery-package.json",
            shares=[self.share(index) for index in shares],
            transcript_file=folder / "join.json",
            operators=("Phạm Quốc Dũng",),
        )


def found(tokens: Sequence[DevelopmentToken], folder: Path) -> Founded:
    nodes = [node_config(token) for token in tokens]
    plan = foundation(nodes, folder)
    initialise(plan, SystemClock())
    return Founded(nodes, plan.lock_folder, plan.out_folder)


@contextmanager
def environment_kept() -> Iterator[None]:
    """Opening a node sets what its module reads."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
