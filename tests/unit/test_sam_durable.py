"""What the SAM says is on the disk is there: whole, forced there, under a name that lasts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import pytest

from remote_signing.errors import RevocationListInvalid
from remote_signing.sam import attempts, counters, durable, revocation
from remote_signing.sam.attempts import AttemptJournal
from remote_signing.sam.ceremony import package
from remote_signing.sam.counters import PasskeyCounters
from remote_signing.sam.revocation import RevocationList
from tests.support.soft_node import SoftNode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remote_signing.sam.hsm import Node

CREDENTIAL, FACTOR = "01mcc5rm00mratbh8wk05wn2gg", "01mcc5rm00mratbh8wk05wn2gh"
STEP = 60_000_000


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, only half of what is written finds room."""
    real = os.pwrite

    def half(descriptor: int, content: bytes, at: int) -> int:
        return real(descriptor, content[: len(content) // 2], at)

    return lambda: monkeypatch.setattr(os, "pwrite", half)


def test_journal_that_cannot_be_written_whole_says_so_and_keeps_nothing_of_it(
    tmp_path: Path, full_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = AttemptJournal(tmp_path, 3)
    journal.charge(CREDENTIAL, b"one" * 8, STEP)
    before = (tmp_path / "attempts").read_bytes()
    full_disk()
    with pytest.raises(OSError, match="in part"):
        journal.keep_answer("order", "certificate", 1_000)
    assert (tmp_path / "attempts").read_bytes() == before
    monkeypatch.undo()
    for each in (journal, AttemptJournal(tmp_path, 3)):
        assert each.answer("order") is None
        assert each.remaining(CREDENTIAL) == 2
    assert journal.keep_answer("order", "another", 1_000) == "another"
    assert AttemptJournal(tmp_path, 3).answer("order") == "another"


def test_revocation_that_cannot_be_written_whole_is_not_signed(
    tmp_path: Path, full_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = cast("Node", SoftNode())
    revoked = RevocationList(tmp_path, node)
    revoked.add(["first"])
    full_disk()
    with pytest.raises(OSError, match="in part"):
        revoked.add(["second"])
    with pytest.raises(OSError, match="in part"):
        revoked.merge(0, b"third\n", None)
    monkeypatch.undo()
    assert "second" not in revoked
    assert (tmp_path / revocation.IDS_FILE).read_bytes() == b"first\n"
    with pytest.raises(RevocationListInvalid):
        revoked.merge(0, b"first\n", (tmp_path / revocation.HEAD_FILE).read_bytes()[:-9])
    assert revoked.add(["second"]) == 2


def repeats(journal: AttemptJournal) -> list[Callable[[], object]]:
    """What leaves a line that must last, or finds one."""
    return [
        lambda: journal.charge(CREDENTIAL, b"one" * 8, STEP),
        lambda: journal.keep_answer("order", "certificate", 1_000),
        lambda: journal.unlock(FACTOR, "unlocking", 1_000),
        lambda: journal.use_sad("sad", {"hash"}, 1, 1_000),
    ]


def test_line_of_a_worker_that_was_killed_before_it_was_on_the_disk_is_forced_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda _descriptor: None)
        for leave in repeats(AttemptJournal(tmp_path, 3)):
            leave()
    size = (tmp_path / "attempts").stat().st_size
    forced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", forced.append)
    second = AttemptJournal(tmp_path, 3)
    for number, repeat in enumerate(repeats(second), start=1):
        repeat()
        assert len(forced) == number
    assert second.answer("order") == "certificate"
    assert len(forced) == number + 1
    assert (tmp_path / "attempts").stat().st_size == size, "nothing is written twice"


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose names were forced to the disk."""
    folders: list[Path] = []
    for module in (attempts, counters, durable, package, revocation):
        monkeypatch.setattr(module, "fsync_folder", folders.append)
    return folders


def test_name_of_a_new_journal_lasts_whoever_made_it(tmp_path: Path, lasting: list[Path]) -> None:
    (tmp_path / "attempts").touch()  # by a worker that was killed right then
    journal = AttemptJournal(tmp_path, 3)
    journal.charge(CREDENTIAL, b"one" * 8, STEP)
    assert lasting == [tmp_path]
    AttemptJournal(tmp_path, 3).charge(CREDENTIAL, b"two" * 8, STEP)
    assert lasting == [tmp_path]


def test_names_of_a_passkeys_folders_last(tmp_path: Path, lasting: list[Path]) -> None:
    seen = PasskeyCounters(tmp_path)
    seen.rise(FACTOR, 1, 0, b"challenge" * 4)
    folder = tmp_path / "passkey-counters"
    assert set(lasting) == {tmp_path, folder, folder / FACTOR[-2:]}
    lasting.clear()
    seen.rise(FACTOR, 2, 0, b"another" * 4)
    assert lasting == [folder / FACTOR[-2:]]


def test_list_that_another_worker_wrote_lasts_before_the_token_knows_its_number(
    tmp_path: Path, lasting: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = SoftNode()
    RevocationList(tmp_path, cast("Node", node)).add(["first"])
    lasting.clear()
    known: list[int] = []
    monkeypatch.setattr(node, "raise_counter", lambda _number: known.append(len(lasting)))
    assert "first" in RevocationList(tmp_path, cast("Node", node))
    assert known == [1]


def test_name_of_a_share_lasts(tmp_path: Path, lasting: list[Path]) -> None:
    custodian = package.Custodian(1, "Bình", "check")
    package.write_share(tmp_path / "share", "cluster", custodian, bytes(32))
    assert lasting == [tmp_path]
