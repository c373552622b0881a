"""``hsm join`` on real tokens: M shares bring a node in, anything less or else does not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remote_signing.algorithms import ALGORITHMS, DIGESTS, SignatureScheme
from remote_signing.clock import SystemClock
from remote_signing.errors import HsmFault, InvalidInput, SealBroken
from remote_signing.sam.ceremony import (
    CeremonyRefused,
    bench,
    join,
    joining,
    status,
    verify_transcript,
)
from remote_signing.sam.ceremony.child import NodeProcess
from remote_signing.sam.cluster import Cluster
from remote_signing.sam.hsm.custody import Custody
from remote_signing.sam.hsm.session import TokenSession
from tests.support.cluster import Founded, environment_kept, found, node_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remote_signing.sam.ceremony import Accession
    from remote_signing.sam.config import NodeConfig
    from remote_signing.sam.softhsm import DevelopmentToken

    MakeTokens = Callable[[int], list[DevelopmentToken]]

P256 = ALGORITHMS["p256"]
PATIENCE = 60.0  # seconds; the machine may be busy with other tests
ECDSA = SignatureScheme("ecdsa", DIGESTS["sha256"])


@pytest.fixture(scope="module")
def founded(make_tokens: MakeTokens, tmp_path_factory: pytest.TempPathFactory) -> Founded:
    return found(make_tokens(1), tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def stranger(make_tokens: MakeTokens, tmp_path_factory: pytest.TempPathFactory) -> Founded:
    """Another cluster with custodians of the same names."""
    return found(make_tokens(1), tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def empty_node(make_tokens: MakeTokens) -> NodeConfig:
    """A token that every test must leave empty."""
    return node_config(make_tokens(1)[0]).model_copy(update={"name": "node-3"})


@pytest.fixture
def plan(founded: Founded, empty_node: NodeConfig, tmp_path: Path) -> Accession:
    return founded.accession(empty_node, tmp_path)


def held(plan: Accession) -> list[str]:
    with environment_kept(), TokenSession.open(plan.node, plan.lock_folder) as session:
        return Custody(session).held()


def refused(plan: Accession, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        join(plan, SystemClock())
    assert held(plan) == []
    assert not plan.transcript_file.exists()


def test_a_third_node_joins_with_enough_shares(
    founded: Founded, make_tokens: MakeTokens, tmp_path: Path
) -> None:
    third = node_config(make_tokens(1)[0]).model_copy(update={"name": "node-3"})
    outcome = join(founded.accession(third, tmp_path, shares=(2, 3)), SystemClock())
    assert outcome.cluster == founded.cluster
    transcript = outcome.files["transcript.json"].read_bytes()
    content = verify_transcript(transcript, founded.cluster.attest_public_key)
    assert content["ceremony"] == "hsm join"
    assert "Trần Thị Bình" in transcript.decode()
    with founded.opened() as first:
        key, sealed = first.generate(P256), first.seal(b"sad", b"consent", b"")
    with replace(founded, nodes=[third]).opened() as joined:
        founded.cluster.check_node(joined)
        assert joined.unseal(b"sad", sealed, b"") == b"consent"
        assert joined.counter() == 0
        with joined.activate(key.wrapped, P256, key.public_key) as active:
            active.sign(ECDSA, bytes(32))
    found_now = status([*founded.nodes, third], founded.state, founded.cluster, PATIENCE)
    assert [node.healthy for node in found_now] == [True, True]
    with pytest.raises(CeremonyRefused, match="already holds"):
        join(founded.accession(third, tmp_path / "again"), SystemClock())


def test_a_dry_run_opens_the_recovery_key_and_keeps_nothing(plan: Accession) -> None:
    outcome = join(plan, SystemClock(), dry_run=True)
    assert outcome.steps == ("looked at the node", "opened the recovery key")
    assert held(plan) == []
    assert not plan.transcript_file.exists()


def test_one_share_too_few_is_refused(plan: Accession) -> None:
    refused(replace(plan, shares=plan.shares[:1]), CeremonyRefused, "1 of 2 shares")


def test_another_clusters_share_is_refused(plan: Accession, stranger: Founded) -> None:
    shares = [plan.shares[0], stranger.share(3)]
    refused(replace(plan, shares=shares), CeremonyRefused, "no share of this package")


def test_a_package_changed_anywhere_is_refused(plan: Accession, tmp_path: Path) -> None:
    original = json.loads(plan.package_file.read_text())
    package = tmp_path / "package.json"
    keys, chains = original["content"]["keys"], original["content"]["chains"]
    for content in (
        {"threshold": 1},
        {"keys": [keys[1], keys[0], *keys[2:]]},
        {"keys": [{**keys[0], "wrapped": keys[1]["wrapped"]}, *keys[1:]]},
        {"chains": chains[1:]},
    ):
        changed = {**original, "content": {**original["content"], **content}}
        package.write_text(json.dumps(changed))
        with pytest.raises(SealBroken):
            join(replace(plan, package_file=package), SystemClock())
    assert held(plan) == []


def test_another_clusters_package_is_refused(plan: Accession, stranger: Founded) -> None:
    other = stranger.out / "recovery-package.json"
    refused(replace(plan, package_file=other), SealBroken, "recovery-package")
    refused(
        replace(plan, cluster_file=stranger.out / "cluster.json"), SealBroken, "recovery-package"
    )


def test_missing_files_are_refused(plan: Accession, tmp_path: Path) -> None:
    refused(replace(plan, package_file=tmp_path / "none"), CeremonyRefused, "recovery package")
    refused(replace(plan, cluster_file=tmp_path / "none"), InvalidInput, "cluster file")
    refused(replace(plan, operators=()), CeremonyRefused, "operator")


def test_a_transcript_is_not_written_over(plan: Accession) -> None:
    plan.transcript_file.write_text("of another ceremony")
    with pytest.raises(CeremonyRefused, match="there already"):
        join(plan, SystemClock())


def test_a_package_without_the_custodians_chain_is_refused(
    plan: Accession, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = NodeProcess.call

    def call(self: NodeProcess, step: str, seconds: float = 60.0, **arguments: object) -> object:
        if step == "open_recovery_key":
            arguments["package"] = {**arguments["package"], "chains": []}  # type: ignore[dict-item]  # a mapping
        return original(self, step, seconds, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(NodeProcess, "call", call)
        with pytest.raises(CeremonyRefused, match="no chain for custodians"):
            join(plan, SystemClock())
    assert held(plan) == []


def test_a_node_that_came_to_hold_other_keys_is_emptied_again(
    plan: Accession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(joining, "agrees", lambda _held, _cluster: False)
        with pytest.raises(HsmFault, match="disagrees with the cluster"):
            join(plan, SystemClock())
    assert held(plan) == []


def test_what_could_not_be_undone_is_said(
    founded: Founded, make_tokens: MakeTokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_node: NodeProcess, _cluster_id: str) -> None:
        raise HsmFault("cut off")

    monkeypatch.setattr(joining, "discard", refuse)
    monkeypatch.setattr(joining, "agrees", lambda _held, _cluster: False)
    third = node_config(make_tokens(1)[0])
    with pytest.raises(HsmFault) as raised:
        join(founded.accession(third, tmp_path), SystemClock())
    assert raised.value.__notes__ == ["node node-1 still holds keys of this ceremony: cut off"]


def test_status_says_what_is_wrong_with_each_node(
    founded: Founded, stranger: Founded, empty_node: NodeConfig, tmp_path: Path
) -> None:
    lost = founded.nodes[0].model_copy(update={"name": "lost", "module": tmp_path / "none.so"})
    other = stranger.nodes[0].model_copy(update={"name": "other"})
    nodes = [founded.nodes[0], other, empty_node, lost]
    good, foreign, empty, gone = status(nodes, founded.state, founded.cluster, PATIENCE)
    assert good.healthy
    assert good.latency_ms is not None
    assert foreign.canary
    assert not foreign.agrees
    assert not foreign.healthy
    assert empty.reachable
    assert "rs-kek" in (empty.fault or "")
    assert not gone.reachable
    assert "none.so" in (gone.fault or "")


def test_a_node_whose_files_vanish_fails_its_canary(
    founded: Founded, make_tokens: MakeTokens, tmp_path: Path
) -> None:
    token = make_tokens(1)[0]
    lonely = found([token], tmp_path)
    store = token.pin_file.parent / "tokens"
    with lonely.opened() as node:
        store.rename(store.with_name("gone"))
        for asked in (node.canary, node.key_check_values, node.counter):
            with pytest.raises(HsmFault):
                asked()
        with pytest.raises(HsmFault):
            node.seal(b"sad", b"", b"")
    (found_now,) = status(lonely.nodes, lonely.state, founded.cluster, PATIENCE)
    assert not found_now.reachable
    shutil.rmtree(store.with_name("gone"))


def test_bench_measures_each_algorithm_that_it_is_asked_for(founded: Founded) -> None:
    rates = list(bench(founded.nodes[0], founded.state, 0.05, ["p256"]))
    assert {(rate.operation, rate.algorithm) for rate in rates} == {
        ("C_Sign", "p256"),
        ("sign and verify, 100 at a time", "p256"),
        ("unwrap, sign, verify, destroy", "p256"),
        ("unseal 600 bytes", None),
        ("HMAC of 300 bytes", None),
    }
    assert all(rate.per_second > 0 and rate.count > 0 for rate in rates)


def test_a_cluster_of_other_values_is_not_agreed_with(founded: Founded) -> None:
    cluster = founded.cluster
    changed = Cluster(
        cluster.cluster_id,
        cluster.created_at_ms,
        cluster.public_keys,
        {**cluster.check_values, "rs-sad": "00" * 8},
        cluster.root_certificate,
        cluster.issuing_certificate,
    )
    with founded.opened() as node, pytest.raises(HsmFault, match="about rs-sad"):
        changed.check_node(node)
