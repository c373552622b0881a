"""The child's end: the steps of ceremonies in the one process that has a session on the node.

``python -m remote_signing.sam.ceremony.steps DESCRIPTOR``: JSON lines over that socket, each
``{"step": …, "arguments": {…}}``, answered by ``{"ok": {…}}`` or ``{"error": name, "cause": …}``.
Secrets are read from files and written to files here; none goes over the socket in clear.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from remote_signing import heap, strict_json
from remote_signing.algorithms import algorithm_named
from remote_signing.errors import HsmFault, RemoteSigningError
from remote_signing.sam.ceremony.certificates import (
    AuthorityNames,
    issuing_certificate,
    root_certificate,
)
from remote_signing.sam.ceremony.package import (
    Custodian,
    quorums,
    read_shares,
    share_file_name,
    write_share,
)
from remote_signing.sam.ceremony.refusal import CeremonyRefused
from remote_signing.sam.ceremony.service_certificates import root_crl, service_certificate
from remote_signing.sam.config import AuthorityConfig, NodeConfig
from remote_signing.sam.hsm import Node
from remote_signing.sam.hsm.bench import measure
from remote_signing.sam.hsm.custody import Custody, WrappedKey
from remote_signing.sam.hsm.recovery import Shares, new_share, share_check
from remote_signing.sam.hsm.session import TokenSession
from remote_signing.sam.hsm.templates import MAC
from remote_signing.sam.service_keys import PURPOSES
from remote_signing.sap import MAX_LINE, b64, encode_line, unb64

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.sam.cluster import Members

Answer = dict[str, object]


class Steps:
    """One node's part of a ceremony. Every public method is a step; its arguments are JSON."""

    def __init__(self) -> None:
        self._opened: TokenSession | None = None
        self._custody_made: Custody | None = None
        self._node_made: Node | None = None

    def run(self, line: bytes) -> Answer:
        """The answer to one request line."""
        try:
            request = strict_json.loads_object(line)
            step = cast("Callable[..., Answer]", getattr(self, str(request["step"])))
            return {"ok": step(**cast("Members", request["arguments"]))}
        except RemoteSigningError as error:
            return {"error": type(error).__name__, "cause": error.cause}
        except OSError as error:
            return {"error": CeremonyRefused.__name__, "cause": str(error)}

    # Any ceremony

    def open(self, config: Members, lock_folder: str) -> Answer:
        """Log in and say what is there."""
        node = NodeConfig.model_validate(config)
        self._opened = TokenSession.open(node, Path(lock_folder))
        return {
            "description": self._opened.description(),
            "mechanisms": sorted(self._opened.mechanisms()),
            "held": self._custody.held(),
        }

    def make_transport_key(self, cluster_id: str) -> Answer:
        """The node's own RSA key pair."""
        return {"public_key": b64(self._custody.make_transport_key(cluster_id))}

    def import_keys(self, cluster_id: str, keys: list[Members]) -> Answer:
        """Token objects of all cluster keys; what they are called and worth."""
        self._custody.import_keys(cluster_id, [_wrapped(each) for each in keys])
        return self.examine()

    def examine(self) -> Answer:
        """Check values and public keys of the keys in the token, each of them tried."""
        public = {label: b64(key) for label, key in self._node.public_keys().items()}
        return {"check_values": self._node.key_check_values(), "public_keys": public}

    def canary(self) -> Answer:
        """A canary signature, verified; how long it took."""
        start = time.perf_counter()
        self._node.canary()
        return {"microseconds": int((time.perf_counter() - start) * 1e6)}

    def attest(self, domain: str, data: str) -> Answer:
        """A signature by ``rs-attest``."""
        signature = self._node.attest(domain.encode("ascii"), unb64(data, "data"))
        return {"signature": b64(signature)}

    def forget_recovery_key(self) -> Answer:
        """The session's recovery key is destroyed, and the key that it travelled under."""
        self._custody.forget_recovery_key()
        return {}

    def clusters(self) -> Answer:
        """Ids of the clusters that objects in the token belong to."""
        return {"clusters": sorted(self._custody.clusters())}

    def discard(self, cluster_id: str) -> Answer:
        """Undo: destroy every token object of this cluster."""
        return {"destroyed": self._custody.discard(cluster_id)}

    # Founding

    def create(self) -> Answer:
        """The recovery key, kept in the session, and every cluster key wrapped under it."""
        keys = [
            {
                "label": key.label,
                "wrapped": b64(key.wrapped),
                "public_key": b64(key.public_key) if key.public_key else None,
            }
            for key in self._custody.create()
        ]
        return {"keys": keys}

    def send_recovery_key(self, transport_key: str) -> Answer:
        """The recovery key for another node."""
        key = unb64(transport_key, "transport_key")
        return {"wrapped": b64(self._custody.send_recovery_key(key))}

    def receive_recovery_key(self, wrapped: str) -> Answer:
        """The recovery key from the founding node."""
        self._custody.receive_recovery_key(unb64(wrapped, "wrapped"))
        return {}

    def share(
        self, cluster_id: str, threshold: int, names: list[str], folder: str, keys: list[Members]
    ) -> Answer:
        """Write a share file for each custodian; every chain is opened again before it counts."""
        custodians, shares = [], {}
        for index, name in enumerate(names, 1):
            share = new_share(self._session)
            custodian = Custodian(index, name, share_check(cluster_id, index, share))
            path = Path(folder) / share_file_name(index, len(names))
            write_share(path, cluster_id, custodian, share)
            custodians.append({"index": index, "name": name, "check": custodian.check})
            shares[index] = share
        holders = Shares(self._session, self._custody, cluster_id, shares)
        chains = []
        tested = next(_wrapped(each) for each in keys if each["label"] == MAC)
        expected = self._node.key_check_values()[MAC]
        for quorum in quorums(len(names), threshold):
            chain = holders.lock(quorum)
            opened = holders.open(quorum, chain)
            if self._custody.try_recovery_key(opened, tested) != expected:
                raise HsmFault(f"the chain of custodians {quorum} opens another key")
            chains.append({"custodians": list(quorum), "chain": b64(chain)})
        return {"custodians": custodians, "chains": chains}

    def certify(self, names: Members, now_ms: int) -> Answer:
        """The CA's certificates."""
        authority = AuthorityNames(**names)  # type: ignore[arg-type]  # as the parent wrote them
        root_key = self._node.authority_key("rs-ca-root")
        root = root_certificate(authority, root_key, now_ms)
        public_key = self._node.authority_key("rs-ca-issuing").public_key()
        issuing = issuing_certificate(authority, root, root_key, public_key, now_ms)
        return {
            "root": b64(root.public_bytes(Encoding.DER)),
            "issuing": b64(issuing.public_bytes(Encoding.DER)),
        }

    # Services

    def certify_services(
        self, authority: Members, algorithm: str, issuing: str, root: str, now_ms: int
    ) -> Answer:
        """New keys under the KEK for OCSP and time stamps, their certificates, the root's CRL."""
        config = AuthorityConfig.model_validate(authority)
        issuer = load_der_x509_certificate(unb64(issuing, "issuing"))
        issuing_key = self._node.authority_key("rs-ca-issuing")
        keys = {}
        for purpose in PURPOSES:
            key = self._node.generate(algorithm_named(algorithm))
            certificate = service_certificate(
                purpose, config, issuer, issuing_key, key.public_key, now_ms
            )
            keys[purpose] = {
                "algorithm": algorithm,
                "wrapped": b64(key.wrapped),
                "public_key": b64(key.public_key),
                "certificate": b64(certificate.public_bytes(Encoding.DER)),
            }
        crl = root_crl(
            load_der_x509_certificate(unb64(root, "root")),
            self._node.authority_key("rs-ca-root"),
            now_ms,
        )
        return {"keys": keys, "root_crl": b64(crl.public_bytes(Encoding.DER))}

    # Joining

    def open_recovery_key(self, cluster_id: str, package: Members, shares: list[str]) -> Answer:
        """Open the recovery key with custodians' shares, read from their files."""
        paths = [Path(share) for share in shares]
        held = read_shares(paths, cluster_id, package, share_check)
        quorum = tuple(held)
        for each in cast("list[Members]", package["chains"]):
            if each["custodians"] == list(quorum):
                holders = Shares(self._session, self._custody, cluster_id, held)
                self._custody.adopt(holders.open(quorum, unb64(each["chain"], "chain")))
                return {"custodians": list(quorum)}
        raise CeremonyRefused(f"the package has no chain for custodians {quorum}")

    # Measuring

    def bench(self, operation: str, algorithm: str | None, duration: float) -> Answer:
        """How often the node does something in a second."""
        named = algorithm_named(algorithm) if algorithm else None
        count, per_second = measure(self._node, operation, named, duration)
        return {"count": count, "per_second": per_second}

    @property
    def _session(self) -> TokenSession:
        if self._opened is None:
            raise HsmFault("the node is not open")
        return self._opened

    @property
    def _custody(self) -> Custody:
        if self._custody_made is None:
            self._custody_made = Custody(self._session)
        return self._custody_made

    @property
    def _node(self) -> Node:
        if self._node_made is None:
            self._node_made = Node(self._session)
        return self._node_made


def _wrapped(each: Members) -> WrappedKey:
    public = each["public_key"]
    return WrappedKey(
        cast("str", each["label"]),
        unb64(each["wrapped"], "wrapped"),
        None if public is None else unb64(public, "public_key"),
    )


def main(descriptor: int) -> None:
    """Answer requests until the parent closes the socket."""
    heap.keep_private()
    # The parent decides what is undone when; a terminal's Ctrl-C reaches both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    steps = Steps()
    with socket.socket(fileno=descriptor) as link, link.makefile("rb") as lines:
        while line := lines.readline(MAX_LINE + 1):
            link.sendall(encode_line(steps.run(line)))


if __name__ == "__main__":
    # No clean-up of the module: a hung or broken one must not keep the process alive.
    main(int(sys.argv[1]))
    os._exit(0)
