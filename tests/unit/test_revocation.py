"""The revocation list: it only grows, costs the same at any length, and an older one is noticed."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, cast

import pytest

from remote_signing.errors import InvalidInput, RevocationListInvalid
from remote_signing.identifiers import new_id
from remote_signing.sam.revocation import (
    HEAD_FILE,
    IDS_FILE,
    RevocationList,
    read_published,
    rule_entry,
)
from tests.support.file_numbers import ReusedNumbers
from tests.support.soft_node import SoftNode

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.sam.hsm import Node

MANY = int(os.environ.get("REVOCATIONS", "20000"))


@pytest.fixture
def node() -> SoftNode:
    return SoftNode()


def listed(folder: Path, node: SoftNode) -> RevocationList:
    folder.mkdir(exist_ok=True)
    return RevocationList(folder, cast("Node", node))


def twin(node: SoftNode) -> SoftNode:
    """Another node of the same cluster, with a counter of its own."""
    return SoftNode("twin", node.secret, node.attest_key, node.issuing_key)


def kept(folder: Path, name: str) -> Path:
    """A copy of the list as it is now."""
    copy = folder.parent / name
    shutil.copytree(folder, copy)
    return copy


def put_back(folder: Path, copy: Path) -> None:
    for name in (IDS_FILE, HEAD_FILE):
        shutil.copy(copy / name, folder / name)


def merged(target: RevocationList, source: Path, piece: int = 1 << 20) -> int:
    """As ``SapClient.merge_revocations`` does it."""
    ids, head = (source / IDS_FILE).read_bytes(), (source / HEAD_FILE).read_bytes()
    last = (len(ids) - 1) // piece * piece
    for at in range(0, last, piece):
        target.merge(at, ids[at : at + piece], None)
    return target.merge(last, ids[last:], head)


def test_what_is_put_on_the_list_is_seen_by_every_worker_and_after_a_restart(
    tmp_path: Path, node: SoftNode
) -> None:
    first, second = listed(tmp_path, node), listed(tmp_path, node)
    assert "a" not in second
    assert first.add(["a", "b"]) == 1
    assert first.add(["c"]) == 2
    assert all(each in second for each in "abc")
    assert all(each in listed(tmp_path, node) for each in "abc")
    assert "d" not in second
    assert read_published(tmp_path)[0] == 2


def test_what_is_on_the_list_already_makes_no_new_list(tmp_path: Path, node: SoftNode) -> None:
    worker = listed(tmp_path, node)
    assert worker.add(["a"]) == worker.add(["a"]) == 1
    assert (tmp_path / IDS_FILE).read_text() == "a\n"


def test_newer_list_is_seen_whose_head_has_the_number_the_time_and_the_size_of_one_before(
    tmp_path: Path, node: SoftNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ReusedNumbers(tmp_path, monkeypatch)
    writer, reader = listed(tmp_path, node), listed(tmp_path, node)
    # A head's size depends on its signature a little, so not each of these could be mistaken.
    for number in range(0, 24, 3):
        known, *unknown = (f"id{number + one:02}" for one in range(3))
        writer.add([known])
        assert known in reader
        for each in unknown:
            writer.add([each])
        assert all(each in reader for each in unknown)


def test_files_of_the_list_are_the_sams_alone(tmp_path: Path, node: SoftNode) -> None:
    listed(tmp_path, node).add(["a"])
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_list_put_back_from_before_is_noticed_by_a_worker_that_saw_the_newer(
    tmp_path: Path, node: SoftNode
) -> None:
    folder = tmp_path / "state"
    worker = listed(folder, node)
    worker.add(["first"])
    older = kept(folder, "older")
    worker.add(["second"])
    put_back(folder, older)
    with pytest.raises(RevocationListInvalid):
        assert "first" in worker
    (folder / HEAD_FILE).unlink()
    with pytest.raises(RevocationListInvalid):
        assert "second" in worker


def test_list_put_back_while_the_sam_was_down_is_noticed_by_the_counter_in_the_token(
    tmp_path: Path, node: SoftNode
) -> None:
    folder = tmp_path / "state"
    worker = listed(folder, node)
    worker.add(["first"])
    older = kept(folder, "older")
    worker.add(["second"])
    put_back(folder, older)
    for _ in range(2):
        with pytest.raises(RevocationListInvalid):
            assert "second" in listed(folder, node)


def test_list_put_back_is_noticed_on_the_node_that_did_not_do_the_revoking(
    tmp_path: Path, node: SoftNode
) -> None:
    folder, other = tmp_path / "state", twin(node)
    revoking, reading = listed(folder, node), listed(folder, other)
    revoking.add(["first"])
    older = kept(folder, "older")
    revoking.add(["second"])
    assert "second" in reading
    assert node.count == other.count == 2
    put_back(folder, older)
    with pytest.raises(RevocationListInvalid):
        assert "second" in listed(folder, other)


def test_node_that_joins_learns_the_number_before_it_is_asked_anything(
    tmp_path: Path, node: SoftNode
) -> None:
    listed(tmp_path, node).add(["first"])
    joined = twin(node)
    listed(tmp_path, joined).refresh()
    assert joined.count == 1


def test_call_cut_off_before_the_token_knew_the_number_is_made_good_by_the_next_worker(
    tmp_path: Path, node: SoftNode
) -> None:
    listed(tmp_path, node).add(["first"])
    node.count = 0
    assert "first" in listed(tmp_path, node)
    assert node.count == 1


def test_ids_that_a_killed_worker_appended_but_did_not_sign_are_nowhere(
    tmp_path: Path, node: SoftNode
) -> None:
    worker = listed(tmp_path, node)
    worker.add(["first"])
    with (tmp_path / IDS_FILE).open("ab") as file:
        file.write(b"unsigned\nhalf")
    assert "unsigned" not in listed(tmp_path, node)
    worker.add(["second"])
    assert (tmp_path / IDS_FILE).read_text() == "first\nsecond\n"
    assert "second" in listed(tmp_path, node)


@pytest.mark.parametrize(
    "head",
    [b"", b"{}", b"[]", b'{"domain":"revocation-list","content":{},"signature":"AAAA"}'],
)
def test_list_without_the_clusters_signature_is_refused(
    tmp_path: Path, node: SoftNode, head: bytes
) -> None:
    worker = listed(tmp_path, node)
    worker.add(["first"])
    with pytest.raises(RevocationListInvalid):
        worker.merge(0, b"second\n", head)
    (tmp_path / HEAD_FILE).write_bytes(head)
    with pytest.raises(RevocationListInvalid):
        assert "first" in worker


def test_list_whose_ids_are_not_the_signed_ones_is_refused(tmp_path: Path, node: SoftNode) -> None:
    listed(tmp_path, node).add(["first"])
    for wrong in (b"fir5t\n", b"firs", b""):
        (tmp_path / IDS_FILE).write_bytes(wrong)
        with pytest.raises(RevocationListInvalid):
            assert "first" in listed(tmp_path, node)


def test_lists_of_two_hosts_become_one_and_nothing_is_lost(tmp_path: Path, node: SoftNode) -> None:
    other = tmp_path / "other"
    listed(other, twin(node)).add(["theirs", "both"])
    ours = listed(tmp_path / "ours", node)
    ours.add(["ours", "both"])
    number = merged(ours, other, piece=5)
    assert all(each in ours for each in ("ours", "theirs", "both"))
    assert number == 2
    assert merged(ours, other) == number
    assert not (tmp_path / "ours" / "revoked.incoming").exists()
    assert "theirs" in listed(tmp_path / "ours", node)


def test_newest_rule_of_consent_counts_in_whatever_order_rules_came(
    tmp_path: Path, node: SoftNode
) -> None:
    other = tmp_path / "other"
    theirs, ours = listed(other, twin(node)), listed(tmp_path / "ours", node)
    assert ours.rule_since("official") == 0
    theirs.add([rule_entry("official", 2_000), rule_entry("another", 5_000)])
    ours.add([rule_entry("official", 10_000)])
    ours.add([rule_entry("official", 9_000)])
    merged(ours, other)
    for reader in (ours, listed(tmp_path / "ours", node)):
        rules = [reader.rule_since(each) for each in ("official", "another", "nobody")]
        assert rules == [10_000, 5_000, 0]


def test_piece_may_come_twice_but_none_may_be_missing(tmp_path: Path, node: SoftNode) -> None:
    other = tmp_path / "other"
    listed(other, twin(node)).add(["theirs"])
    ours = listed(tmp_path / "ours", node)
    head = (other / HEAD_FILE).read_bytes()
    with pytest.raises(InvalidInput):
        ours.merge(4, b"rs\n", head)
    ours.merge(0, b"thei", None)
    ours.merge(0, b"thei", None)
    ours.merge(4, b"rs\n", head)
    assert "theirs" in ours


def test_pieces_of_no_list_take_a_bounded_place_and_are_dropped_by_the_next_first_piece(
    tmp_path: Path, node: SoftNode
) -> None:
    ours, incoming = listed(tmp_path, node), tmp_path / "revoked.incoming"
    ours.merge(0, b"", None)
    os.truncate(incoming, 128 * 1024 * 1024 - 2)  # as if sent
    ours.merge(128 * 1024 * 1024 - 2, b"ab", None)
    with pytest.raises(InvalidInput):
        ours.merge(128 * 1024 * 1024 - 2, b"abc", None)
    with pytest.raises(InvalidInput):
        ours.merge(128 * 1024 * 1024, b"a", None)
    assert incoming.stat().st_size == 128 * 1024 * 1024
    ours.merge(0, b"first", None)
    assert incoming.read_bytes() == b"first"


def test_newer_list_of_another_host_mends_one_that_was_put_back_and_keeps_its_own_ids(
    tmp_path: Path, node: SoftNode
) -> None:
    folder, elsewhere = tmp_path / "ours", tmp_path / "other"
    worker, other = listed(folder, node), listed(elsewhere, twin(node))
    worker.add(["in the older file"])
    older = kept(folder, "older")
    worker.add(["seen by this worker"])
    for each in ("a", "b", "c"):
        other.add([each])
    put_back(folder, older)
    merged(worker, elsewhere)
    for each in ("in the older file", "seen by this worker", "a", "c"):
        assert each in worker
        assert each in listed(folder, node)


def test_older_list_of_another_host_does_not_mend_one_that_was_put_back(
    tmp_path: Path, node: SoftNode
) -> None:
    folder = tmp_path / "ours"
    worker = listed(folder, node)
    worker.add(["first"])
    older = kept(folder, "older")
    worker.add(["second"])
    put_back(folder, older)
    with pytest.raises(RevocationListInvalid):
        merged(worker, older)
    with pytest.raises(RevocationListInvalid):
        assert "second" in worker


def test_list_that_another_worker_wrote_anew_in_another_order_is_accepted_when_nothing_is_missing(
    tmp_path: Path, node: SoftNode
) -> None:
    folder, elsewhere = tmp_path / "ours", tmp_path / "other"
    reading, merging = listed(folder, node), listed(folder, node)
    other = listed(elsewhere, twin(node))
    for each in ("z", "y", "x"):
        other.add([each])
        reading.add([each])
    (folder / IDS_FILE).write_bytes(b"damaged")
    (folder / HEAD_FILE).write_bytes(b"damaged")
    merged(merging, elsewhere)
    assert (folder / IDS_FILE).read_text() == "x\ny\nz\n"
    assert all(each in reading for each in "xyz")


@pytest.mark.parametrize("seen", ["seen", "seen, and longer than all of theirs"])
def test_newer_list_that_lacks_what_was_seen_is_refused(
    tmp_path: Path, node: SoftNode, seen: str
) -> None:
    folder, elsewhere = tmp_path / "ours", tmp_path / "other"
    worker, other = listed(folder, node), listed(elsewhere, twin(node))
    worker.add([seen])
    other.add(["theirs"])
    other.add(["theirs too"])
    put_back(folder, elsewhere)
    with pytest.raises(RevocationListInvalid):
        assert "theirs" in worker


def test_what_is_reported_is_read_without_the_ids(tmp_path: Path, node: SoftNode) -> None:
    assert read_published(tmp_path)[0] == 0
    listed(tmp_path, node).add(["first"])
    (tmp_path / IDS_FILE).unlink()
    assert read_published(tmp_path)[0] == 1
    (tmp_path / HEAD_FILE).write_bytes(b"damaged")
    assert read_published(tmp_path)[0] == 0


def test_putting_on_and_reading_cost_the_same_however_long_the_list_is(
    tmp_path: Path, node: SoftNode, capsys: pytest.CaptureFixture[str]
) -> None:
    writer, reader = listed(tmp_path, node), listed(tmp_path, node)
    writer.add(new_id(number) for number in range(MANY))
    start = time.perf_counter()
    assert "no id" not in reader
    loaded = time.perf_counter() - start
    times = []
    for number in range(20):
        start = time.perf_counter()
        writer.add([f"one more {number}".replace(" ", "-")])
        added = time.perf_counter()
        assert f"one-more-{number}" in reader
        times.append((added - start, time.perf_counter() - added))
    adding, reading = (min(each) * 1000 for each in zip(*times, strict=True))
    with capsys.disabled():
        print(
            f"\n[revocation] {MANY} ids: loaded in {loaded * 1000:.0f} ms,"
            f" one more {adding:.2f} ms, seen by another worker in {reading:.2f} ms"
        )
    # Generous: a list that is read or written as a whole would take seconds at a million.
    assert adding < 50
    assert reading < 100
