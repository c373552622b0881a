"""Who the cluster is: its public keys, check values and CA certificates; what it attested.

``cluster.json`` is written once, at the key ceremony. It is public; a SAM host trusts the one that
its configuration names, and refuses a node that disagrees with it.

Attested documents (this one, the recovery package, ceremony transcripts) have the form

    {"domain": "…", "content": {…}, "signature": base64 of DER ECDSA}

where ``rs-attest`` signs the canonical JSON of the content for that domain (:func:`attested`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from remote_signing import strict_json
from remote_signing.errors import HsmFault, InvalidInput, SealBroken
from remote_signing.sap import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from remote_signing.strict_json import JsonValue

DOMAIN = b"cluster"
ATTEST_LABEL = "rs-attest"

Members = dict[str, "JsonValue"]


class CheckedNode(Protocol):
    """What :meth:`Cluster.check_node` asks of a node."""

    name: str

    def key_check_values(self) -> dict[str, str]:
        """Label → check value, for every key of the cluster."""
        ...

    def public_keys(self) -> dict[str, bytes]:
        """Label → SPKI DER, for every key pair of the cluster."""
        ...


@dataclass(frozen=True, slots=True)
class Cluster:
    """The content of ``cluster.json``; ``public_keys`` are SPKI DER, all maps are by key label."""

    cluster_id: str
    created_at_ms: int
    public_keys: Mapping[str, bytes]
    check_values: Mapping[str, str]
    root_certificate: x509.Certificate
    issuing_certificate: x509.Certificate

    @property
    def chain(self) -> tuple[bytes, bytes]:
        """The issuing and the root certificate, DER."""
        return (
            self.issuing_certificate.public_bytes(Encoding.DER),
            self.root_certificate.public_bytes(Encoding.DER),
        )

    @property
    def attest_public_key(self) -> bytes:
        """SPKI DER of the key that signs this file, revocation lists and transcripts."""
        return self.public_keys[ATTEST_LABEL]

    def content(self) -> Members:
        """What is signed and written."""
        issuing, root = self.chain
        return {
            "v": 1,
            "cluster_id": self.cluster_id,
            "created_at_ms": self.created_at_ms,
            "public_keys": {label: b64(key) for label, key in self.public_keys.items()},
            "check_values": dict(self.check_values),
            "certificates": {"root": b64(root), "issuing": b64(issuing)},
        }

    def check_node(self, node: CheckedNode) -> None:
        """Refuse a node that holds other keys (``HsmFault``): it must not serve this cluster."""
        held = node.key_check_values()
        wrong = [label for label, value in self.check_values.items() if held.get(label) != value]
        public = node.public_keys()
        wrong += [label for label, key in self.public_keys.items() if public.get(label) != key]
        if wrong:
            keys = ", ".join(sorted(set(wrong)))
            raise HsmFault(f"node {node.name} disagrees with the cluster about {keys}")


def load_cluster(path: Path) -> Cluster:
    """The cluster described at ``path``; ``InvalidInput`` when it is none, ``SealBroken``."""
    try:
        document = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cluster file: {error}") from error
    return read_cluster(document)


def read_cluster(document: bytes) -> Cluster:
    """Parse ``document`` and check that its own ``rs-attest`` signed it."""
    try:
        content = cast("Members", strict_json.loads_object(document)["content"])
        keys = cast("dict[str, JsonValue]", content["public_keys"])
        certificates = cast("dict[str, JsonValue]", content["certificates"])
        cluster = Cluster(
            cluster_id=cast("str", content["cluster_id"]),
            created_at_ms=cast("int", content["created_at_ms"]),
            public_keys={label: unb64(key, label) for label, key in keys.items()},
            check_values=cast("dict[str, str]", content["check_values"]),
            root_certificate=x509.load_der_x509_certificate(unb64(certificates["root"], "root")),
            issuing_certificate=x509.load_der_x509_certificate(
                unb64(certificates["issuing"], "issuing")
            ),
        )
        key = cluster.attest_public_key
    except (InvalidInput, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(f"not a cluster file: {error!r}") from error
    open_attested(DOMAIN, document, key)
    return cluster


def attested(domain: bytes, data: bytes) -> bytes:
    """The bytes that ``rs-attest`` signs: no two domains can give the same."""
    return len(domain).to_bytes(2) + domain + data


def verify_attestation(public_key: bytes, domain: bytes, data: bytes, signature: bytes) -> None:
    """Check an ``rs-attest`` signature (``Node.attest``); raises ``InvalidSignature``."""
    key = cast("ec.EllipticCurvePublicKey", load_der_public_key(public_key))
    key.verify(signature, attested(domain, data), ec.ECDSA(hashes.SHA256()))


def attested_document(
    domain: bytes, content: Members, attest: Callable[[bytes, bytes], bytes]
) -> bytes:
    """``content`` signed for ``domain``, as text that a person can read."""
    signature = attest(domain, strict_json.canonical(content))
    document = {"domain": domain.decode(), "content": content, "signature": b64(signature)}
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def open_attested(domain: bytes, document: bytes, public_key: bytes) -> Members:
    """The content of an attested document; ``SealBroken`` unless ``public_key`` signed it."""
    try:
        members = strict_json.loads_object(document)
        content = members["content"]
        signature = unb64(members["signature"], "signature")
        verify_attestation(public_key, domain, strict_json.canonical(content), signature)
    except (InvalidInput, KeyError, InvalidSignature, ValueError) as error:
        raise SealBroken(f"not a {domain.decode()} signed by this cluster") from error
    return cast("Members", content)
