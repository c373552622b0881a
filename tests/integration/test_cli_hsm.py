"""``remote-signing hsm`` and ``config check`` on real tokens, as an operator types them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing import cli
from remote_signing.algorithms import ALGORITHMS
from remote_signing.errors import HsmFault
from remote_signing.sam.ceremony import founding, reports
from remote_signing.sam.ceremony.child import NodeProcess
from remote_signing.sam.config import load
from remote_signing.sam.revocation import HEAD_FILE, IDS_FILE
from tests.support.cluster import environment_kept
from tests.support.official import CLOCK, enrol
from tests.support.sam import POLICY, toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from remote_signing.sam.softhsm import DevelopmentToken
    from tests.support.registration import TestAuthority
    from tests.support.sam import RunningSam

    MakeTokens = Callable[[int], list[DevelopmentToken]]


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    with environment_kept():
        yield


@dataclass
class Desk:
    """Somebody at a terminal beside the HSM nodes, with a configuration folder."""

    folder: Path
    tokens: Sequence[DevelopmentToken]
    capture: pytest.CaptureFixture[str] | None = None

    def configure(self, **members: object) -> None:
        tables: dict[str, object] = {
            "cluster_file": self.folder / "cluster.json",
            "state_folder": self.folder / "state",
            "socket": self.folder / "sap.sock",
            "allowed_uids": [os.getuid()],
            "registration_keys": {},
            "authority": POLICY,
            "nodes": [
                {
                    "name": token.label,
                    "module": token.module,
                    "token_label": token.label,
                    "pin_file": token.pin_file,
                    "environment": dict(token.environment),
                }
                for token in self.tokens
            ],
            **members,
        }
        text = "".join(f"{name} = {toml(value)}\n" for name, value in tables.items())
        self.folder.mkdir(exist_ok=True)
        (self.folder / "sam.toml").write_text(text, "utf-8")

    def type(self, *words: str, status: int = 0) -> tuple[str, str]:
        """What the command says on stdout and stderr; its exit status is checked."""
        assert self.capture is not None
        self.capture.readouterr()
        found = cli.main(["--config", str(self.folder), *words])
        told = self.capture.readouterr()
        assert found == status, told.err
        assert "Traceback" not in told.err
        return told.out, told.err

    def init(self, *words: str, status: int = 0) -> tuple[str, str]:
        return self.type(
            *("hsm", "init", "--threshold", "2", "--operator", "Dũng"),
            *("--custodian", "An", "--custodian", "Bình", "--custodian", "Châu"),
            *("--organization", "Ban Cơ yếu", "--root-name", "Gốc", "--issuing-name", "Cấp phát"),
            *("--out", str(self.folder / "ceremony"), *words),
            status=status,
        )

    def status(self, status: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            self.type("hsm", "status", "--json", status=status)[0]
        )
        return found


@pytest.fixture(scope="module")
def stage(make_tokens: MakeTokens, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Three tokens; the first test founds a cluster in the first two of them."""
    return Desk(tmp_path_factory.mktemp("desk"), make_tokens(3))


@pytest.fixture
def desk(stage: Desk, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A founded cluster of two nodes."""
    found = Desk(stage.folder, stage.tokens[:2], capsys)
    found.configure()
    if not (stage.folder / "cluster.json").exists():
        found.init()
    return found


@pytest.fixture
def fresh(make_tokens: MakeTokens, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """One empty token."""
    found = Desk(tmp_path / "desk", make_tokens(1), capsys)
    found.configure()
    return found


def test_a_dry_run_makes_nothing_and_says_what_would_be_made(fresh: Desk) -> None:
    _, told = fresh.init("--dry-run")
    assert "would make the cluster's keys in node-1" in told
    assert not (fresh.folder / "ceremony").exists()
    assert not (fresh.folder / "cluster.json").exists()


def test_a_cluster_is_founded_once_and_its_nodes_are_healthy(desk: Desk) -> None:
    assert "join nodes to it" in desk.init(status=1)[1]
    assert [(node["name"], node["healthy"]) for node in desk.status()] == [
        ("node-1", True),
        ("node-2", True),
    ]
    assert "MISSING_MECHANISMS" in desk.type("hsm", "status")[0]


def test_a_third_node_is_looked_at_joined_and_healthy(stage: Desk, desk: Desk) -> None:
    desk.tokens = stage.tokens
    desk.configure()
    assert [node["healthy"] for node in desk.status(status=3)] == [True, True, False]
    ceremony = desk.folder / "ceremony"
    join = ["hsm", "join", "node-3", "--operator", "Dũng"]
    join += ["--package", str(ceremony / "recovery-package.json")]
    for index in (1, 3):
        join += ["--share", str(ceremony / f"share-{index}-of-3.json")]
    join += ["--transcript", str(desk.folder / "join.json")]
    desk.type(*join, "--dry-run")
    assert not (desk.folder / "join.json").exists()
    made = json.loads(desk.type(*join, "--json")[0])
    assert made["files"] == {"transcript.json": str(desk.folder / "join.json")}
    assert all(node["healthy"] for node in desk.status())
    # Nothing but the cluster's keys is left in it: no key that only travelled.
    with NodeProcess(desk_node(desk, 2), desk.folder / "state") as node:
        assert "rs-transport" not in str(node.open()["held"])


def desk_node(desk: Desk, index: int) -> Any:
    return load(desk.folder / "sam.toml").nodes[index]


def test_a_node_that_the_configuration_does_not_know_is_refused(desk: Desk) -> None:
    assert "no node 'node-9'" in desk.type("hsm", "bench", "node-9", status=2)[1]


def test_rates_are_told_for_people_and_for_machines(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "ALGORITHMS", {"p256": ALGORITHMS["p256"]})  # RSA takes its time
    table, _ = desk.type("hsm", "bench", "--seconds", "0.001")
    assert "C_Sign p256" in table
    lines = desk.type("hsm", "bench", "node-2", "--seconds", "0.001", "--json")[0].splitlines()
    assert {json.loads(line)["operation"] for line in lines} >= {"C_Sign", "HMAC of 300 bytes"}


def test_keys_of_a_ceremony_that_was_cut_off_are_told_of_and_discarded(
    fresh: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_arguments: object) -> None:
        raise HsmFault("cut off")

    assert "nothing to discard" in fresh.type("hsm", "discard", "node-1")[1]
    with monkeypatch.context() as patch:
        patch.setattr(founding, "discard", cut_off)
        patch.setattr(founding, "check_same_keys", cut_off)
        assert "node node-1 still holds keys of this ceremony" in fresh.init(status=3)[1]
    shutil.rmtree(fresh.folder / "ceremony")
    assert "already holds rs-kek" in fresh.init(status=1)[1]
    assert "--yes destroys them" in fresh.type("hsm", "discard", "node-1")[1]
    assert "already holds rs-kek" in fresh.init(status=1)[1]
    assert "objects destroyed" in fresh.type("hsm", "discard", "node-1", "--yes")[1]
    fresh.init()
    assert fresh.status()[0]["healthy"]


def test_keys_of_the_cluster_in_service_are_never_discarded(desk: Desk) -> None:
    assert "nothing to discard" in desk.type("hsm", "discard", "node-1", "--yes")[1]
    assert desk.status()[0]["healthy"]


def test_a_state_folder_of_another_user_is_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert "run this as that user" in desk.type("hsm", "status", status=2)[1]


def test_a_pin_that_systemd_hands_over_opens_the_node_and_its_absence_is_said(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for token in desk.tokens:
        shutil.copy(token.pin_file, credentials / token.label)
        (credentials / token.label).chmod(0o440)
    nodes = [
        {
            "name": token.label,
            "module": token.module,
            "token_label": token.label,
            "pin_file": f"credential:{token.label}",
            "environment": dict(token.environment),
        }
        for token in desk.tokens
    ]
    desk.configure(nodes=nodes)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    faults = {node["fault"] for node in desk.status(status=3)}
    assert all("systemd passed no credentials" in fault for fault in faults)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert all(node["healthy"] for node in desk.status())
    (credentials / "node-1").chmod(0o444)
    assert "everybody may use" in desk.status(status=3)[0]["fault"]


def test_the_list_of_another_host_is_taken_in(
    desk: Desk,
    start_sam: Callable[..., RunningSam],
    registration: TestAuthority,
    tmp_path: Path,
) -> None:
    first, second = start_sam(workers=1), start_sam(workers=1)
    client = first.client()
    official = enrol(client, registration)
    order = registration.order("destroy", official.credential_id, CLOCK.now_ms())
    client.destroy(official.sealed, order)
    client.close()
    shutil.copytree(first.folder / "state", tmp_path / "copied")
    desk.configure(socket=second.address.path)
    assert "has number 2" in desk.type("hsm", "merge-revocations", str(tmp_path / "copied"))[1]
    state = second.folder / "state"
    assert official.credential_id in (state / IDS_FILE).read_text()
    (tmp_path / "copied" / HEAD_FILE).write_text("{}")
    assert (
        "RevocationListInvalid"
        in desk.type("hsm", "merge-revocations", str(tmp_path / "copied"), status=1)[1]
    )
