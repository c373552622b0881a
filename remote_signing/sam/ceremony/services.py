"""``hsm services``: keys of OCSP and time stamps, their certificates, and the root's CRL.

Part of founding a cluster, and later the way to give an older cluster these keys or to replace
them (before the responder's certificate or the root's CRL ends, each lives 13 months). One node is
enough: the keys are made there, wrapped under the KEK that every node holds, and written to one
attested file. Nothing is shared out and no custodian is needed; a lost file is made anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from remote_signing.errors import HsmFault
from remote_signing.sam.ceremony.child import NodeProcess
from remote_signing.sam.ceremony.founding import Outcome
from remote_signing.sam.ceremony.nodes import agrees, attest_with
from remote_signing.sam.ceremony.package import write_new
from remote_signing.sam.ceremony.refusal import CeremonyRefused
from remote_signing.sam.ceremony.transcript import Transcript
from remote_signing.sam.cluster import attested_document, load_cluster
from remote_signing.sam.durable import replace_file
from remote_signing.sam.hsm.check_values import short
from remote_signing.sam.service_keys import DOMAIN, PURPOSES
from remote_signing.sap import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from remote_signing.clock import Clock
    from remote_signing.sam.ceremony.transcript import Progress
    from remote_signing.sam.cluster import Cluster, Members
    from remote_signing.sam.config import AuthorityConfig, NodeConfig


@dataclass(frozen=True, slots=True)
class Services:
    """What is asked of ``hsm services``. An existing ``services_file`` is replaced at the end."""

    node: NodeConfig
    lock_folder: Path
    cluster_file: Path
    services_file: Path
    authority: AuthorityConfig
    transcript_file: Path
    operators: Sequence[str]
    witnesses: Sequence[str] = ()
    algorithm: str = "p256"

    def check(self) -> None:
        """``CeremonyRefused`` when it cannot be done, whatever the node says."""
        if not self.operators:
            raise CeremonyRefused("the transcript must name an operator")
        if self.transcript_file.exists():
            raise CeremonyRefused(f"{self.transcript_file} is there already")


def certify_services(
    plan: Services, clock: Clock, progress: Progress = lambda _line: None
) -> Outcome:
    """Make keys and certificates as ``plan`` says, and put them where the SAM reads them.

    Raises ``CeremonyRefused``, ``SealBroken`` (the cluster file is none) or ``HsmFault``; the old
    file stays then.
    """
    plan.check()
    cluster = load_cluster(plan.cluster_file)
    people = {"operators": plan.operators, "witnesses": plan.witnesses}
    transcript = Transcript("hsm services", people, clock, progress)
    with NodeProcess(plan.node, plan.lock_folder.resolve()) as node:
        opened = node.open()
        description = cast("Members", opened["description"])
        transcript.step("looked at the node", node.name, **description)
        if not agrees(node.call("examine"), cluster):
            raise HsmFault(f"node {node.name} disagrees with the cluster about its keys")
        document = _made(node, plan, cluster, transcript, clock)
        signed = transcript.signed(cluster.cluster_id, attest_with(node))
    write_new(plan.transcript_file, signed)
    replace_file(plan.services_file, document, 0o644)
    files = {"service-keys.json": plan.services_file, "transcript.json": plan.transcript_file}
    return Outcome(transcript.lines(), cluster, files)


def _made(
    node: NodeProcess, plan: Services, cluster: Cluster, transcript: Transcript, clock: Clock
) -> bytes:
    issuing, root = cluster.chain
    now_ms = clock.now_ms()
    made = node.call(
        "certify_services",
        authority=plan.authority.model_dump(mode="json"),
        algorithm=plan.algorithm,
        issuing=b64(issuing),
        root=b64(root),
        now_ms=now_ms,
    )
    keys = cast("dict[str, Members]", made["keys"])
    for purpose in PURPOSES:
        der = unb64(keys[purpose]["certificate"], "certificate")
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(cluster.issuing_certificate)
        transcript.step(
            f"certified a key for {purpose}",
            node.name,
            subject=certificate.subject.rfc4514_string(),
            check=short(certificate.public_bytes(Encoding.DER)),
            until=certificate.not_valid_after_utc.isoformat(),
        )
    crl = x509.load_der_x509_crl(unb64(made["root_crl"], "root_crl"))
    transcript.step("made the root's CRL", node.name, until=str(crl.next_update_utc))
    content: Members = {"v": 1, "cluster_id": cluster.cluster_id, "made_at_ms": now_ms, **made}
    document = attested_document(DOMAIN, content, attest_with(node))
    fingerprint = hashlib.sha256(document).hexdigest()
    transcript.step(f"wrote {plan.services_file.name}", sha256=fingerprint)
    return document
