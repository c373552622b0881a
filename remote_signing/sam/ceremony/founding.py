"""``hsm init``: a cluster's keys into every listed node, its CA, its recovery package.

Nothing is made before every node has been looked at. What was made is destroyed when a later step
fails: tokens hold a whole cluster or nothing of it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, cast

from cryptography import x509

from remote_signing.errors import RemoteSigningError
from remote_signing.identifiers import new_id
from remote_signing.sam.ceremony.child import NodeProcess
from remote_signing.sam.ceremony.nodes import attest_with, check_new_node, check_same_keys, discard
from remote_signing.sam.ceremony.package import (
    Custodian,
    Package,
    check_quorum,
    share_file_name,
    write_new,
)
from remote_signing.sam.ceremony.refusal import CeremonyRefused
from remote_signing.sam.ceremony.transcript import Transcript
from remote_signing.sam.cluster import DOMAIN, Cluster, attested_document
from remote_signing.sam.hsm.check_values import short
from remote_signing.sap import unb64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from remote_signing.clock import Clock
    from remote_signing.sam.ceremony.certificates import AuthorityNames
    from remote_signing.sam.ceremony.transcript import Progress
    from remote_signing.sam.cluster import Members
    from remote_signing.sam.config import NodeConfig

CLUSTER_FILE = "cluster.json"
PACKAGE_FILE = "recovery-package.json"
TRANSCRIPT_FILE = "transcript.json"


@dataclass(frozen=True, slots=True)
class Foundation:
    """What is asked of ``hsm init``. ``custodians`` are names, one share each.

    ``out_folder`` must not exist yet, or be empty; ``lock_folder`` is the SAM's state folder.
    """

    nodes: Sequence[NodeConfig]
    lock_folder: Path
    out_folder: Path
    custodians: Sequence[str]
    threshold: int
    authority: AuthorityNames
    operators: Sequence[str]
    witnesses: Sequence[str] = ()

    def check(self) -> None:
        """``CeremonyRefused`` when it cannot be done, whatever the nodes say."""
        names = [node.name for node in self.nodes]
        if not names or len(set(names)) != len(names):
            raise CeremonyRefused("nodes must be named, each once")
        if len(set(self.custodians)) != len(self.custodians) or "" in self.custodians:
            raise CeremonyRefused("custodians must be named, each once")
        if not self.operators:
            raise CeremonyRefused("the transcript must name an operator")
        check_quorum(len(self.custodians), self.threshold)
        self.authority.check()
        _check_empty(self.out_folder.resolve())
        if not self.lock_folder.is_dir():
            raise CeremonyRefused(f"{self.lock_folder} is not a folder")


def _check_empty(folder: Path) -> None:
    """Whether ``folder`` is an empty folder, or can be made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise CeremonyRefused(f"cannot write to {there}")
    if there == folder and any(folder.iterdir()):
        raise CeremonyRefused(f"{folder} is not empty")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a ceremony did: its steps, in words, and the files it wrote, by name."""

    steps: tuple[str, ...]
    cluster: Cluster | None = None
    files: Mapping[str, Path] = field(default_factory=dict)


def initialise(
    plan: Foundation,
    clock: Clock,
    progress: Progress = lambda _line: None,
    *,
    dry_run: bool = False,
) -> Outcome:
    """Found a cluster as ``plan`` says; with ``dry_run`` look at everything and make nothing.

    Raises ``CeremonyRefused`` (nothing was made) or ``HsmFault`` (what was made was destroyed; a
    note on the error says where that failed).
    """
    plan.check()
    people = {
        "operators": plan.operators,
        "witnesses": plan.witnesses,
        "custodians": plan.custodians,
    }
    transcript = Transcript("hsm init", people, clock, progress)
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(NodeProcess(node, plan.lock_folder.resolve()))
            for node in plan.nodes
        ]
        for node in nodes:
            transcript.step("looked at the node", node.name, **check_new_node(node))
        if dry_run:
            for line in _steps_to_come(plan):
                progress(line)
            return Outcome(transcript.lines())
        founding = _Founding(plan, nodes, transcript, clock)
        try:
            return founding.run()
        except BaseException as error:
            founding.undo(error)
            raise


def _steps_to_come(plan: Foundation) -> list[str]:
    first = plan.nodes[0].name
    others = ", ".join(node.name for node in plan.nodes[1:]) or "no other node"
    return [
        f"would make a transport key, for the time of the ceremony, in {others}",
        f"would make the cluster's keys in {first} and import them there and into {others}",
        "would compare the check values of all nodes",
        f"would write {len(plan.custodians)} shares, {plan.threshold} of which are needed",
        f"would certify {plan.authority.root_common_name} and {plan.authority.issuing_common_name}",
        f"would write {CLUSTER_FILE}, {PACKAGE_FILE} and {TRANSCRIPT_FILE} to {plan.out_folder}",
    ]


class _Founding:
    """The steps that make something, and their undoing."""

    def __init__(
        self,
        plan: Foundation,
        nodes: list[NodeProcess],
        transcript: Transcript,
        clock: Clock,
    ) -> None:
        self._plan = plan
        self._nodes = nodes
        self._first = nodes[0]
        self._transcript = transcript
        self._now_ms = clock.now_ms()
        self._cluster_id = new_id(self._now_ms)
        self._attest = attest_with(self._first)
        self._files: dict[str, Path] = {}

    def run(self) -> Outcome:
        self._plan.out_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = self._spread_keys()
        package = self._share(keys)
        self._first.call("forget_recovery_key")
        cluster = self._certify()
        self._write(CLUSTER_FILE, attested_document(DOMAIN, cluster.content(), self._attest))
        self._write(PACKAGE_FILE, package.signed(cluster, self._attest))
        for node in self._nodes:
            self._transcript.step("canary verified", node.name, **node.call("canary"))
        self._write(TRANSCRIPT_FILE, self._transcript.signed(self._cluster_id, self._attest))
        return Outcome(self._transcript.lines(), cluster, self._files)

    def _spread_keys(self) -> list[Members]:
        """The same keys in every node; as the package keeps them."""
        transport: dict[str, str] = {}
        for node in self._nodes[1:]:
            made = node.call("make_transport_key", cluster_id=self._cluster_id)
            transport[node.name] = cast("str", made["public_key"])
            fingerprint = short(unb64(made["public_key"], "public_key"))
            self._transcript.step("made a transport key", node.name, fingerprint=fingerprint)
        keys = cast("list[Members]", self._first.call("create")["keys"])
        wrapped = {str(key["label"]): short(unb64(key["wrapped"], "wrapped")) for key in keys}
        self._transcript.step("made the cluster's keys", self._first.name, wrapped=wrapped)
        for node in self._nodes[1:]:
            sent = self._first.call("send_recovery_key", transport_key=transport[node.name])
            node.call("receive_recovery_key", wrapped=sent["wrapped"])
            self._transcript.step("received the recovery key", node.name)
        held: dict[str, Members] = {}
        for node in self._nodes:
            held[node.name] = node.call("import_keys", cluster_id=self._cluster_id, keys=keys)
            values = held[node.name]["check_values"]
            self._transcript.step("imported the cluster's keys", node.name, check_values=values)
        for node in self._nodes[1:]:
            node.call("forget_recovery_key")
        self._held = check_same_keys(held)
        self._transcript.step("check values and public keys of all nodes agree")
        return keys

    def _share(self, keys: list[Members]) -> Package:
        """Shares into their files; the package."""
        names = list(self._plan.custodians)
        for index, name in enumerate(names, 1):
            file_name = share_file_name(index, len(names))
            self._files[f"share of {name}"] = self._plan.out_folder.resolve() / file_name
        answer = self._first.call(
            "share",
            cluster_id=self._cluster_id,
            threshold=self._plan.threshold,
            names=names,
            folder=str(self._plan.out_folder.resolve()),
            keys=keys,
        )
        custodians = tuple(
            Custodian(cast("int", each["index"]), str(each["name"]), str(each["check"]))
            for each in cast("list[Members]", answer["custodians"])
        )
        for each in custodians:
            self._transcript.step(f"wrote the share of {each.name}", check=each.check)
        chains = cast("list[Members]", answer["chains"])
        self._transcript.step(
            "opened the recovery key once with every quorum",
            self._first.name,
            threshold=self._plan.threshold,
            quorums=len(chains),
        )
        return Package(
            self._cluster_id, self._now_ms, self._plan.threshold, custodians, keys, chains
        )

    def _certify(self) -> Cluster:
        names = asdict(self._plan.authority)
        made = self._first.call("certify", names=names, now_ms=self._now_ms)
        root = x509.load_der_x509_certificate(unb64(made["root"], "root"))
        issuing = x509.load_der_x509_certificate(unb64(made["issuing"], "issuing"))
        issuing.verify_directly_issued_by(root)
        root.verify_directly_issued_by(root)
        self._transcript.step(
            "certified the authorities",
            self._first.name,
            root={
                "subject": root.subject.rfc4514_string(),
                "check": short(unb64(made["root"], "")),
            },
            issuing={
                "subject": issuing.subject.rfc4514_string(),
                "check": short(unb64(made["issuing"], "")),
            },
        )
        public = cast("dict[str, str]", self._held["public_keys"])
        return Cluster(
            cluster_id=self._cluster_id,
            created_at_ms=self._now_ms,
            public_keys={label: unb64(key, label) for label, key in public.items()},
            check_values=cast("dict[str, str]", self._held["check_values"]),
            root_certificate=root,
            issuing_certificate=issuing,
        )

    def _write(self, name: str, document: bytes) -> None:
        path = self._plan.out_folder.resolve() / name
        self._files[name] = path
        write_new(path, document)
        self._transcript.step(f"wrote {name}", sha256=hashlib.sha256(document).hexdigest())

    def undo(self, error: BaseException) -> None:
        """Destroy what was made; what could not be is noted on ``error``."""
        for path in self._files.values():
            path.unlink(missing_ok=True)
        for node in self._nodes:
            try:
                discard(node, self._cluster_id)
            except RemoteSigningError as failed:
                error.add_note(f"node {node.name} still holds keys of this ceremony: {failed}")
