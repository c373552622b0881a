"""``hsm join``: one more node into an existing cluster, from the recovery package and M shares."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from remote_signing.errors import HsmFault, RemoteSigningError
from remote_signing.sam.ceremony.child import NodeProcess
from remote_signing.sam.ceremony.founding import Outcome
from remote_signing.sam.ceremony.nodes import agrees, attest_with, check_new_node, discard
from remote_signing.sam.ceremony.package import Package, write_new
from remote_signing.sam.ceremony.refusal import CeremonyRefused
from remote_signing.sam.ceremony.transcript import Transcript
from remote_signing.sam.cluster import load_cluster

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from remote_signing.clock import Clock
    from remote_signing.sam.ceremony.transcript import Progress
    from remote_signing.sam.cluster import Cluster
    from remote_signing.sam.config import NodeConfig


@dataclass(frozen=True, slots=True)
class Accession:
    """What is asked of ``hsm join``. ``shares`` are the files that custodians brought."""

    node: NodeConfig
    lock_folder: Path
    cluster_file: Path
    package_file: Path
    shares: Sequence[Path]
    transcript_file: Path
    operators: Sequence[str]
    witnesses: Sequence[str] = ()

    def check(self) -> None:
        """``CeremonyRefused`` when it cannot be done, whatever the node says."""
        if not self.operators:
            raise CeremonyRefused("the transcript must name an operator")
        if self.transcript_file.exists():
            raise CeremonyRefused(f"{self.transcript_file} is there already")


def join(
    plan: Accession, clock: Clock, progress: Progress = lambda _line: None, *, dry_run: bool = False
) -> Outcome:
    """Bring the cluster's keys into ``plan.node``; with ``dry_run`` only look whether it can be.

    Raises ``SealBroken`` (a file is not of this cluster), ``CeremonyRefused`` or ``HsmFault``;
    what was made is destroyed.
    """
    plan.check()
    cluster = load_cluster(plan.cluster_file)
    package = Package.read(_document(plan.package_file), cluster)
    people = {"operators": plan.operators, "witnesses": plan.witnesses}
    transcript = Transcript("hsm join", people, clock, progress)
    with NodeProcess(plan.node, plan.lock_folder.resolve()) as node:
        transcript.step("looked at the node", node.name, **check_new_node(node))
        opened = _open_recovery_key(node, plan, package)
        custodians = [each.name for each in package.custodians if each.index in opened]
        transcript.step("opened the recovery key", node.name, custodians=custodians)
        if dry_run:
            return Outcome(transcript.lines(), cluster)
        try:
            _import(node, cluster, package, transcript)
            signed = transcript.signed(cluster.cluster_id, attest_with(node))
            write_new(plan.transcript_file, signed)
        except BaseException as error:
            _undo(node, cluster.cluster_id, error)
            raise
    return Outcome(transcript.lines(), cluster, {"transcript.json": plan.transcript_file})


def _document(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CeremonyRefused(f"recovery package: {error}") from error


def _open_recovery_key(node: NodeProcess, plan: Accession, package: Package) -> list[int]:
    answer = node.call(
        "open_recovery_key",
        cluster_id=package.cluster_id,
        package={
            "threshold": package.threshold,
            "custodians": [asdict(each) for each in package.custodians],
            "chains": package.chains,
        },
        shares=[str(path.resolve()) for path in plan.shares],
    )
    return cast("list[int]", answer["custodians"])


def _import(node: NodeProcess, cluster: Cluster, package: Package, transcript: Transcript) -> None:
    held = node.call("import_keys", cluster_id=cluster.cluster_id, keys=package.keys)
    node.call("forget_recovery_key")
    values = held["check_values"]
    transcript.step("imported the cluster's keys", node.name, check_values=values)
    if not agrees(held, cluster):
        raise HsmFault(f"node {node.name} disagrees with the cluster about its keys")
    transcript.step("check values and public keys agree with the cluster")
    transcript.step("canary verified", node.name, **node.call("canary"))


def _undo(node: NodeProcess, cluster_id: str, error: BaseException) -> None:
    try:
        discard(node, cluster_id)
    except RemoteSigningError as failed:
        error.add_note(f"node {node.name} still holds keys of this ceremony: {failed}")
