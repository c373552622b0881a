from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from remote_signing.errors import HsmFault, InvalidInput, SealBroken
from remote_signing.sam.ceremony.certificates import (
    AuthorityNames,
    issuing_certificate,
    root_certificate,
)
from remote_signing.sam.cluster import (
    DOMAIN,
    Cluster,
    attested,
    attested_document,
    load_cluster,
    read_cluster,
)

if TYPE_CHECKING:
    from pathlib import Path

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)
VALUES = {"rs-kek": "00" * 8, "rs-attest": "11" * 8}


def attest(domain: bytes, data: bytes) -> bytes:
    return KEY.sign(attested(domain, data), ec.ECDSA(hashes.SHA256()))


@dataclass
class HeldNode:
    name: str = "node-1"
    values: dict[str, str] = field(default_factory=lambda: dict(VALUES))
    public: dict[str, bytes] = field(default_factory=lambda: {"rs-attest": PUBLIC})

    def key_check_values(self) -> dict[str, str]:
        return self.values

    def public_keys(self) -> dict[str, bytes]:
        return self.public


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    names = AuthorityNames("Tổ chức", "Gốc", "Cấp phát")
    root_key = ec.generate_private_key(ec.SECP384R1())
    root = root_certificate(names, root_key, 0)
    issuing = issuing_certificate(names, root, root_key, root_key.public_key(), 0)
    return Cluster("0" * 26, 5, {"rs-attest": PUBLIC}, VALUES, root, issuing)


def test_a_cluster_file_says_what_was_written(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    path.write_bytes(attested_document(DOMAIN, cluster.content(), attest))
    assert load_cluster(path) == cluster
    assert len(load_cluster(path).chain) == 2


def test_a_missing_cluster_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cluster file"):
        load_cluster(tmp_path / "cluster.json")


def test_a_changed_cluster_file_is_refused(cluster: Cluster) -> None:
    document = attested_document(DOMAIN, cluster.content(), attest)
    with pytest.raises(SealBroken):
        read_cluster(document.replace(b'"created_at_ms": 5', b'"created_at_ms": 6'))


def test_a_document_for_another_use_is_no_cluster_file(cluster: Cluster) -> None:
    with pytest.raises(SealBroken):
        read_cluster(attested_document(b"recovery-package", cluster.content(), attest))


@pytest.mark.parametrize("missing", ["cluster_id", "public_keys", "certificates", "check_values"])
def test_a_cluster_file_with_a_member_missing_is_refused(cluster: Cluster, missing: str) -> None:
    content = cluster.content()
    del content[missing]
    with pytest.raises(InvalidInput):
        read_cluster(attested_document(DOMAIN, content, attest))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"content": 5}',
        '{"content": []}',
        '{"content": {"public_keys": 5, "certificates": 5}}',
    ],
)
def test_something_else_is_no_cluster_file(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_cluster(text.encode())


def test_a_certificate_that_is_none_is_refused(cluster: Cluster) -> None:
    content = cluster.content()
    content["certificates"] = {"root": "AAAA", "issuing": "AAAA"}
    with pytest.raises(InvalidInput):
        read_cluster(attested_document(DOMAIN, content, attest))


def test_a_cluster_file_without_the_attesting_key_is_refused(cluster: Cluster) -> None:
    content = replace(cluster, public_keys={}).content()
    with pytest.raises(InvalidInput):
        read_cluster(attested_document(DOMAIN, content, attest))


def test_a_node_with_the_clusters_keys_is_accepted(cluster: Cluster) -> None:
    cluster.check_node(HeldNode())


@pytest.mark.parametrize(
    ("node", "label"),
    [
        (HeldNode(values={**VALUES, "rs-kek": "ff" * 8}), "rs-kek"),
        (HeldNode(values={"rs-attest": VALUES["rs-attest"]}), "rs-kek"),
        (HeldNode(public={"rs-attest": PUBLIC[:-1] + b"\0"}), "rs-attest"),
        (HeldNode(public={}), "rs-attest"),
    ],
)
def test_a_node_with_another_key_is_refused_by_name(
    cluster: Cluster, node: HeldNode, label: str
) -> None:
    with pytest.raises(HsmFault, match=f"node-1 disagrees with the cluster about {label}$"):
        cluster.check_node(node)
