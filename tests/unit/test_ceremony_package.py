from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from remote_signing.sam.ceremony.package import (
    Custodian,
    check_quorum,
    quorums,
    read_shares,
    write_new,
    write_share,
)
from remote_signing.sam.ceremony.refusal import CeremonyRefused

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.sam.cluster import Members

CLUSTER = "0" * 26


def check(cluster_id: str, index: int, share: bytes) -> str:
    return hashlib.sha256(f"{cluster_id}{index}".encode() + share).hexdigest()


@pytest.fixture
def shares(tmp_path: Path) -> list[Path]:
    """Of three custodians."""
    paths = [tmp_path / f"share-{index}" for index in (1, 2, 3)]
    for index, path in enumerate(paths, 1):
        write_share(path, CLUSTER, Custodian(index, "An", ""), bytes([index]) * 32)
    return paths


@pytest.fixture
def package() -> Members:
    custodians = [
        {"index": index, "check": check(CLUSTER, index, bytes([index]) * 32)} for index in (1, 2, 3)
    ]
    return {"threshold": 2, "custodians": custodians}  # type: ignore[dict-item]  # JSON is invariant


@pytest.mark.parametrize(
    ("custodians", "threshold"), [(1, 1), (3, 1), (3, 0), (3, 4), (11, 2), (0, 0), (2, -1)]
)
def test_numbers_of_custodians_that_protect_nothing_are_refused(
    custodians: int, threshold: int
) -> None:
    with pytest.raises(CeremonyRefused):
        check_quorum(custodians, threshold)


@pytest.mark.parametrize(("custodians", "threshold"), [(2, 2), (3, 2), (10, 5), (10, 10)])
def test_usual_numbers_of_custodians_are_accepted(custodians: int, threshold: int) -> None:
    check_quorum(custodians, threshold)


def test_every_choice_of_custodians_is_a_quorum() -> None:
    assert quorums(3, 2) == [(1, 2), (1, 3), (2, 3)]
    assert len(quorums(10, 5)) == 252


def test_a_share_is_for_its_custodians_eyes_only(shares: list[Path]) -> None:
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in shares)


def test_no_file_is_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_new(path, b"first")
    with pytest.raises(FileExistsError):
        write_new(path, b"second")
    assert path.read_bytes() == b"first"


def test_enough_shares_are_read_and_no_more(shares: list[Path], package: Members) -> None:
    assert read_shares(reversed(shares), CLUSTER, package, check) == {1: b"\1" * 32, 2: b"\2" * 32}
    assert set(read_shares(shares[1:], CLUSTER, package, check)) == {2, 3}


def test_too_few_shares_are_refused_also_when_one_is_brought_twice(
    shares: list[Path], package: Members
) -> None:
    for brought in ([], shares[:1], [shares[0], shares[0]]):
        with pytest.raises(CeremonyRefused, match="of 2 shares"):
            read_shares(brought, CLUSTER, package, check)


def test_a_wrong_share_is_named(shares: list[Path], package: Members) -> None:
    members = json.loads(shares[1].read_text())
    shares[1].write_text(json.dumps({**members, "index": 3}))
    with pytest.raises(CeremonyRefused, match="share-2 is no share of this package"):
        read_shares(shares, CLUSTER, package, check)


def test_a_custodian_that_the_package_does_not_know_is_refused(
    shares: list[Path], package: Members
) -> None:
    members = json.loads(shares[1].read_text())
    shares[1].write_text(json.dumps({**members, "index": 4}))
    with pytest.raises(CeremonyRefused, match="no share of this package"):
        read_shares(shares, CLUSTER, package, check)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"index": 1, "share": 5}', '{"index": 1}', '{"index": [1], "share": "AA=="}'],
)
def test_a_file_that_is_no_share_is_refused(
    shares: list[Path], package: Members, text: str
) -> None:
    shares[0].write_text(text)
    with pytest.raises(CeremonyRefused, match="cannot be read as a share"):
        read_shares(shares, CLUSTER, package, check)


def test_a_missing_share_is_refused(shares: list[Path], package: Members) -> None:
    shares[0].unlink()
    with pytest.raises(CeremonyRefused, match="cannot be read"):
        read_shares(shares, CLUSTER, package, check)
