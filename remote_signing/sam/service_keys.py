"""The keys of OCSP and time stamps: under the KEK, with their certificates, in one attested file.

Each is a key pair of its own that only the verbs for it can use: ``sign`` opens sealed credentials,
and no credential can be made of what is in this file. The file is public to who may read the
cluster's; ``rs-attest`` signed it at a key ceremony (:mod:`.ceremony.services`), which also
replaces it. Every node that holds the KEK can use it.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from cryptography import x509

from remote_signing.algorithms import Algorithm, algorithm_named
from remote_signing.errors import ServicesUncertified
from remote_signing.sam.cluster import open_attested
from remote_signing.sap import unb64

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.sam.cluster import Cluster, Members
    from remote_signing.sam.hsm import Node
    from remote_signing.sam.hsm.signing import ActiveKey

DOMAIN = b"service-keys"
Purpose = Literal["responder", "timestamps"]
PURPOSES: tuple[Purpose, ...] = ("responder", "timestamps")


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A key that is in the token while this process has it, and the certificate (also DER)."""

    algorithm: Algorithm
    key: ActiveKey
    certificate: x509.Certificate
    der: bytes


class ServiceKeys:
    """What the file holds, opened in one worker's session; read again whenever it has changed."""

    def __init__(self, path: Path, cluster: Cluster, node: Node) -> None:
        self._path = path
        self._cluster = cluster
        self._node = node
        self._seen: tuple[int, int, int] | None = None
        self._opened = ExitStack()
        self._keys: dict[str, ServiceKey] = {}
        self._root_crl = b""

    def key(self, purpose: Purpose, now_ms: int) -> ServiceKey:
        """The key for ``purpose``; ``ServicesUncertified`` without one, or when it has ended."""
        self._refresh()
        found = self._keys[purpose]
        end = found.certificate.not_valid_after_utc.timestamp() * 1000
        if now_ms >= end:
            raise ServicesUncertified(f"the certificate for {purpose} has ended: hsm services")
        return found

    def certificates(self) -> dict[Purpose, bytes]:
        """Purpose → certificate (DER)."""
        self._refresh()
        return {purpose: self._keys[purpose].der for purpose in PURPOSES}

    def root_crl(self) -> bytes:
        """The root's CRL (DER), as the last ceremony made it."""
        self._refresh()
        return self._root_crl

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            document = self._path.read_bytes()
        except OSError as error:
            raise ServicesUncertified(f"{error}: hsm services") from error
        content = open_attested(DOMAIN, document, self._cluster.attest_public_key)
        self._opened.close()
        members = cast("dict[str, Members]", content["keys"])
        self._keys = {purpose: self._open(members[purpose]) for purpose in PURPOSES}
        self._root_crl = unb64(content["root_crl"], "root_crl")
        self._seen = seen

    def _open(self, members: Members) -> ServiceKey:
        algorithm = algorithm_named(cast("str", members["algorithm"]))
        wrapped = unb64(members["wrapped"], "wrapped")
        public_key = unb64(members["public_key"], "public_key")
        der = unb64(members["certificate"], "certificate")
        # In the token for as long as this process has it: unwrapping costs ten times a signature.
        active = self._node.activate(wrapped, algorithm, public_key)
        key = self._opened.enter_context(active)
        return ServiceKey(algorithm, key, x509.load_der_x509_certificate(der), der)
