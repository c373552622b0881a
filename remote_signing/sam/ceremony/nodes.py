"""What ceremonies ask of a node's process, and what they check in its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from remote_signing.errors import HsmFault
from remote_signing.sam.ceremony.child import NodeProcess
from remote_signing.sam.ceremony.refusal import CeremonyRefused
from remote_signing.sam.hsm.templates import REQUIRED_MECHANISMS
from remote_signing.sap import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from remote_signing.sam.cluster import Cluster, Members
    from remote_signing.sam.config import NodeConfig


def missing_mechanisms(opened: Members) -> tuple[str, ...]:
    """What the service needs and the token does not have, from the answer to ``open``."""
    return tuple(sorted(REQUIRED_MECHANISMS - set(cast("list[str]", opened["mechanisms"]))))


def check_new_node(node: NodeProcess) -> Members:
    """Open a node that is to get a cluster's keys; its description. ``CeremonyRefused``."""
    opened = node.open()
    missing = missing_mechanisms(opened)
    if missing:
        raise CeremonyRefused(f"node {node.name} lacks {', '.join(missing)}")
    if opened["held"]:
        held = ", ".join(cast("list[str]", opened["held"]))
        raise CeremonyRefused(f"node {node.name} already holds {held}")
    return cast("Members", opened["description"])


def check_same_keys(held: Mapping[str, Members]) -> Members:
    """The answers of all nodes to ``examine``, which must be one; ``HsmFault``."""
    first, *others = held
    for other in others:
        if held[other] != held[first]:
            raise HsmFault(f"nodes {first} and {other} hold different keys")
    return held[first]


def agrees(held: Members, cluster: Cluster) -> bool:
    """Whether an answer to ``examine`` shows the cluster's keys."""
    public = cast("dict[str, str]", held["public_keys"])
    return held["check_values"] == dict(cluster.check_values) and {
        label: unb64(key, label) for label, key in public.items()
    } == dict(cluster.public_keys)


def attest_with(node: NodeProcess) -> Callable[[bytes, bytes], bytes]:
    """``Node.attest`` in the node's process."""

    def attest(domain: bytes, data: bytes) -> bytes:
        answer = node.call("attest", domain=domain.decode("ascii"), data=b64(data))
        return unb64(answer["signature"], "signature")

    return attest


def discard_strangers(
    config: NodeConfig, lock_folder: Path, cluster_id: str | None, *, destroy: bool
) -> dict[str, int]:
    """Clusters other than ``cluster_id`` that have objects in a node → how many were destroyed."""
    with NodeProcess(config, lock_folder.resolve()) as node:
        node.open()
        held = cast("list[str]", node.call("clusters")["clusters"])
        strangers = [each for each in held if each != cluster_id]
        return {
            each: cast("int", node.call("discard", cluster_id=each)["destroyed"]) if destroy else 0
            for each in strangers
        }


def discard(node: NodeProcess, cluster_id: str) -> None:
    """Destroy this cluster's objects, in a new process when the old one has ended."""
    try:
        node.call("discard", cluster_id=cluster_id)
    except HsmFault:
        with NodeProcess(node.config, node.lock_folder) as fresh:
            fresh.open()
            fresh.call("discard", cluster_id=cluster_id)
