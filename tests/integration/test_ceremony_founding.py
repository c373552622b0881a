"""``hsm init`` on real tokens: what it makes, what it refuses, what it leaves when it fails."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pkcs11 import Mechanism
from pkcs11.exceptions import KeyUnextractable

from remote_signing.algorithms import ALGORITHMS, DIGESTS, SignatureScheme
from remote_signing.clock import FixedClock, SystemClock
from remote_signing.errors import HsmFault, SealBroken
from remote_signing.sam.ceremony import CeremonyRefused, founding, initialise, verify_transcript
from remote_signing.sam.ceremony import nodes as ceremony_nodes
from remote_signing.sam.ceremony.child import NodeProcess
from remote_signing.sam.ceremony.steps import Steps
from remote_signing.sam.cluster import load_cluster
from remote_signing.sam.hsm.custody import Custody
from remote_signing.sam.hsm.session import TokenSession
from tests.support.cluster import (
    CUSTODIANS,
    Founded,
    environment_kept,
    found,
    foundation,
    node_config,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remote_signing.sam.ceremony import Foundation
    from remote_signing.sam.softhsm import DevelopmentToken

    MakeTokens = Callable[[int], list[DevelopmentToken]]

ECDSA = SignatureScheme("ecdsa", DIGESTS["sha256"])
P256 = ALGORITHMS["p256"]


@pytest.fixture(scope="module")
def founded(make_tokens: MakeTokens, tmp_path_factory: pytest.TempPathFactory) -> Founded:
    return found(make_tokens(2), tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def empty_tokens(make_tokens: MakeTokens) -> list[DevelopmentToken]:
    """Two tokens that every test must leave empty."""
    return make_tokens(2)


@pytest.fixture
def plan(empty_tokens: list[DevelopmentToken], tmp_path: Path) -> Foundation:
    return foundation([node_config(token) for token in empty_tokens], tmp_path)


def held(plan: Foundation) -> list[list[str]]:
    """What each token holds."""
    labels = []
    for config in plan.nodes:
        with environment_kept(), TokenSession.open(config, plan.lock_folder) as session:
            labels.append(Custody(session).held())
    return labels


def test_both_nodes_hold_the_clusters_keys(founded: Founded) -> None:
    values = []
    for index in (0, 1):
        with founded.opened(index) as node:
            founded.cluster.check_node(node)
            values.append(node.key_check_values())
    assert values[0] == values[1]
    assert len(set(values[0].values())) == len(values[0]) == 8


def test_what_one_node_made_the_other_uses(founded: Founded) -> None:
    with founded.opened(0) as first:
        key = first.generate(P256)
        sealed = first.seal(b"sad", b"consent", b"")
        mac = first.mac(b"pin", b"1234")
    with founded.opened(1) as second:
        with second.activate(key.wrapped, P256, key.public_key) as active:
            active.sign(ECDSA, bytes(32))
        assert second.unseal(b"sad", sealed, b"") == b"consent"
        assert second.mac(b"pin", b"1234") == mac


def test_no_key_of_the_cluster_can_leave_its_token(founded: Founded) -> None:
    with founded.opened() as node:
        assert set(node._held) == set(founded.cluster.check_values)  # noqa: SLF001 - the handles
        for key in node._held.values():  # noqa: SLF001 - as above
            with pytest.raises(KeyUnextractable):
                node._kek.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP_PAD)  # noqa: SLF001 - as above


def test_shares_are_private_and_everything_else_holds_no_secret(founded: Founded) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in founded.out.iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o600} == {
        f"share-{index}-of-3.json" for index in (1, 2, 3)
    }
    assert set(modes) - {"cluster.json", "recovery-package.json", "transcript.json"} == {
        f"share-{index}-of-3.json" for index in (1, 2, 3)
    }
    public = b"".join(path.read_bytes() for path in founded.out.glob("[crt]*.json"))
    for index in (1, 2, 3):
        share = json.loads(founded.share(index).read_text())["share"]
        assert share.encode() not in public


def test_the_certificates_are_for_the_keys_in_the_tokens(founded: Founded) -> None:
    cluster = founded.cluster
    cluster.root_certificate.verify_directly_issued_by(cluster.root_certificate)
    cluster.issuing_certificate.verify_directly_issued_by(cluster.root_certificate)
    with founded.opened(1) as node:
        for label, certificate in (
            ("rs-ca-root", cluster.root_certificate),
            ("rs-ca-issuing", cluster.issuing_certificate),
        ):
            assert node.authority_key(label).public_key() == certificate.public_key()  # type: ignore[arg-type]  # a literal from the table


def test_the_transcript_names_people_steps_and_values(founded: Founded) -> None:
    document = (founded.out / "transcript.json").read_bytes()
    content: Any = verify_transcript(document, founded.cluster.attest_public_key)
    assert content["cluster_id"] == founded.cluster.cluster_id
    assert content["people"]["custodians"] == list(CUSTODIANS)
    actions = [step["action"] for step in content["steps"]]
    assert actions[-1] == "canary verified"
    imported = [step for step in content["steps"] if step["action"].startswith("imported")]
    assert [step["detail"]["check_values"] for step in imported] == [
        dict(founded.cluster.check_values)
    ] * 2
    changed = document.replace("Hoàng Thị Em".encode(), b"Ai Do Khac")
    with pytest.raises(SealBroken):
        verify_transcript(changed, founded.cluster.attest_public_key)


def test_a_token_that_holds_a_cluster_is_not_founded_again(
    founded: Founded, tmp_path: Path
) -> None:
    with pytest.raises(CeremonyRefused, match="already holds rs-kek"):
        initialise(foundation(founded.nodes, tmp_path), SystemClock())
    assert not (tmp_path / "out").exists()
    with founded.opened() as node:
        founded.cluster.check_node(node)


def test_a_dry_run_looks_at_everything_and_makes_nothing(plan: Foundation) -> None:
    lines: list[str] = []
    outcome = initialise(plan, FixedClock(), lines.append, dry_run=True)
    assert outcome.steps == ("looked at the node",) * 2
    assert not outcome.files
    assert any("2 of which are needed" in line for line in lines)
    assert held(plan) == [[], []]
    assert not plan.out_folder.exists()


def test_a_dry_run_finds_a_wrong_pin(
    make_tokens: MakeTokens, plan: Foundation, tmp_path: Path
) -> None:
    token = make_tokens(1)[0]
    token.pin_file.write_text("wrong")
    config = node_config(token).model_copy(update={"name": "node-9"})
    with pytest.raises(HsmFault, match="PinIncorrect"):
        initialise(replace(plan, nodes=[config]), FixedClock(), dry_run=True)
    assert (plan.lock_folder / "node-9.pin-refused").exists()
    assert not (tmp_path / "out").exists()


def test_one_node_alone_can_be_founded(make_tokens: MakeTokens, tmp_path: Path) -> None:
    plan = foundation([node_config(make_tokens(1)[0])], tmp_path, threshold=3)
    lines: list[str] = []
    initialise(plan, FixedClock(), lines.append, dry_run=True)
    assert any("no other node" in line for line in lines)
    outcome = initialise(plan, SystemClock())
    assert outcome.cluster == load_cluster(tmp_path / "out" / "cluster.json")


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": []},
        {"custodians": ("An", "An", "Bình")},
        {"custodians": ("An", "", "Bình")},
        {"custodians": ("An",)},
        {"threshold": 1},
        {"threshold": 4},
        {"operators": ()},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    plan: Foundation, change: dict[str, object]
) -> None:
    with pytest.raises(CeremonyRefused):
        initialise(replace(plan, **change), FixedClock())  # type: ignore[arg-type]  # a table of single changes


def test_a_node_named_twice_is_refused(plan: Foundation) -> None:
    with pytest.raises(CeremonyRefused, match="each once"):
        initialise(replace(plan, nodes=[plan.nodes[0], plan.nodes[0]]), FixedClock())


def test_a_folder_that_is_not_empty_is_refused(plan: Foundation) -> None:
    plan.out_folder.mkdir()
    (plan.out_folder / "cluster.json").write_text("somebody's")
    with pytest.raises(CeremonyRefused, match="not empty"):
        initialise(plan, FixedClock())
    assert (plan.out_folder / "cluster.json").read_text() == "somebody's"


def test_a_folder_that_cannot_be_made_is_refused(plan: Foundation, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(CeremonyRefused, match="cannot write to"):
            initialise(replace(plan, out_folder=folder), FixedClock(), dry_run=True)


def test_a_lock_folder_that_is_not_there_is_refused(plan: Foundation, tmp_path: Path) -> None:
    with pytest.raises(CeremonyRefused, match="not a folder"):
        initialise(replace(plan, lock_folder=tmp_path / "none"), FixedClock())


def test_a_token_without_a_mechanism_is_refused(
    plan: Foundation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceremony_nodes, "REQUIRED_MECHANISMS", frozenset({"AES_GCM", "ML_DSA"}))
    with pytest.raises(CeremonyRefused, match="lacks ML_DSA"):
        initialise(plan, FixedClock())


@pytest.mark.parametrize("failing", ["make_transport_key", "import_keys", "share", "attest"])
def test_a_ceremony_that_fails_leaves_nothing_behind(
    plan: Foundation, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    if failing != "make_transport_key":  # which a single node does not need
        plan = replace(plan, nodes=plan.nodes[:1])
    original = NodeProcess.call

    def call(self: NodeProcess, step: str, seconds: float = 60.0, **arguments: object) -> object:
        answer = original(self, step, seconds, **arguments)
        if step == failing:
            raise HsmFault("told to fail")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(NodeProcess, "call", call)
        with pytest.raises(HsmFault, match="told to fail"):
            initialise(plan, SystemClock())
    assert not any(held(plan))
    assert list(plan.out_folder.iterdir()) == []


def test_a_node_process_that_is_killed_leaves_nothing_behind(
    plan: Foundation, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = NodeProcess.call

    def call(self: NodeProcess, step: str, seconds: float = 60.0, **arguments: object) -> object:
        if step == "certify":
            os.kill(self.pid, signal.SIGKILL)
        return original(self, step, seconds, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(NodeProcess, "call", call)
        with pytest.raises(HsmFault):
            initialise(plan, SystemClock())
    assert held(plan) == [[], []]
    assert list(plan.out_folder.iterdir()) == []


def test_what_could_not_be_undone_is_said(
    make_tokens: MakeTokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = foundation([node_config(make_tokens(1)[0])], tmp_path)

    def refuse(_node: NodeProcess, _cluster_id: str) -> None:
        raise HsmFault("cut off")

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(founding, "discard", refuse)
    monkeypatch.setattr(founding, "check_same_keys", interrupt)
    with pytest.raises(KeyboardInterrupt) as raised:
        initialise(plan, SystemClock())
    assert raised.value.__notes__ == ["node node-1 still holds keys of this ceremony: cut off"]


def test_nodes_with_different_keys_are_found_out() -> None:
    same, other = {"check_values": {"rs-kek": "1"}}, {"check_values": {"rs-kek": "2"}}
    assert ceremony_nodes.check_same_keys({"a": same, "b": same}) == same  # type: ignore[dict-item]  # JSON is invariant
    with pytest.raises(HsmFault, match="nodes a and c hold different keys"):
        ceremony_nodes.check_same_keys({"a": same, "b": same, "c": other})  # type: ignore[dict-item]  # as above


def test_shares_that_open_another_key_or_cannot_be_written_are_found_out(
    make_tokens: MakeTokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, cluster_id = node_config(make_tokens(1)[0]), "0" * 26
    monkeypatch.setattr(Custody, "try_recovery_key", lambda *_arguments: "another")
    steps = Steps()
    with environment_kept():
        steps.open(config.model_dump(mode="json"), str(tmp_path))
        keys: Any = steps.create()["keys"]
        steps.import_keys(cluster_id, keys)
        with pytest.raises(HsmFault, match=r"chain of custodians \(1, 2\) opens another key"):
            steps.share(cluster_id, 2, list(CUSTODIANS), str(tmp_path), keys)
        arguments = {"cluster_id": cluster_id, "threshold": 2, "names": list(CUSTODIANS)}
        order = {"step": "share", "arguments": {**arguments, "folder": "/none", "keys": keys}}
        refusal = steps.run(json.dumps(order).encode())
        assert refusal["error"] == "CeremonyRefused"
        assert "/none/share-1-of-3.json" in str(refusal["cause"])
        steps._session.close()  # noqa: SLF001 - the process usually ends it
